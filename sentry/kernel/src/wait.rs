//! Blocking: the one way in which a handler may wait.

use crate::error::Interrupted;
use crate::task::Task;
use std::sync::Arc;
use std::time::Instant;
use vfs::OpenFile;
use wait::{Registration, WaitQueue};

impl Task {
    /// Waits until `ready` gives something, a signal wants attention, or `deadline` passes. `ready`
    /// is asked first, and again after each event of `mask` on one of the queues.
    pub fn block_on<R>(
        self: &Arc<Task>,
        queues: &[(&WaitQueue, u32)],
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, Interrupted> {
        if let Some(result) = ready() {
            return Ok(result);
        }
        let register =
            |(queue, mask): &(&WaitQueue, u32)| queue.register(*mask, self.waiter.clone());
        let _registrations: Vec<Registration> = queues.iter().map(register).collect();
        self.block_registered(deadline, ready)
    }

    /// As [`Task::block_on`], where the caller has registered [`Task::waker`] by itself.
    pub fn block_registered<R>(
        self: &Arc<Task>,
        deadline: Option<Instant>,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, Interrupted> {
        loop {
            if let Some(result) = ready() {
                return Ok(result);
            }
            if self.has_interruption() {
                return Err(Interrupted::Signal);
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(Interrupted::TimedOut);
            }
            self.sleep(deadline);
        }
    }

    /// Sleeps until woken or until the deadline. Time asleep is nobody's CPU time.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) {
        self.kernel().platform().about_to_block();
        self.clock.pause();
        self.waiter.wait(deadline);
        self.clock.resume();
        self.kernel().cpu_time_goes_on(self.group());
    }

    /// What to register in a wait queue to be woken from [`Task::block_registered`].
    pub fn waker(&self) -> Arc<dyn wait::Wake> {
        self.waiter.clone()
    }

    /// Does `attempt` on a file until it is anything but EAGAIN, waiting for `events` between
    /// tries; once only if the description (or the call: `nonblocking`) must not block.
    pub fn retry_blocking<R>(
        self: &Arc<Task>,
        file: &OpenFile,
        events: u32,
        nonblocking: bool,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> abi::SysResult<R>,
    ) -> Result<abi::SysResult<R>, Interrupted> {
        let first = attempt();
        if nonblocking || file.is_nonblocking() || !matches!(first, Err(abi::Errno::EAGAIN)) {
            return Ok(first);
        }
        let Some(queue) = file.ops().wait_queue() else { return Ok(first) };
        // An error or a hang-up ends every wait.
        let events = events | (libc::POLLERR | libc::POLLHUP) as u32;
        self.block_on(&[(queue, events)], deadline, || match attempt() {
            Err(abi::Errno::EAGAIN) => None,
            other => Some(other),
        })
    }
}
