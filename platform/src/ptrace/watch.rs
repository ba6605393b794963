//! Notices the death of a stub while nobody waits for it.
//!
//! A tracer that waits for its guest thread sees it end. But a guest thread that sleeps in the
//! kernel is not waited for, and its process may be killed from outside meanwhile; then the sandbox
//! has to end at once, not when the guest wakes up. The host tells of the end of a child by
//! SIGCHLD, which is blocked and read from a descriptor by a thread; that has the service thread
//! ask each broker whether it is still there. (waitid(2) would not do: the end of a process whose
//! other threads have not been waited for is not told.)

use super::sys;
use crate::host::signal;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

/// The thread needs little.
const STACK_LEN: usize = 256 * 1024;

/// The handle of the thread. Dropping it ends the thread.
pub(super) struct Watch {
    /// Closed to end the thread.
    end: Option<io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// SIGCHLD, blocked from now on in the calling thread and in those that it makes.
pub(super) fn block_child_signals() -> io::Result<OwnedFd> {
    // Stops of tracees are no news: their tracers wait for them.
    signal::ignore_child_stops()?;
    signal::signalfd(&[libc::SIGCHLD])
}

impl Watch {
    /// Starts the thread, which calls `child_ended` after some child has. False ends it.
    pub(super) fn start(
        news: OwnedFd,
        child_ended: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Watch> {
        let (mut reader, writer) = io::pipe()?;
        let thread = std::thread::Builder::new()
            .name("stub-watch".into())
            .stack_size(STACK_LEN)
            .spawn(move || {
                while let Ok(true) = sys::wait_readable(&news, &reader) {
                    while let Ok(Some(_)) = signal::read_signal(&news) {}
                    if !child_ended() {
                        break;
                    }
                }
                // Until the handle is dropped.
                let _ = reader.read(&mut [0]);
            })?;
        Ok(Watch { end: Some(writer), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
