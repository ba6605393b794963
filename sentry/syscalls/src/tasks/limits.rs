//! Resource limits and usage.

use abi::process::{Rlimit, Rusage};
use abi::{Errno, UserAddr};
use kernel::time::{NANOS_PER_TICK, monotonic};
use kernel::{CallResult, Resource, ResourceUsage, Task, TaskContext};
use std::time::Duration;
use vfs::cred::Caps;

/// getrlimit(2).
pub(crate) fn getrlimit(cx: &mut TaskContext<'_>, resource: u32, limit: UserAddr) -> CallResult {
    let resource = Resource::new(resource)?;
    cx.write(limit, &cx.group().limits().get(resource))?;
    Ok(0)
}

/// setrlimit(2).
pub(crate) fn setrlimit(cx: &mut TaskContext<'_>, resource: u32, limit: UserAddr) -> CallResult {
    let limit: Rlimit = cx.read(limit)?;
    let resource = Resource::new(resource)?;
    let privileged = cx.cred().has_cap(Caps::SYS_RESOURCE);
    cx.group().limits().set(resource, limit, privileged)?;
    limit_changed(cx, cx.task, resource);
    Ok(0)
}

/// Tells those who enforce a limit that it is another one.
fn limit_changed(cx: &TaskContext<'_>, task: &Task, resource: Resource) {
    match resource {
        Resource::Cpu => cx.kernel().check_cpu_timers(task.group()),
        _ => task.update_mm_limits(),
    }
}

/// prlimit(2).
pub(crate) fn prlimit64(
    cx: &mut TaskContext<'_>,
    pid: i32,
    resource: u32,
    new: UserAddr,
    old: UserAddr,
) -> CallResult {
    let resource = Resource::new(resource)?;
    let new: Option<Rlimit> = new.non_null().map(|addr| cx.read(addr)).transpose()?;
    let task = match pid {
        0 => cx.task.clone(),
        pid => {
            let table = cx.kernel().processes.lock();
            let process = table.process(pid).ok_or(Errno::ESRCH)?;
            process.tasks.first().cloned().ok_or(Errno::ESRCH)?
        }
    };
    let (own, theirs) = (cx.cred(), task.cred());
    let same = [theirs.uid, theirs.euid, theirs.suid].iter().all(|id| *id == own.uid)
        && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|id| *id == own.gid);
    if !same && !own.has_cap(Caps::SYS_RESOURCE) && task.group().pid() != cx.group().pid() {
        return Err(Errno::EPERM.into());
    }
    let limits = task.group().limits();
    let before = limits.get(resource);
    if let Some(new) = new {
        limits.set(resource, new, own.has_cap(Caps::SYS_RESOURCE))?;
        limit_changed(cx, &task, resource);
    }
    if let Some(addr) = old.non_null() {
        cx.write(addr, &before)?;
    }
    Ok(0)
}

/// getrusage(2).
pub(crate) fn getrusage(cx: &mut TaskContext<'_>, who: i32, usage: UserAddr) -> CallResult {
    let filled = match who {
        libc::RUSAGE_CHILDREN => cx.group().children_usage(),
        libc::RUSAGE_SELF | libc::RUSAGE_THREAD => {
            cx.group().note_resident(&cx.mm());
            match who {
                libc::RUSAGE_SELF => cx.kernel().process_usage(cx.group()),
                _ => cx.task.usage(),
            }
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    cx.write(usage, &rusage(&filled))?;
    Ok(0)
}

/// As getrusage(2) and wait4(2) write it.
pub(super) fn rusage(usage: &ResourceUsage) -> Rusage {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Rusage {
        utime: Duration::from_nanos(usage.user).into(),
        stime: Duration::from_nanos(usage.system).into(),
        maxrss: count(usage.max_resident / 1024),
        minflt: count(usage.faults),
        nvcsw: count(usage.waits),
        ..Rusage::default()
    }
}

/// times(2).
pub(crate) fn times(cx: &mut TaskContext<'_>, buf: UserAddr) -> CallResult {
    if let Some(addr) = buf.non_null() {
        let own = cx.kernel().process_times(cx.group());
        let children = cx.group().children_times();
        let ticks = [own.0, own.1, children.0, children.1].map(|nanos| nanos / NANOS_PER_TICK);
        cx.write(addr, &ticks)?;
    }
    Ok(monotonic().as_nanos() as u64 / NANOS_PER_TICK)
}
