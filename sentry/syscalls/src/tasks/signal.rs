//! Signals: actions, masks, sending, waiting.

use super::process::signal_or_probe;
use abi::signal::{SIG_IGN, SigAction, SigInfo, SigSet, Signal, StackT};
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::process::{INIT, Process};
use kernel::signal::{DefaultAction, Target, default_action, may_signal};
use kernel::time::deadline_in;
use kernel::{CallResult, Interrupted, Pid, Restart, SysError, Task, TaskContext};
use std::sync::Arc;

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

/// May the caller send `signal` to the task?
fn check_permission(cx: &TaskContext<'_>, victim: &Arc<Task>, signal: Option<Signal>) -> SysResult<()> {
    if Arc::ptr_eq(cx.group(), victim.group()) || may_signal(&cx.cred(), &victim.cred()) {
        return Ok(());
    }
    // SIGCONT may be sent within a session.
    if signal == Some(Signal::SIGCONT) {
        let table = cx.kernel().processes.lock();
        let session = |pid| table.process(pid).map(|process| process.sid);
        if session(cx.group().pid()) == session(victim.group().pid()) {
            return Ok(());
        }
    }
    Err(Errno::EPERM)
}

/// Sends to a process; the probe only checks.
fn send_to_process(
    cx: &TaskContext<'_>,
    pid: Pid,
    signal: Option<Signal>,
    info: Option<SigInfo>,
) -> SysResult<()> {
    let (group, any_task) = {
        let table = cx.kernel().processes.lock();
        let process = table.process(pid).ok_or(Errno::ESRCH)?;
        (process.group.clone(), process.tasks.first().cloned())
    };
    let Some(task) = any_task else {
        // The built-in init belongs to nobody; a zombie takes everything.
        return if pid == INIT { Err(Errno::EPERM) } else { Ok(()) };
    };
    check_permission(cx, &task, signal)?;
    match info {
        Some(info) => cx.kernel().send_signal(Target::Group(&group), info),
        None => Ok(()),
    }
}

fn info_from_caller(cx: &TaskContext<'_>, signal: Signal, code: i32) -> SigInfo {
    SigInfo::from_process(signal, code, cx.group().pid(), cx.cred().uid)
}

/// kill(2).
pub(crate) fn kill(cx: &mut TaskContext<'_>, pid: i32, signal: i32) -> CallResult {
    let signal = signal_or_probe(signal)?;
    let info = signal.map(|signal| info_from_caller(cx, signal, libc::SI_USER));
    if pid > 0 {
        send_to_process(cx, pid, signal, info)?;
        return Ok(0);
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    let own = cx.group().pid();
    let victims: Vec<Pid> = {
        let table = cx.kernel().processes.lock();
        let pgid = match pid {
            0 => table.process(own).map_or(0, |process| process.pgid),
            pid => -pid,
        };
        let chosen = |process: &&Process| {
            let id = process.group.pid();
            if pid == -1 { id != own && id != INIT } else { process.pgid == pgid }
        };
        table.iter().filter(chosen).map(|process| process.group.pid()).collect()
    };
    if victims.is_empty() {
        return Err(Errno::ESRCH.into());
    }
    // Success if any could be signalled.
    let results: Vec<_> =
        victims.iter().map(|victim| send_to_process(cx, *victim, signal, info)).collect();
    if pid != -1 && results.iter().all(Result::is_err) {
        results.into_iter().next().unwrap_or(Ok(()))?;
    }
    Ok(0)
}

/// Sends to one thread.
fn send_to_thread(
    cx: &TaskContext<'_>,
    tgid: Option<Pid>,
    tid: Pid,
    signal: Option<Signal>,
    info: Option<SigInfo>,
) -> SysResult<()> {
    if tid <= 0 || tgid.is_some_and(|tgid| tgid <= 0) {
        return Err(Errno::EINVAL);
    }
    let task = cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|tgid| tgid != task.group().pid()) {
        return Err(Errno::ESRCH);
    }
    check_permission(cx, &task, signal)?;
    match info {
        Some(info) => cx.kernel().send_signal(Target::Task(&task), info),
        None => Ok(()),
    }
}

/// tgkill(2).
pub(crate) fn tgkill(cx: &mut TaskContext<'_>, tgid: i32, tid: i32, signal: i32) -> CallResult {
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let signal = signal_or_probe(signal)?;
    let info = signal.map(|signal| info_from_caller(cx, signal, libc::SI_TKILL));
    send_to_thread(cx, Some(tgid), tid, signal, info)?;
    Ok(0)
}

/// tkill(2).
pub(crate) fn tkill(cx: &mut TaskContext<'_>, tid: i32, signal: i32) -> CallResult {
    if tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let signal = signal_or_probe(signal)?;
    let info = signal.map(|signal| info_from_caller(cx, signal, libc::SI_TKILL));
    send_to_thread(cx, None, tid, signal, info)?;
    Ok(0)
}

/// The information of rt_sigqueueinfo(2): a process may not pretend to be the kernel, or kill(2),
/// to others than itself.
fn queued_info(
    cx: &TaskContext<'_>,
    addr: UserAddr,
    signal: Option<Signal>,
    to_self: bool,
) -> SysResult<Option<SigInfo>> {
    let mut info: SigInfo = cx.read(addr)?;
    if (info.code >= 0 || info.code == libc::SI_TKILL) && !to_self {
        return Err(Errno::EPERM);
    }
    Ok(signal.map(|signal| {
        info.signo = signal.number();
        info
    }))
}

/// rt_sigqueueinfo(2).
pub(crate) fn rt_sigqueueinfo(
    cx: &mut TaskContext<'_>,
    pid: i32,
    signal: i32,
    info: UserAddr,
) -> CallResult {
    let parsed = signal_or_probe(signal);
    let to_self = pid == cx.group().pid();
    let info = queued_info(cx, info, parsed.unwrap_or(None), to_self)?;
    send_to_process(cx, pid, parsed?, info)?;
    Ok(0)
}

/// rt_tgsigqueueinfo(2).
pub(crate) fn rt_tgsigqueueinfo(
    cx: &mut TaskContext<'_>,
    tgid: i32,
    tid: i32,
    signal: i32,
    info: UserAddr,
) -> CallResult {
    let parsed = signal_or_probe(signal);
    let to_self = tid == cx.task.tid();
    let info = queued_info(cx, info, parsed.unwrap_or(None), to_self)?;
    send_to_thread(cx, Some(tgid), tid, parsed?, info)?;
    Ok(0)
}
