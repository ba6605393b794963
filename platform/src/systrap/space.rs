//! An address space: a stub process.

use super::filter::THREAD_FLAGS;
use super::layout::*;
use super::process::{Process, RawOrder};
use super::service::Service;
use super::shared::{Block, store_and_wake};
use crate::stubs::orders::{Order, range, translate};
use crate::stubs::placement::Placement;
use crate::stubs::ranges::Ranges;
use crate::{AddressSpace, MapOp};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// See the module's comment.
pub(super) struct SystrapAddressSpace {
    process: Arc<Process>,
    /// Held while the broker has orders: their order is that of the calls. The holder waits only
    /// for the broker, so this is a leaf in the order of locks but for those of `process`.
    state: Mutex<State>,
    /// Last, so that it goes last.
    service: Arc<Service>,
}

struct State {
    /// What is to be done before the first thread; None once there was one.
    pending: Option<Vec<Order>>,
    /// What is mapped (or will be, when all pending orders are done).
    mapped: Ranges,
    /// Areas that are mapped and whose threads are told to end, by slot.
    leaving: Vec<(usize, u32)>,
    /// How many slots for areas are taken.
    slots: usize,
}

/// A host thread for a guest thread.
pub(super) struct HostThread {
    process: Arc<Process>,
    /// Its id.
    pub(super) tid: i32,
    /// Its area, in the file of areas.
    area: u32,
    /// Where that is mapped.
    slot: usize,
    /// It was kicked since this was last cleared.
    pub(super) kicked: AtomicBool,
}

impl HostThread {
    pub(super) fn area(&self) -> Block<'_> {
        self.process.memory().areas.block(self.area)
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

impl SystrapAddressSpace {
    pub(super) fn new(service: Arc<Service>) -> io::Result<Self> {
        let process = service.new_stub()?;
        let state = State {
            pending: Some(Vec::new()),
            mapped: Ranges::default(),
            leaving: Vec::new(),
            slots: 0,
        };
        Ok(SystrapAddressSpace { process, state: Mutex::new(state), service })
    }

    /// Which CPU has how much to do.
    pub(super) fn placement(&self) -> &Arc<Placement> {
        self.service.placement()
    }

    /// A new host thread, that waits for its first registers. All mappings that were asked for
    /// are made before.
    pub(super) fn new_thread(&self) -> io::Result<HostThread> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let areas = &self.process.memory().areas;
        let mut orders: Vec<RawOrder> = state.pending.iter().flatten().map(raw).collect();
        // An area whose thread has ended (or says so: that is between the guest and itself).
        let ended = |(_, area): &(usize, u32)| areas.block(*area).word(STATE).load(Acquire) == 0;
        let (slot, area) = match state.leaving.iter().position(ended) {
            Some(index) => state.leaving.swap_remove(index),
            None => {
                if state.slots == MAX_THREADS {
                    return Err(io::Error::from_raw_os_error(libc::EAGAIN));
                }
                let (slot, area) = (state.slots, self.service.take_area()?);
                // Noted first: from now on the area is given back when the process has ended.
                self.process.add_area(area);
                state.slots += 1;
                let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
                let flags = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
                let (fd, offset) = (areas.fd() as u64, areas.offset(area));
                let args = [address(slot), AREA_LEN as u64, access, flags, fd, offset];
                orders.push(RawOrder { nr: libc::SYS_mmap, args, kind: PLAIN });
                (slot, area)
            }
        };
        prepare(areas.block(area), address(slot));
        let base = address(slot);
        let stack = base + FIRST_XSTATE as u64;
        let args = [THREAD_FLAGS as u64, stack, 0, base + STATE as u64, 0, 0];
        orders.push(RawOrder { nr: libc::SYS_clone, args, kind: CLONE_THREAD });
        let mut tid = 0;
        for chunk in orders.chunks(MAX_ORDERS) {
            tid = self.process.carry_out(chunk)?;
        }
        state.pending = None;
        let kicked = AtomicBool::new(false);
        Ok(HostThread { process: self.process.clone(), tid, area, slot, kicked })
    }

    /// Ends a host thread, if it has not ended by itself.
    pub(super) fn end_thread(&self, thread: &HostThread) {
        let mut state = self.state.lock();
        let word = thread.area().word(STATE);
        if word.load(Acquire) != 0 {
            store_and_wake(word, LEAVE);
        }
        state.leaving.push((thread.slot, thread.area));
    }
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

fn raw(order: &Order) -> RawOrder {
    RawOrder { nr: order.nr, args: order.args, kind: PLAIN }
}

impl AddressSpace for SystrapAddressSpace {
    fn apply(&self, ops: &[MapOp]) -> io::Result<()> {
        for op in ops {
            range(op)?;
        }
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let mut now = Vec::new();
        let orders = state.pending.as_mut().unwrap_or(&mut now);
        for op in ops {
            translate(op, &mut state.mapped, orders)?;
        }
        // Nothing: put off, or nothing to do.
        let raw: Vec<RawOrder> = now.iter().map(raw).collect();
        for chunk in raw.chunks(MAX_ORDERS) {
            self.process.carry_out(chunk)?;
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Drop for SystrapAddressSpace {
    fn drop(&mut self) {
        self.process.kill();
    }
}
