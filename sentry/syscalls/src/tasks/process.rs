//! Ids, groups and sessions; making, ending and waiting for processes.

use crate::args::Flags;
use abi::process::{CloneArgs, CloneFlags};
use abi::signal::SigInfo;
use abi::{Errno, UserAddr};
use kernel::wait4::{WaitOptions, Which};
use kernel::{CallResult, CloneRequest, Pid, TaskContext, WaitStatus};
use vfs::Fd;

/// getpid(2).
pub(crate) fn getpid(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.group().pid() as u64)
}

/// gettid(2).
pub(crate) fn gettid(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.task.tid() as u64)
}

/// getppid(2).
pub(crate) fn getppid(cx: &mut TaskContext<'_>) -> CallResult {
    let table = cx.kernel().processes.lock();
    Ok(table.process(cx.group().pid()).map_or(0, |process| process.parent) as u64)
}

/// 0 is the caller.
fn or_self(cx: &TaskContext<'_>, pid: Pid) -> Pid {
    if pid == 0 { cx.group().pid() } else { pid }
}

/// getpgid(2).
pub(crate) fn getpgid(cx: &mut TaskContext<'_>, pid: i32) -> CallResult {
    let table = cx.kernel().processes.lock();
    let process = table.process(or_self(cx, pid)).ok_or(Errno::ESRCH)?;
    Ok(process.pgid as u64)
}

/// getpgrp(2).
pub(crate) fn getpgrp(cx: &mut TaskContext<'_>) -> CallResult {
    getpgid(cx, 0)
}

/// getsid(2).
pub(crate) fn getsid(cx: &mut TaskContext<'_>, pid: i32) -> CallResult {
    let table = cx.kernel().processes.lock();
    let process = table.process(or_self(cx, pid)).ok_or(Errno::ESRCH)?;
    Ok(process.sid as u64)
}

/// setpgid(2).
pub(crate) fn setpgid(cx: &mut TaskContext<'_>, pid: i32, pgid: i32) -> CallResult {
    if pid < 0 {
        return Err(Errno::ESRCH.into());
    }
    let caller = cx.group().pid();
    cx.kernel().processes.lock().set_process_group(caller, pid, pgid)?;
    Ok(0)
}

/// setsid(2).
pub(crate) fn setsid(cx: &mut TaskContext<'_>) -> CallResult {
    let pid = cx.group().pid();
    Ok(cx.kernel().processes.lock().set_session(pid)? as u64)
}

/// fork(2).
pub(crate) fn fork(cx: &mut TaskContext<'_>) -> CallResult {
    clone_with(cx, CloneFlags::empty())
}

/// vfork(2).
pub(crate) fn vfork(cx: &mut TaskContext<'_>) -> CallResult {
    clone_with(cx, CloneFlags::VFORK | CloneFlags::VM)
}

fn clone_with(cx: &mut TaskContext<'_>, flags: CloneFlags) -> CallResult {
    let request = CloneRequest {
        flags,
        exit_signal: libc::SIGCHLD,
        stack: UserAddr::NULL,
        parent_tid: UserAddr::NULL,
        child_tid: UserAddr::NULL,
        tls: 0,
    };
    super::pidfd::clone_task(cx, &request, UserAddr::NULL)
}

/// CSIGNAL: where clone(2) has the exit signal.
const EXIT_SIGNAL_MASK: u64 = 0xff;

/// clone(2).
pub(crate) fn clone(
    cx: &mut TaskContext<'_>,
    flags: u64,
    stack: UserAddr,
    parent_tid: UserAddr,
    child_tid: UserAddr,
    tls: u64,
) -> CallResult {
    let flags = flags & 0xffff_ffff;
    let request = CloneRequest {
        flags: CloneFlags::from_bits_truncate(flags & !EXIT_SIGNAL_MASK),
        exit_signal: (flags & EXIT_SIGNAL_MASK) as i32,
        stack,
        parent_tid,
        child_tid,
        tls,
    };
    // The pidfd has no argument of its own.
    if request.flags.contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID) {
        return Err(Errno::EINVAL.into());
    }
    super::pidfd::clone_task(cx, &request, parent_tid)
}

/// clone3(2).
pub(crate) fn clone3(cx: &mut TaskContext<'_>, args: UserAddr, size: usize) -> CallResult {
    /// CLONE_ARGS_SIZE_VER0.
    const FIRST_SIZE: usize = 64;
    if size > abi::PAGE_SIZE as usize {
        return Err(Errno::E2BIG.into());
    }
    if size < FIRST_SIZE {
        return Err(Errno::EINVAL.into());
    }
    let mut bytes = vec![0; size.max(size_of::<CloneArgs>())];
    cx.mm().read_bytes(args, &mut bytes[..size])?;
    let (known, rest) = bytes.split_at(size_of::<CloneArgs>());
    if rest.iter().any(|b| *b != 0) {
        return Err(Errno::E2BIG.into());
    }
    let args: CloneArgs = zerocopy::FromBytes::read_from_bytes(known).map_err(|_| Errno::EINVAL)?;
    let flags = CloneFlags::from_bits(args.flags).ok_or(Errno::EINVAL)?;
    let bad_stack = (args.stack == 0) != (args.stack_size == 0);
    if flags.contains(CloneFlags::DETACHED)
        || args.exit_signal > 64
        || bad_stack
        || args.set_tid_size != 0
        || flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT) && args.exit_signal != 0
    {
        return Err(Errno::EINVAL.into());
    }
    let stack = args.stack.checked_add(args.stack_size).ok_or(Errno::EINVAL)?;
    let request = CloneRequest {
        flags,
        exit_signal: args.exit_signal as i32,
        stack: UserAddr(stack),
        parent_tid: UserAddr(args.parent_tid),
        child_tid: UserAddr(args.child_tid),
        tls: args.tls,
    };
    let both = CloneFlags::PIDFD | CloneFlags::PARENT_SETTID;
    if flags.contains(both) && args.pidfd == args.parent_tid {
        return Err(Errno::EINVAL.into());
    }
    super::pidfd::clone_task(cx, &request, UserAddr(args.pidfd))
}

/// unshare(2): what processes share; namespaces are not there.
pub(crate) fn unshare(cx: &mut TaskContext<'_>, flags: Flags) -> CallResult {
    let flags = CloneFlags::from_bits(flags.0.into()).ok_or(Errno::EINVAL)?;
    let known = CloneFlags::FS | CloneFlags::FILES | CloneFlags::SYSVSEM;
    if !known.contains(flags) {
        let namespaces = !(CloneFlags::VM | CloneFlags::SIGHAND | CloneFlags::THREAD);
        return Err(match flags.intersects(namespaces.difference(known)) {
            true => Errno::EPERM.into(),
            false => Errno::EINVAL.into(),
        });
    }
    if flags.contains(CloneFlags::FS) {
        cx.task.set_fs(cx.fs().fork());
    }
    if flags.contains(CloneFlags::FILES) {
        drop(cx.task.set_files(cx.files().fork()));
    }
    if flags.contains(CloneFlags::SYSVSEM) {
        cx.task.release_sem_undo();
    }
    Ok(0)
}

/// exit(2).
pub(crate) fn exit(cx: &mut TaskContext<'_>, code: i32) -> CallResult {
    cx.task.exit_thread(code);
    Ok(0)
}

/// exit_group(2).
pub(crate) fn exit_group(cx: &mut TaskContext<'_>, code: i32) -> CallResult {
    cx.task.exit_group(WaitStatus::Exited(code & 0xff));
    Ok(0)
}

/// wait4(2).
pub(crate) fn wait4(
    cx: &mut TaskContext<'_>,
    pid: i32,
    status: UserAddr,
    options: Flags,
    usage: UserAddr,
) -> CallResult {
    let allowed = WaitOptions::NOHANG
        | WaitOptions::STOPPED
        | WaitOptions::CONTINUED
        | WaitOptions::NOTHREAD
        | WaitOptions::CLONE
        | WaitOptions::ALL;
    let options = WaitOptions::from_bits(options.0).ok_or(Errno::EINVAL)?;
    if !allowed.contains(options) {
        return Err(Errno::EINVAL.into());
    }
    let which = match pid {
        i32::MIN => return Err(Errno::ESRCH.into()),
        -1 => Which::Any,
        0 => Which::Group(own_group(cx)),
        pid if pid < 0 => Which::Group(-pid),
        pid => Which::Pid(pid),
    };
    let Some(child) = cx.task.wait_child(which, options | WaitOptions::EXITED)? else {
        return Ok(0);
    };
    if !status.is_null() {
        cx.write(status, &child.event.to_user())?;
    }
    if !usage.is_null() {
        cx.write(usage, &super::limits::rusage(&child.usage))?;
    }
    Ok(child.pid as u64)
}

fn own_group(cx: &TaskContext<'_>) -> Pid {
    cx.kernel().processes.lock().process(cx.group().pid()).map_or(0, |process| process.pgid)
}

/// waitid(2).
pub(crate) fn waitid(
    cx: &mut TaskContext<'_>,
    kind: i32,
    id: i32,
    info: UserAddr,
    options: Flags,
    usage: UserAddr,
) -> CallResult {
    let options = WaitOptions::from_bits(options.0).ok_or(Errno::EINVAL)?;
    let events = WaitOptions::EXITED | WaitOptions::STOPPED | WaitOptions::CONTINUED;
    if !options.intersects(events) {
        return Err(Errno::EINVAL.into());
    }
    let mut nonblocking = false;
    let which = match (kind, id) {
        (0, _) => Which::Any,
        (1, id) if id > 0 => Which::Pid(id),
        (2, 0) => Which::Group(own_group(cx)),
        (2, id) if id > 0 => Which::Group(id),
        // P_PIDFD.
        (3, id) if id >= 0 => {
            let (group, is_nonblocking) = super::pidfd::process_of(cx, Fd(id))?;
            nonblocking = is_nonblocking && !options.contains(WaitOptions::NOHANG);
            Which::Process(group)
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    let nohang = if nonblocking { WaitOptions::NOHANG } else { WaitOptions::empty() };
    let child = cx.task.wait_child(which, options | nohang)?;
    if nonblocking && child.is_none() {
        return Err(Errno::EAGAIN.into());
    }
    let filled = child.map_or_else(SigInfo::default, |child| {
        let (code, status) = child.event.to_siginfo();
        SigInfo::child(code, child.pid, child.uid, status, 0, 0)
    });
    if !info.is_null() {
        // Only the fields that waitid(2) names are written.
        cx.write(info, &[filled.signo, filled.errno, filled.code])?;
        cx.write(info.offset(16), &[filled.fields[0], filled.fields[1]])?;
    }
    if let (Some(child), false) = (child, usage.is_null()) {
        cx.write(usage, &super::limits::rusage(&child.usage))?;
    }
    Ok(0)
}

/// set_tid_address(2).
pub(crate) fn set_tid_address(cx: &mut TaskContext<'_>, addr: UserAddr) -> CallResult {
    cx.task.set_clear_child_tid(addr.0);
    Ok(cx.task.tid() as u64)
}
