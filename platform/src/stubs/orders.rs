//! Orders: the system calls by which a stub changes its mappings.

use super::ranges::Ranges;
use crate::{GUEST_ADDRESS_END, MapOp, PAGE_SIZE, Prot};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// One system call of the stub.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) nr: i64,
    pub(crate) args: [u64; 6],
    /// Keeps the descriptor open until the order has been carried out.
    _file: Option<Arc<OwnedFd>>,
}

impl Order {
    pub(crate) fn map(
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

    pub(crate) fn unmap(addr: u64, len: u64) -> Order {
        Order { nr: libc::SYS_munmap, args: [addr, len, 0, 0, 0, 0], _file: None }
    }

    pub(crate) fn protect(addr: u64, len: u64, prot: Prot) -> Order {
        let args = [addr, len, u64::from(prot.bits()), 0, 0, 0];
        Order { nr: libc::SYS_mprotect, args, _file: None }
    }

    /// Joins `next` to this order, if the two are one: the next addresses of the same file, or
    /// simply the next addresses.
    pub(crate) fn join(&mut self, next: &Order) -> bool {
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

/// The addresses of an operation, if they are such as a guest may have.
pub(crate) fn range(op: &MapOp) -> io::Result<(u64, u64)> {
    let (MapOp::Map { addr, len, .. }
    | MapOp::Unmap { addr, len }
    | MapOp::Protect { addr, len, .. }) = *op;
    let end = addr.checked_add(len).filter(|end| *end <= GUEST_ADDRESS_END);
    match end {
        Some(end) if len > 0 && (addr | len) % PAGE_SIZE == 0 => Ok((addr, end)),
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Appends the orders for one operation.
pub(crate) fn translate(
    op: &MapOp,
    mapped: &mut Ranges,
    orders: &mut Vec<Order>,
) -> io::Result<()> {
    let mut push = |order: Order| {
        if !orders.last_mut().is_some_and(|last| last.join(&order)) {
            orders.push(order);
        }
    };
    let (start, end) = range(op)?;
    match op {
        MapOp::Map { addr, len, prot, file, offset, shared } => {
            mapped.insert(start, end);
            push(Order::map(*addr, *len, *prot, file, *offset, *shared));
        }
        MapOp::Unmap { .. } => {
            // What is not mapped needs no call.
            for (start, end) in mapped.within(start, end) {
                push(Order::unmap(start, end - start));
            }
            mapped.remove(start, end);
        }
        MapOp::Protect { prot, .. } => {
            for (start, end) in mapped.within(start, end) {
                push(Order::protect(start, end - start, *prot));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

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
