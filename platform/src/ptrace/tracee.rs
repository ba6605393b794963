//! One host thread of a stub, traced by the calling thread.

use super::sys::Stop;
use super::{stub, sys};
use crate::Registers;
use std::io;

/// What every tracee gets: it dies with its tracer, and system call stops are recognisable.
const OPTIONS: i32 = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;

/// A traced host thread. Only a name: usable on the host thread that traces it, while stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracee {
    /// The stub process.
    pub(super) pid: i32,
    /// The thread.
    pub(super) tid: i32,
}

/// The error for a tracee that has vanished.
pub(super) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "a stub process was killed")
}

impl Tracee {
    /// Starts to trace a parked thread, and stops it. The caller is its tracer from now on.
    pub(super) fn attach(pid: i32, tid: i32, more_options: i32) -> io::Result<Tracee> {
        sys::seize(tid, OPTIONS | more_options)?;
        sys::interrupt(tid)?;
        let tracee = Tracee { pid, tid };
        tracee.wait_for_attach_stop()?;
        Ok(tracee)
    }

    /// The first stop of a thread that was interrupted, or attached by a PTRACE_O_TRACE option.
    pub(super) fn wait_for_attach_stop(self) -> io::Result<()> {
        loop {
            match sys::wait(self.tid)? {
                Stop::Event(libc::PTRACE_EVENT_STOP) => return Ok(()),
                Stop::Gone => return Err(gone()),
                _ => sys::resume(self.tid)?,
            }
        }
    }

    /// Runs stub code from `regs` to its `int3`, and returns the registers there.
    pub(super) fn inject(self, regs: &Registers) -> io::Result<Registers> {
        sys::set_regs(self.tid, regs)?;
        loop {
            sys::resume(self.tid)?;
            match sys::wait(self.tid)? {
                Stop::Gone => return Err(gone()),
                Stop::Signal(libc::SIGTRAP) => break,
                Stop::Signal(
                    signal @ (libc::SIGSEGV
                    | libc::SIGBUS
                    | libc::SIGILL
                    | libc::SIGFPE
                    | libc::SIGSYS),
                ) => {
                    return Err(io::Error::other(format!("signal {signal} in stub code")));
                }
                // A late kick, or a signal that somebody sent: not ours to deliver. Calls that it
                // interrupted (clone) are restarted by the host.
                Stop::Signal(_) | Stop::Event(_) | Stop::Syscall => {}
            }
        }
        let mut regs = Registers::default();
        sys::get_regs(self.tid, &mut regs)?;
        Ok(regs)
    }

    /// Makes one call in the stub.
    pub(super) fn call(self, nr: i64, args: [u64; 6]) -> io::Result<u64> {
        result(self.inject(&stub::single(nr, args))?.rax)
    }

    /// Clones in the stub; the child's thread id.
    pub(super) fn clone(self, flags: i32) -> io::Result<i32> {
        result(self.inject(&stub::clone(flags))?.rax).map(|tid| tid as i32)
    }

    /// Runs the first `count` orders of the orders page.
    pub(super) fn batch(self, count: usize) -> io::Result<()> {
        let regs = self.inject(&stub::batch(count))?;
        if regs.r13 == 0 { Ok(()) } else { result(regs.rax).map(drop) }
    }

    /// Ends the thread and reaps it; the others of its process go on.
    pub(super) fn exit(self) {
        let ended = sys::set_regs(self.tid, &stub::single(libc::SYS_exit, [0; 6])).and_then(|()| {
            loop {
                sys::resume(self.tid)?;
                if sys::wait(self.tid)? == Stop::Gone {
                    return Ok(());
                }
            }
        });
        if let Err(error) = ended {
            // Killed meanwhile: as good an end. Reap it if it can be.
            tracing::debug!(tid = self.tid, %error, "stub thread was already gone");
            let _ = sys::wait(self.tid);
        }
    }
}

/// A result of the host's system call ABI.
fn result(rax: u64) -> io::Result<u64> {
    match rax as i64 {
        error @ -4095..0 => Err(io::Error::from_raw_os_error(-error as i32)),
        _ => Ok(rax),
    }
}
