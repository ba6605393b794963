//! Signals: actions, masks, waiting. Sending is in `send.rs`.

use abi::signal::{SIG_IGN, SigAction, SigSet, Signal, StackT};
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::signal::{DefaultAction, default_action};
use kernel::time::deadline_in;
use kernel::{CallResult, Interrupted, Restart, SysError, TaskContext};

fn check_set_size(size: usize) -> SysResult<()> {
    if size == size_of::<SigSet>() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// rt_sigaction(2).
pub(crate) fn rt_sigaction(
    cx: &mut TaskContext<'_>,
    signal: i32,
    new: UserAddr,
    old: UserAddr,
    size: usize,
) -> CallResult {
    check_set_size(size)?;
    let signal = Signal::new(signal)?;
    let new: Option<SigAction> = new.non_null().map(|addr| cx.read(addr)).transpose()?;
    let unchangeable = SigSet::UNBLOCKABLE.contains(signal);
    if new.is_some() && unchangeable {
        return Err(Errno::EINVAL.into());
    }
    let actions = cx.group().actions();
    let before = match new {
        Some(mut action) => {
            action.mask = action.mask.without(SigSet::UNBLOCKABLE);
            let before = actions.set(signal, action);
            let ignores = action.handler == SIG_IGN
                || action.handler == abi::signal::SIG_DFL
                    && matches!(
                        default_action(signal),
                        DefaultAction::Ignore | DefaultAction::Continue
                    );
            if ignores {
                cx.task.discard_pending(SigSet::of(signal));
            }
            before
        }
        None => actions.get(signal),
    };
    if let Some(addr) = old.non_null() {
        cx.write(addr, &before)?;
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub(crate) fn rt_sigprocmask(
    cx: &mut TaskContext<'_>,
    how: i32,
    set: UserAddr,
    old: UserAddr,
    size: usize,
) -> CallResult {
    check_set_size(size)?;
    let before = cx.task.signal_mask();
    if let Some(addr) = set.non_null() {
        let set: SigSet = cx.read(addr)?;
        let new = match how {
            libc::SIG_BLOCK => before.union(set),
            libc::SIG_UNBLOCK => before.without(set),
            libc::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        cx.task.set_signal_mask(new);
    }
    if let Some(addr) = old.non_null() {
        cx.write(addr, &before)?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub(crate) fn rt_sigpending(cx: &mut TaskContext<'_>, set: UserAddr, size: usize) -> CallResult {
    if size > size_of::<SigSet>() {
        return Err(Errno::EINVAL.into());
    }
    let (own, shared) = cx.task.pending_signals();
    let pending = own.union(shared).intersect(cx.task.signal_mask());
    cx.mm().write_bytes(set, &pending.0.to_ne_bytes()[..size])?;
    Ok(0)
}

/// rt_sigreturn(2).
pub(crate) fn rt_sigreturn(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.sigreturn())
}

/// rt_sigsuspend(2).
pub(crate) fn rt_sigsuspend(cx: &mut TaskContext<'_>, set: UserAddr, size: usize) -> CallResult {
    check_set_size(size)?;
    let mask: SigSet = cx.read(set)?;
    cx.task.set_temporary_mask(mask);
    pause(cx)
}

/// pause(2).
pub(crate) fn pause(cx: &mut TaskContext<'_>) -> CallResult {
    let _ = cx.task.block_on::<()>(&[], None, || None);
    Err(SysError::Restart(Restart::UnlessHandler))
}

/// rt_sigtimedwait(2).
pub(crate) fn rt_sigtimedwait(
    cx: &mut TaskContext<'_>,
    set: UserAddr,
    info: UserAddr,
    timeout: UserAddr,
    size: usize,
) -> CallResult {
    check_set_size(size)?;
    let set: SigSet = cx.read(set)?;
    let set = set.without(SigSet::UNBLOCKABLE);
    let deadline = match timeout.non_null() {
        None => None,
        Some(addr) => {
            let timeout: Timespec = cx.read(addr)?;
            deadline_in(timeout.to_duration().ok_or(Errno::EINVAL)?)
        }
    };
    let task = cx.task;
    task.set_waiting_signals(set);
    let result = task.block_on(&[], deadline, || task.take_signal(set));
    task.set_waiting_signals(SigSet::EMPTY);
    let taken = match result {
        Ok(taken) => taken,
        Err(Interrupted::TimedOut) => return Err(Errno::EAGAIN.into()),
        // One of the set may have come together with what interrupted.
        Err(Interrupted::Signal) => match task.take_signal(set) {
            Some(taken) => taken,
            None => return Err(Errno::EINTR.into()),
        },
    };
    if let Some(addr) = info.non_null() {
        cx.write(addr, &taken)?;
    }
    Ok(taken.signo as u64)
}

/// sigaltstack(2).
pub(crate) fn sigaltstack(cx: &mut TaskContext<'_>, new: UserAddr, old: UserAddr) -> CallResult {
    let sp = cx.thread.regs.rsp;
    let before = cx.task.altstack();
    let new: Option<StackT> = new.non_null().map(|addr| cx.read(addr)).transpose()?;
    if let Some(stack) = new {
        cx.task.set_altstack(before.from_user(stack, sp)?);
    }
    if let Some(addr) = old.non_null() {
        cx.write(addr, &before.to_user(sp))?;
    }
    Ok(0)
}
