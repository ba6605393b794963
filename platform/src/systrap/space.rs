//! An address space: a stub process.

use super::layout::*;
use super::process::{Process, RawOrder};
use super::service::Service;
use super::shared::{OwnedBlock, store_and_wake};
use super::thread::HostThread;
use crate::stubs::orders::{Order, range, translate};
use crate::stubs::placement::Placement;
use crate::stubs::ranges::Ranges;
use crate::{AddressSpace, MapOp};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

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
    /// The first host thread, until it is taken.
    spare: Option<HostThread>,
    /// Areas that are mapped and whose threads are told to end, by slot.
    leaving: Vec<(usize, Arc<OwnedBlock>)>,
    /// How many slots for areas are taken.
    slots: usize,
}

impl SystrapAddressSpace {
    pub(super) fn new(service: Arc<Service>) -> io::Result<Self> {
        let spare = service.new_stub()?;
        let process = spare.process().clone();
        let state = State {
            pending: Some(Vec::new()),
            mapped: Ranges::default(),
            spare: Some(spare),
            leaving: Vec::new(),
            slots: 1,
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
        let orders: Vec<RawOrder> = state.pending.iter().flatten().map(raw).collect();
        if let Some(thread) = state.spare.take() {
            self.process.carry_out_all(&orders)?;
            state.pending = None;
            return Ok(thread);
        }
        // An area whose thread has ended (or says so: that is between the guest and itself).
        let ended = |(_, area): &(_, Arc<OwnedBlock>)| area.block().word(STATE).load(Acquire) == 0;
        let (slot, area, mapped) = match state.leaving.iter().position(ended) {
            Some(index) => {
                let (slot, area) = state.leaving.swap_remove(index);
                (slot, area, true)
            }
            None if state.slots == MAX_THREADS => {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            None => {
                state.slots += 1;
                (state.slots - 1, Arc::new(self.process.memory().areas.take()?), false)
            }
        };
        let thread = HostThread::new(&self.process, orders, area, slot, mapped)?;
        state.pending = None;
        Ok(thread)
    }

    /// Ends a host thread, if it has not ended by itself.
    pub(super) fn end_thread(&self, thread: &HostThread) {
        let mut state = self.state.lock();
        let word = thread.area().word(STATE);
        if word.load(Acquire) != 0 {
            store_and_wake(word, LEAVE);
        }
        state.leaving.push((thread.slot, thread.area.clone()));
    }
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
        self.process.carry_out_all(&raw).map(drop)
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
