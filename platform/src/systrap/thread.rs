//! Host threads for guest threads, and how they are made.

use super::filter::THREAD_FLAGS;
use super::layout::*;
use super::process::{Process, RawOrder};
use super::shared::{Block, OwnedBlock};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// A host thread for a guest thread.
pub(super) struct HostThread {
    process: Arc<Process>,
    /// Its id.
    pub(super) tid: i32,
    /// Its area.
    pub(super) area: Arc<OwnedBlock>,
    /// Where that is mapped.
    pub(super) slot: usize,
    /// It was kicked since this was last cleared.
    pub(super) kicked: AtomicBool,
}

impl HostThread {
    /// Has the broker make one, after what is in `orders`. `mapped`: the area is mapped already.
    pub(super) fn new(
        process: &Arc<Process>,
        mut orders: Vec<RawOrder>,
        area: Arc<OwnedBlock>,
        slot: usize,
        mapped: bool,
    ) -> io::Result<HostThread> {
        let areas = &process.memory().areas;
        let base = address(slot);
        if !mapped {
            // Noted first: from now on the area is given back when the process has ended.
            process.add_area(&area);
            let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
            let flags = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
            let (fd, offset) = (areas.fd() as u64, area.offset());
            let args = [base, AREA_LEN as u64, access, flags, fd, offset];
            orders.push(RawOrder { nr: libc::SYS_mmap, args, kind: PLAIN });
        }
        prepare(area.block(), base);
        let stack = base + FIRST_XSTATE as u64;
        let args = [THREAD_FLAGS as u64, stack, 0, base + STATE as u64, 0, 0];
        orders.push(RawOrder { nr: libc::SYS_clone, args, kind: CLONE_THREAD });
        let tid = process.carry_out_all(&orders)?;
        let kicked = AtomicBool::new(false);
        Ok(HostThread { process: process.clone(), tid, area, slot, kicked })
    }

    pub(super) fn area(&self) -> Block<'_> {
        self.area.block()
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The address of its area in the stub.
    pub(super) fn address(&self) -> u64 {
        address(self.slot)
    }
}

fn address(slot: usize) -> u64 {
    AREAS + (slot * AREA_LEN) as u64
}

/// Makes the header of an area for a new thread.
fn prepare(area: Block<'_>, address: u64) {
    area.word(STATE).store(STOPPED, Relaxed);
    area.word(KICKED).store(0, Relaxed);
    area.set64(STACK, address + FIRST_XSTATE as u64);
    // struct stack_t: address, flags, length.
    area.set64(STACK_T, address + HEADER_LEN as u64);
    area.set64(STACK_T + 8, 0);
    area.set64(STACK_T + 16, (AREA_LEN - HEADER_LEN) as u64);
}
