//! Orders: what a stub is to do, written by the sentry into a page that the stub can only read.

use super::stub::{MAX_ORDERS, ORDER_LEN};
use crate::PAGE_SIZE;
use crate::host::memory;
pub(super) use crate::stubs::orders::{Order, range, translate};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

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
