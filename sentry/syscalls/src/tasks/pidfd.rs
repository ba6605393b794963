//! pidfds: descriptors that stand for a process.
//!
//! A pidfd keeps the process's [`ThreadGroup`], not its id: after the process was waited for the
//! id can be another's, and the pidfd still means the one that is gone.

use super::send::{check_pretence, info_from_caller, send_to_process};
use crate::args::Flags;
use abi::file::{OpenFlags, PollEvents};
use abi::signal::SigInfo;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, CloneRequest, Pid, Task, TaskContext, ThreadGroup};
use std::any::Any;
use std::sync::Arc;
use vfs::{Fd, FileOps, OpenFile};
use wait::WaitQueue;

/// The open file.
struct PidFd(Arc<ThreadGroup>);

impl FileOps for PidFd {
    /// Readable when all threads have ended; hung up when it has been waited for, too.
    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let mut events = PollEvents::empty();
        if self.0.has_ended() {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if self.0.is_reaped() {
            events |= PollEvents::HUP;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.exit_events)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn install(cx: &TaskContext<'_>, group: &Arc<ThreadGroup>, flags: OpenFlags) -> SysResult<Fd> {
    let ops = Arc::new(PidFd(group.clone()));
    cx.install(fs::anon::open_file("pidfd", ops, flags | OpenFlags::RDWR), true)
}

/// The process of a pidfd, and whether the descriptor is O_NONBLOCK. EBADF if it is none.
pub(super) fn process_of(cx: &TaskContext<'_>, fd: Fd) -> SysResult<(Arc<ThreadGroup>, bool)> {
    let file = cx.file(fd)?;
    let pidfd = file.ops_as::<PidFd>().ok_or(Errno::EBADF)?;
    Ok((pidfd.0.clone(), file.is_nonblocking()))
}

/// clone(2) and clone3(2), with the descriptor of CLONE_PIDFD written to `pidfd`.
pub(super) fn clone_task(
    cx: &mut TaskContext<'_>,
    request: &CloneRequest,
    pidfd: UserAddr,
) -> CallResult {
    let open = |cx: &TaskContext<'_>, group: &Arc<ThreadGroup>| {
        let fd = install(cx, group, OpenFlags::empty())?;
        cx.write(pidfd, &fd.0).inspect_err(|_| drop(cx.files().remove(fd)))?;
        Ok(fd)
    };
    Ok(cx.clone_task(request, open)? as u64)
}

/// pidfd_open(2).
pub(crate) fn pidfd_open(cx: &mut TaskContext<'_>, pid: i32, flags: Flags) -> CallResult {
    let nonblock = OpenFlags::NONBLOCK;
    if flags.0 & !nonblock.bits() != 0 || pid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let group = {
        let table = cx.kernel().processes.lock();
        match table.process(pid) {
            Some(process) => process.group.clone(),
            // A thread that is not the leader.
            None if table.task(pid).is_some() => return Err(Errno::EINVAL.into()),
            None => return Err(Errno::ESRCH.into()),
        }
    };
    let flags = OpenFlags::from_bits_truncate(flags.0 & nonblock.bits());
    Ok(install(cx, &group, flags)?.0 as u64)
}

/// pidfd_send_signal(2).
pub(crate) fn pidfd_send_signal(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    signal: i32,
    info: UserAddr,
    flags: Flags,
) -> CallResult {
    /// PIDFD_SIGNAL_THREAD_GROUP, which a pidfd of a process means anyway.
    const THREAD_GROUP: u32 = 2;
    if flags.0 & !THREAD_GROUP != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (group, _) = process_of(cx, fd)?;
    let info = match info.non_null() {
        Some(addr) => {
            let info: SigInfo = cx.read(addr)?;
            if info.signo != signal {
                return Err(Errno::EINVAL.into());
            }
            check_pretence(&info, group.pid() == cx.task.tid())?;
            info
        }
        None => info_from_caller(cx, signal, libc::SI_USER),
    };
    send_to_process(cx, &group, info)?;
    Ok(0)
}

/// A thread of the process that still has its descriptors. ESRCH.
fn live_task(cx: &TaskContext<'_>, group: &Arc<ThreadGroup>) -> SysResult<Arc<Task>> {
    let table = cx.kernel().processes.lock();
    let pid: Pid = group.pid();
    let process = table.process(pid).filter(|p| Arc::ptr_eq(&p.group, group));
    process.and_then(|process| process.tasks.first()).cloned().ok_or(Errno::ESRCH)
}

/// pidfd_getfd(2).
pub(crate) fn pidfd_getfd(
    cx: &mut TaskContext<'_>,
    pidfd: Fd,
    target: Fd,
    flags: Flags,
) -> CallResult {
    if flags.0 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (group, _) = process_of(cx, pidfd)?;
    let task = live_task(cx, &group)?;
    super::credentials::check_inspect(cx, &task)?;
    let file = task.files().get(target)?;
    Ok(cx.install(file, true)?.0 as u64)
}
