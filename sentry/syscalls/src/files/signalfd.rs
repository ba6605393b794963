//! signalfd(2).

use crate::args::Flags;
use abi::file::{OpenFlags, PollEvents};
use abi::signal::{SigInfo, SigSet};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use vfs::{Fd, FileOps, OpenFile};
use wait::WaitQueue;

/// Signals to read. Whose, depends on who reads.
pub(super) struct SignalFd {
    set: Mutex<SigSet>,
    /// Of the process that made it: what epoll(7) waits on. Other calls wait on the caller's own.
    queue: WaitQueue,
}

/// The length of `struct signalfd_siginfo`.
const INFO_LEN: usize = 128;

/// `struct signalfd_siginfo`: each field of `siginfo_t` has a place of its own. Which of them a
/// signal has, its code says, as in signalfd_copyinfo of the kernel.
fn encode(info: &SigInfo) -> [u8; INFO_LEN] {
    let mut out = [0; INFO_LEN];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &info.signo.to_ne_bytes());
    put(4, &info.errno.to_ne_bytes());
    put(8, &info.code.to_ne_bytes());
    let low = |word: u64| (word as u32).to_ne_bytes();
    let high = |word: u64| ((word >> 32) as u32).to_ne_bytes();
    let fields = &info.fields;
    let is_fault = matches!(
        info.signo,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP
    );
    match info.code {
        libc::SI_TIMER => {
            put(24, &low(fields[0]));
            put(32, &high(fields[0]));
            put(44, &low(fields[1]));
            put(48, &fields[1].to_ne_bytes());
        }
        _ if info.code > 0 && info.code != libc::SI_KERNEL && info.signo == libc::SIGCHLD => {
            put(12, &low(fields[0]));
            put(16, &high(fields[0]));
            put(40, &low(fields[1]));
            put(56, &fields[2].to_ne_bytes());
            put(64, &fields[3].to_ne_bytes());
        }
        _ if info.code > 0 && is_fault => put(72, &fields[0].to_ne_bytes()),
        _ => {
            put(12, &low(fields[0]));
            put(16, &high(fields[0]));
            if info.code < 0 {
                put(44, &low(fields[1]));
                put(48, &fields[1].to_ne_bytes());
            }
        }
    }
    out
}

impl FileOps for SignalFd {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        if buf.len() < INFO_LEN {
            return Err(Errno::EINVAL);
        }
        let task = kernel::current().ok_or(Errno::EAGAIN)?;
        let set = *self.set.lock();
        let mut done = 0;
        for out in buf.chunks_exact_mut(INFO_LEN) {
            let Some(info) = task.take_signal(set) else { break };
            out.copy_from_slice(&encode(&info));
            done += INFO_LEN;
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let Some(task) = kernel::current() else { return PollEvents::empty() };
        let (own, group) = task.pending_signals();
        if own.union(group).intersect(*self.set.lock()).is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::IN | PollEvents::RDNORM
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// signalfd(2).
pub(crate) fn signalfd(
    cx: &mut TaskContext<'_>,
    fd: i32,
    mask: UserAddr,
    size: usize,
) -> CallResult {
    signalfd4(cx, fd, mask, size, Flags(0))
}

/// signalfd4(2).
pub(crate) fn signalfd4(
    cx: &mut TaskContext<'_>,
    fd: i32,
    mask: UserAddr,
    size: usize,
    flags: Flags,
) -> CallResult {
    if size != size_of::<SigSet>() {
        return Err(Errno::EINVAL.into());
    }
    let mask: SigSet = cx.read(mask)?;
    let set = mask.without(SigSet::UNBLOCKABLE);
    if flags.0 & !(OpenFlags::NONBLOCK | OpenFlags::CLOEXEC).bits() != 0 {
        return Err(Errno::EINVAL.into());
    }
    if fd == -1 {
        let queue = cx.group().signal_events.clone();
        let signals = Arc::new(SignalFd { set: Mutex::new(set), queue });
        return super::events::install(cx, "signalfd", signals, flags.0);
    }
    let file = cx.file(Fd(fd))?;
    let signals = file.ops_as::<SignalFd>().ok_or(Errno::EINVAL)?;
    *signals.set.lock() = set;
    // Signals that were pending already may be wanted now.
    cx.group().signal_events.notify(PollEvents::IN.bits());
    Ok(fd as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::signal::Signal;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }

    #[test]
    fn fields_go_where_they_belong() {
        let sent = SigInfo::from_process(Signal::SIGUSR1, libc::SI_QUEUE, 7, 8).with_value(9);
        let bytes = encode(&sent);
        let signo = libc::SIGUSR1 as u32;
        assert_eq!([0, 12, 16, 44].map(|at| word(&bytes, at)), [signo, 7, 8, 9]);
        let child = SigInfo::child(libc::CLD_EXITED, 7, 8, 3, 1, 2);
        let bytes = encode(&child);
        assert_eq!([12, 16, 40, 56, 64].map(|at| word(&bytes, at)), [7, 8, 3, 1, 2]);
        let fault = encode(&SigInfo::fault(Signal::SIGSEGV, 1, 0x1234));
        assert_eq!([12, 72].map(|at| word(&fault, at)), [0, 0x1234]);
    }
}
