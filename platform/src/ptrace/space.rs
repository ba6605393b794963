//! An address space: a stub process.

use super::orders::{self, Order};
use super::service::{Service, Stub};
use super::stub_filter::CLONE_THREAD;
use super::tracee::Tracee;
use crate::stubs::placement::Placement;
use crate::stubs::ranges::Ranges;
use crate::{AddressSpace, MapOp};
use parking_lot::Mutex;
use std::cell::Cell;
use std::io;
use std::sync::Arc;

/// What the calling host thread traces, if it is a tracer of a guest thread.
#[derive(Clone, Copy)]
struct Current {
    tracee: Tracee,
    /// The guest's registers in the tracee were overwritten by an injection.
    clobbered: bool,
}

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// Notes that the calling thread traces `tracee` from now on (or nothing).
pub(super) fn set_current(tracee: Option<Tracee>) {
    CURRENT.set(tracee.map(|tracee| Current { tracee, clobbered: true }));
}

/// Whether the tracee's registers were overwritten since the last time this was asked.
pub(super) fn take_clobbered() -> bool {
    CURRENT.get().is_none_or(|current| {
        CURRENT.set(Some(Current { clobbered: false, ..current }));
        current.clobbered
    })
}

/// The tracee of the calling thread, about to be used for an injection.
fn borrow_current(pid: i32) -> Option<Tracee> {
    let current = CURRENT.get().filter(|current| current.tracee.pid == pid)?;
    CURRENT.set(Some(Current { clobbered: true, ..current }));
    Some(current.tracee)
}

/// See the module's comment.
pub(super) struct PtraceAddressSpace {
    service: Arc<Service>,
    pid: i32,
    /// The index of the orders page. Written only with the state locked.
    page: u32,
    /// Held while orders are carried out: their order is that of the calls. The holder waits only
    /// for stub code, which ends, so this is a leaf in the order of locks.
    state: Mutex<State>,
}

struct State {
    /// What the first thread is to do before it runs guest code; None once it has.
    pending: Option<Vec<Order>>,
    /// What is mapped (or will be, when all pending orders are done).
    mapped: Ranges,
    /// Parked host threads without a guest thread.
    spare: Vec<i32>,
}

impl PtraceAddressSpace {
    pub(super) fn new(service: Arc<Service>) -> io::Result<Self> {
        let Stub { pid, page, spare } = service.new_stub()?;
        let state =
            State { pending: Some(Vec::new()), mapped: Ranges::default(), spare: vec![spare] };
        Ok(PtraceAddressSpace { service, pid, page, state: Mutex::new(state) })
    }

    /// The stub process.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Which CPU has how much to do.
    pub(super) fn placement(&self) -> &Arc<Placement> {
        self.service.placement()
    }

    /// A parked host thread for a guest thread.
    pub(super) fn take_thread(&self) -> io::Result<i32> {
        if let Some(tid) = self.state.lock().spare.pop() {
            return Ok(tid);
        }
        match borrow_current(self.pid) {
            Some(tracee) => tracee.clone(CLONE_THREAD),
            None => self.service.clone_thread(self.pid),
        }
    }

    /// The thread was not needed after all.
    pub(super) fn give_back_thread(&self, tid: i32) {
        self.state.lock().spare.push(tid);
    }

    /// Carries out what was put off, in a thread that is traced by the caller.
    pub(super) fn start(&self, tracee: Tracee) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.pending.take() {
            Some(orders) => self.carry_out(Some(tracee), &orders),
            None => Ok(()),
        }
    }

    fn carry_out(&self, tracee: Option<Tracee>, orders: &[Order]) -> io::Result<()> {
        orders::carry_out(self.service.orders(), self.page, orders, |count| match tracee {
            Some(tracee) => tracee.batch(count),
            None => self.service.batch(self.pid, count),
        })
    }
}

impl AddressSpace for PtraceAddressSpace {
    fn apply(&self, ops: &[MapOp]) -> io::Result<()> {
        for op in ops {
            orders::range(op)?;
        }
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let mut now = Vec::new();
        let orders = state.pending.as_mut().unwrap_or(&mut now);
        for op in ops {
            orders::translate(op, &mut state.mapped, orders)?;
        }
        if now.is_empty() {
            // Put off, or nothing to do.
            return Ok(());
        }
        self.carry_out(borrow_current(self.pid), &now)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Drop for PtraceAddressSpace {
    fn drop(&mut self) {
        self.service.destroy(self.pid, self.page);
    }
}
