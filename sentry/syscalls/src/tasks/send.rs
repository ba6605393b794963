//! Sending signals: kill(2), tgkill(2), sigqueue(3).
//!
//! As on Linux, whom the signal is for comes first (ESRCH), then whether it is one (EINVAL), then
//! whether the caller may send it (EPERM). So a number stays unchecked until a receiver is found.

use abi::signal::{SigInfo, Signal};
use abi::{Errno, SysResult, UserAddr};
use kernel::process::{INIT, Process};
use kernel::signal::{Target, may_signal};
use kernel::{CallResult, Pid, Task, TaskContext, ThreadGroup};
use std::sync::Arc;

/// A real signal, or None for 0, the probe.
fn signal_or_probe(number: i32) -> SysResult<Option<Signal>> {
    match number {
        0 => Ok(None),
        number => Signal::new(number).map(Some),
    }
}

/// May the caller send `signal` to the task?
fn check_permission(
    cx: &TaskContext<'_>,
    victim: &Arc<Task>,
    signal: Option<Signal>,
) -> SysResult<()> {
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

/// Sends to the process with this id.
fn send_to_pid(cx: &TaskContext<'_>, pid: Pid, info: SigInfo) -> SysResult<()> {
    let group = {
        let table = cx.kernel().processes.lock();
        table.process(pid).ok_or(Errno::ESRCH)?.group.clone()
    };
    send_to_process(cx, &group, info)
}

/// Sends to a process; the probe only checks. ESRCH if it has been waited for.
pub(super) fn send_to_process(
    cx: &TaskContext<'_>,
    group: &Arc<ThreadGroup>,
    info: SigInfo,
) -> SysResult<()> {
    let any_task = {
        let table = cx.kernel().processes.lock();
        // Its id may be another's by now.
        let process = table.process(group.pid()).filter(|p| Arc::ptr_eq(&p.group, group));
        process.ok_or(Errno::ESRCH)?.tasks.first().cloned()
    };
    let signal = signal_or_probe(info.signo)?;
    let Some(task) = any_task else {
        // The built-in init belongs to nobody; a zombie takes everything.
        return if group.pid() == INIT { Err(Errno::EPERM) } else { Ok(()) };
    };
    check_permission(cx, &task, signal)?;
    match signal {
        Some(_) => cx.kernel().send_signal(Target::Group(group), info),
        None => Ok(()),
    }
}

/// Sends to one thread.
fn send_to_thread(
    cx: &TaskContext<'_>,
    tgid: Option<Pid>,
    tid: Pid,
    info: SigInfo,
) -> SysResult<()> {
    if tid <= 0 || tgid.is_some_and(|tgid| tgid <= 0) {
        return Err(Errno::EINVAL);
    }
    let task = cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|tgid| tgid != task.group().pid()) {
        return Err(Errno::ESRCH);
    }
    let signal = signal_or_probe(info.signo)?;
    check_permission(cx, &task, signal)?;
    match signal {
        Some(_) => cx.kernel().send_signal(Target::Task(&task), info),
        None => Ok(()),
    }
}

/// What a receiver learns: that the caller sent it. `number` may be no signal at all.
pub(super) fn info_from_caller(cx: &TaskContext<'_>, number: i32, code: i32) -> SigInfo {
    let (pid, uid) = (cx.group().pid(), cx.cred().uid);
    SigInfo { signo: number, ..SigInfo::from_process(Signal::SIGKILL, code, pid, uid) }
}

/// kill(2).
pub(crate) fn kill(cx: &mut TaskContext<'_>, pid: i32, signal: i32) -> CallResult {
    let info = info_from_caller(cx, signal, libc::SI_USER);
    if pid > 0 {
        send_to_pid(cx, pid, info)?;
        return Ok(0);
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    let own = cx.group().pid();
    let victims: Vec<Arc<ThreadGroup>> = {
        let table = cx.kernel().processes.lock();
        let pgid = match pid {
            0 => table.process(own).map_or(0, |process| process.pgid),
            pid => -pid,
        };
        let chosen = |process: &&Process| {
            let id = process.group.pid();
            if pid == -1 { id != own && id != INIT } else { process.pgid == pgid }
        };
        table.iter().filter(chosen).map(|process| process.group.clone()).collect()
    };
    let results = victims.iter().map(|victim| send_to_process(cx, victim, info)).collect();
    let summary = if pid == -1 { sent_to_all } else { sent_to_group };
    summary(results)?;
    Ok(0)
}

/// The result of kill(2) for everybody: whom one may not signal does not count as a failure.
fn sent_to_all(results: Vec<SysResult<()>>) -> SysResult<()> {
    if results.is_empty() {
        return Err(Errno::ESRCH);
    }
    let counted = results.into_iter().rfind(|result| *result != Err(Errno::EPERM));
    counted.unwrap_or(Ok(()))
}

/// The result of kill(2) for a process group: success if any could be signalled.
fn sent_to_group(results: Vec<SysResult<()>>) -> SysResult<()> {
    if results.contains(&Ok(())) {
        return Ok(());
    }
    results.into_iter().next_back().unwrap_or(Err(Errno::ESRCH))
}

/// tgkill(2).
pub(crate) fn tgkill(cx: &mut TaskContext<'_>, tgid: i32, tid: i32, signal: i32) -> CallResult {
    send_to_thread(cx, Some(tgid), tid, info_from_caller(cx, signal, libc::SI_TKILL))?;
    Ok(0)
}

/// tkill(2).
pub(crate) fn tkill(cx: &mut TaskContext<'_>, tid: i32, signal: i32) -> CallResult {
    send_to_thread(cx, None, tid, info_from_caller(cx, signal, libc::SI_TKILL))?;
    Ok(0)
}

/// A process may not pretend to be the kernel, or kill(2), to others than itself.
pub(super) fn check_pretence(info: &SigInfo, to_self: bool) -> SysResult<()> {
    let pretends = info.code >= 0 || info.code == libc::SI_TKILL;
    if pretends && !to_self { Err(Errno::EPERM) } else { Ok(()) }
}

/// The information of rt_sigqueueinfo(2).
fn queued_info(
    cx: &TaskContext<'_>,
    addr: UserAddr,
    number: i32,
    to_self: bool,
) -> SysResult<SigInfo> {
    let info: SigInfo = cx.read(addr)?;
    check_pretence(&info, to_self)?;
    Ok(SigInfo { signo: number, ..info })
}

/// rt_sigqueueinfo(2).
pub(crate) fn rt_sigqueueinfo(
    cx: &mut TaskContext<'_>,
    pid: i32,
    signal: i32,
    info: UserAddr,
) -> CallResult {
    let info = queued_info(cx, info, signal, pid == cx.group().pid())?;
    send_to_pid(cx, pid, info)?;
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
    let info = queued_info(cx, info, signal, tid == cx.task.tid())?;
    send_to_thread(cx, Some(tgid), tid, info)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: SysResult<()> = Err(Errno::EPERM);

    #[test]
    fn one_receiver_of_a_group_is_enough() {
        assert_eq!(sent_to_group(vec![DENIED, Ok(()), DENIED]), Ok(()));
        assert_eq!(sent_to_group(vec![DENIED, Err(Errno::EAGAIN)]), Err(Errno::EAGAIN));
        assert_eq!(sent_to_group(vec![]), Err(Errno::ESRCH));
    }

    #[test]
    fn those_out_of_reach_do_not_count_among_all() {
        assert_eq!(sent_to_all(vec![DENIED, DENIED]), Ok(()));
        assert_eq!(sent_to_all(vec![Err(Errno::EINVAL), DENIED]), Err(Errno::EINVAL));
        assert_eq!(sent_to_all(vec![]), Err(Errno::ESRCH));
    }

    #[test]
    fn only_to_itself_may_one_pretend() {
        let info = |code| SigInfo { code, ..SigInfo::default() };
        assert_eq!(check_pretence(&info(libc::SI_QUEUE), false), Ok(()));
        for code in [libc::SI_USER, libc::SI_KERNEL, libc::SI_TKILL] {
            assert_eq!(check_pretence(&info(code), false), DENIED);
            assert_eq!(check_pretence(&info(code), true), Ok(()));
        }
    }
}
