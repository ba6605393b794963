//! Orders: what a stub is to do, written by the sentry into a page that the stub can only read.

use super::stub::{MAX_ORDERS, ORDER_LEN};
use crate::host::memory;
use crate::{GUEST_ADDRESS_END, MapOp, PAGE_SIZE, Prot};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// How many address spaces there can be at once; Linux's default pid_max.
const MAX_PAGES: u32 = 32768;

/// The file of orders pages; sparse.
pub(super) fn create() -> io::Result<File> {
    let file = File::from(memory::memfd(c"stub-orders")?);
    file.set_len(u64::from(MAX_PAGES) * PAGE_SIZE)?;
    Ok(file)
}

/// Which pages are free. The first is the launcher's.
pub(super) struct Pages {
    free: Vec<u32>,
    unused: u32,
}

impl Pages {
    pub(super) fn new() -> Self {
        Pages { free: Vec::new(), unused: 1 }
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let page = self.unused;
            (page < MAX_PAGES).then(|| {
                self.unused += 1;
                page
            })
        })
    }

    pub(super) fn give_back(&mut self, page: u32) {
        self.free.push(page);
    }
}

/// One system call of the stub.
#[derive(Clone, Debug)]
pub(super) struct Order {
    nr: i64,
    args: [u64; 6],
    /// Keeps the descriptor open until the order has been carried out.
    _file: Option<Arc<OwnedFd>>,
}

impl Order {
    pub(super) fn map(
        addr: u64,
        len: u64,
        prot: Prot,
        file: &Arc<OwnedFd>,
        offset: u64,
        shared: bool,
    ) -> Order {
        let kind = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        let flags = (kind | libc::MAP_FIXED) as u64;
        let fd = file.as_raw_fd() as u64;
        Order {
            nr: libc::SYS_mmap,
            args: [addr, len, u64::from(prot.bits()), flags, fd, offset],
            _file: Some(file.clone()),
        }
    }

    pub(super) fn unmap(addr: u64, len: u64) -> Order {
        Order { nr: libc::SYS_munmap, args: [addr, len, 0, 0, 0, 0], _file: None }
    }

    pub(super) fn protect(addr: u64, len: u64, prot: Prot) -> Order {
        let args = [addr, len, u64::from(prot.bits()), 0, 0, 0];
        Order { nr: libc::SYS_mprotect, args, _file: None }
    }

    /// Joins `next` to this order, if the two are one: the next addresses of the same file, or
    /// simply the next addresses.
    pub(super) fn join(&mut self, next: &Order) -> bool {
        let [addr, len, prot, flags, fd, offset] = self.args;
        let [next_addr, next_len, next_prot, next_flags, next_fd, next_offset] = next.args;
        let one = self.nr == next.nr
            && addr + len == next_addr
            && prot == next_prot
            && flags == next_flags
            && fd == next_fd
            && (self.nr != libc::SYS_mmap || offset.checked_add(len) == Some(next_offset));
        if one {
            self.args[1] = len + next_len;
        }
        one
    }
}

/// Writes the orders to a page, a page full at a time, and has `run` carry them out.
pub(super) fn carry_out(
    pages: &File,
    page: u32,
    orders: &[Order],
    mut run: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<()> {
    for chunk in orders.chunks(MAX_ORDERS) {
        let mut bytes = Vec::with_capacity(chunk.len() * ORDER_LEN);
        for order in chunk {
            bytes.extend_from_slice(&order.nr.to_le_bytes());
            for arg in order.args {
                bytes.extend_from_slice(&arg.to_le_bytes());
            }
            bytes.extend_from_slice(&[0; 8]);
        }
        pages.write_all_at(&bytes, u64::from(page) * PAGE_SIZE)?;
        run(chunk.len())?;
    }
    Ok(())
}

/// The addresses of an operation, if they are such as a guest may have.
pub(super) fn range(op: &MapOp) -> io::Result<(u64, u64)> {
    let (MapOp::Map { addr, len, .. }
    | MapOp::Unmap { addr, len }
    | MapOp::Protect { addr, len, .. }) = *op;
    let end = addr.checked_add(len).filter(|end| *end <= GUEST_ADDRESS_END);
    match end {
        Some(end) if len > 0 && (addr | len) % PAGE_SIZE == 0 => Ok((addr, end)),
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join() {
        let file = Arc::new(OwnedFd::from(File::open("/dev/null").unwrap()));
        let map = |addr, offset| Order::map(addr, 0x1000, Prot::READ, &file, offset, true);
        let mut first = map(0x1000, 0);
        assert!(first.join(&map(0x2000, 0x1000)));
        assert!(!first.join(&map(0x3000, 0x1000)));
        assert!(!first.join(&Order::unmap(0x3000, 0x1000)));
        assert_eq!(first.args[1], 0x2000);
    }

    #[test]
    fn addresses_beyond_the_guest_are_refused() {
        assert!(range(&MapOp::Unmap { addr: GUEST_ADDRESS_END, len: PAGE_SIZE }).is_err());
        assert!(range(&MapOp::Unmap { addr: !0xfff, len: PAGE_SIZE }).is_err());
        assert!(range(&MapOp::Unmap { addr: 0x1001, len: PAGE_SIZE }).is_err());
        assert!(range(&MapOp::Unmap { addr: 0x1000, len: 0 }).is_err());
        assert!(range(&MapOp::Unmap { addr: 0, len: GUEST_ADDRESS_END }).is_ok());
    }
}
