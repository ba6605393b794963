//! Not a test of anything: what the common steps cost, without a platform.
//! `cargo test -p mm --release --test speed -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use abi::UserAddr;
use common::*;
use mm::*;
use platform::{AddressSpace, Guest, MapOp, Platform, ThreadContext};
use std::sync::Arc;
use std::time::Instant;

struct Nothing;

impl AddressSpace for Nothing {
    fn apply(&self, _: &[MapOp]) -> std::io::Result<()> {
        Ok(())
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Platform for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }
    fn new_address_space(&self) -> std::io::Result<Arc<dyn AddressSpace>> {
        Ok(Arc::new(Nothing))
    }
    fn spawn(&self, _: ThreadContext, _: Arc<dyn Guest>) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

fn time(what: &str, count: u32, mut step: impl FnMut(u64)) {
    let start = Instant::now();
    (0..count).for_each(|i| step(i.into()));
    println!("{what:32} {:9.1} ns", start.elapsed().as_nanos() as f64 / f64::from(count));
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let memory = MemoryFile::new_memfd().unwrap();
    let platform: Arc<dyn Platform> = Arc::new(Nothing);
    let mm = MemoryManager::new(&platform, &memory).unwrap();
    let rw = Prot::READ | Prot::WRITE;
    for i in 0..200 {
        let file = TestFile::in_memory(&memory, 4096).mapped();
        let mut args = MmapArgs::anonymous(4096, rw).at(UserAddr(0x7000_0000 + i * 8192));
        (args.flags, args.file) =
            (abi::mman::MapFlags::SHARED | abi::mman::MapFlags::FIXED, Some(file));
        mm.mmap(args).unwrap();
    }
    let at = mm.mmap(MmapArgs::anonymous(16 << 20, rw)).unwrap();
    let mut buf = vec![1; 65536];
    time("first touch, 4 KiB", 4096, |i| mm.write_bytes(at.offset(i * 4096), &buf[..8]).unwrap());
    time("read 8 bytes", 1_000_000, |i| {
        let _ = mm.read::<u64>(at.offset(i % 4096 * 8));
    });
    time("write 4 KiB", 200_000, |i| {
        mm.write_bytes(at.offset(i % 64 * 4096), &buf[..4096]).unwrap()
    });
    time("read 64 KiB", 20_000, |i| mm.read_bytes(at.offset(i % 16 * 65536), &mut buf).unwrap());
    time("compare and exchange", 1_000_000, |_| {
        let _ = mm.compare_exchange_u32(at, 0, 0);
    });
    time("mmap and munmap 64 KiB", 50_000, |_| {
        let at = mm.mmap(MmapArgs::anonymous(65536, rw)).unwrap();
        mm.munmap(at, 65536).unwrap();
    });
    time("fork and drop, 200 areas", 2_000, |_| drop(mm.fork().unwrap()));
    for _ in 0..3 {
        let child = mm.fork().unwrap();
        time("copy on write, 64 KiB", 200, |i| {
            mm.handle_fault(at.0 + i * 65536, Access::Write, false).unwrap();
        });
        time("after the child is gone", 1, |_| child.clear());
    }
}
