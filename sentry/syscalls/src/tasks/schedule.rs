//! Scheduling: kept and reported, not enforced: the host schedules.

use crate::args::Flags;
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::schedule::{
    CpuSet, IOPRIO_CLASS_SHIFT, SCHED_BATCH, SCHED_IDLE, SCHED_OTHER, Whose, may_schedule,
};
use kernel::{CallResult, Task, TaskContext};
use std::sync::Arc;
use vfs::Credentials;
use vfs::cred::Caps;

const SCHED_RR: i32 = 2;
const SCHED_DEADLINE: i32 = 6;
/// SCHED_RESET_ON_FORK.
const RESET_ON_FORK: i32 = 0x4000_0000;

/// The thread that a sched_ call names; 0 is the caller. ESRCH.
fn find(cx: &TaskContext<'_>, tid: i32) -> SysResult<Arc<Task>> {
    match tid {
        0 => Ok(cx.task.clone()),
        tid => cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::ESRCH),
    }
}

/// As [`find`], for the calls that refuse negative ids with EINVAL.
fn find_checked(cx: &TaskContext<'_>, tid: i32) -> SysResult<Arc<Task>> {
    if tid < 0 { Err(Errno::EINVAL) } else { find(cx, tid) }
}

/// sched_yield(2).
pub(crate) fn sched_yield(_cx: &mut TaskContext<'_>) -> CallResult {
    std::thread::yield_now();
    Ok(0)
}

/// sched_getaffinity(2).
pub(crate) fn sched_getaffinity(
    cx: &mut TaskContext<'_>,
    tid: i32,
    size: u32,
    mask: UserAddr,
) -> CallResult {
    let cpus = cx.kernel().cpus();
    if u64::from(size) * 8 < u64::from(cpus) || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let bytes = find(cx, tid)?.scheduling().cpus.to_bytes(cpus);
    let len = bytes.len().min(size as usize);
    cx.mm().write_bytes(mask, &bytes[..len])?;
    Ok(len as u64)
}

/// sched_setaffinity(2).
pub(crate) fn sched_setaffinity(
    cx: &mut TaskContext<'_>,
    tid: i32,
    size: u32,
    mask: UserAddr,
) -> CallResult {
    let all = CpuSet::first(cx.kernel().cpus());
    let mut bytes = vec![0; (size as usize).min(all.to_bytes(cx.kernel().cpus()).len())];
    cx.mm().read_bytes(mask, &mut bytes)?;
    let task = find(cx, tid)?;
    if !may_schedule(&cx.cred(), &task.cred()) {
        return Err(Errno::EPERM.into());
    }
    let wanted = CpuSet::from_bytes(&bytes).intersect(&all);
    if wanted.is_empty() {
        return Err(Errno::EINVAL.into());
    }
    task.set_scheduling(|scheduling| scheduling.cpus = wanted);
    Ok(0)
}

/// getcpu(2): the host's answer where the thread's affinity allows it, else the first allowed one.
pub(crate) fn getcpu(cx: &mut TaskContext<'_>, cpu: UserAddr, node: UserAddr) -> CallResult {
    let current = rustix::thread::sched_getcpu() as u32 % cx.kernel().cpus();
    let allowed = cx.task.scheduling().cpus;
    let current = match allowed.contains(current) {
        true => current,
        false => allowed.iter().next().unwrap_or(0),
    };
    if let Some(addr) = cpu.non_null() {
        cx.write(addr, &current)?;
    }
    if let Some(addr) = node.non_null() {
        cx.write(addr, &0u32)?;
    }
    Ok(0)
}

/// sched_getscheduler(2).
pub(crate) fn sched_getscheduler(cx: &mut TaskContext<'_>, tid: i32) -> CallResult {
    let scheduling = find_checked(cx, tid)?.scheduling();
    let flag = if scheduling.reset_on_fork { RESET_ON_FORK } else { 0 };
    Ok((scheduling.policy | flag) as u64)
}

/// sched_setscheduler(2): real-time policies are refused as for an unprivileged process.
pub(crate) fn sched_setscheduler(
    cx: &mut TaskContext<'_>,
    tid: i32,
    policy: i32,
    param: UserAddr,
) -> CallResult {
    if policy < 0 || param.is_null() || tid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority: i32 = cx.read(param)?;
    let task = find(cx, tid)?;
    set_policy(cx, &task, policy & !RESET_ON_FORK, policy & RESET_ON_FORK != 0, priority)
}

fn set_policy(
    cx: &TaskContext<'_>,
    task: &Task,
    policy: i32,
    reset_on_fork: bool,
    priority: i32,
) -> CallResult {
    match policy {
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE if priority == 0 => {}
        1..=SCHED_RR if (1..100).contains(&priority) => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    let (cred, old) = (cx.cred(), task.scheduling());
    let leaves_idle = old.policy == SCHED_IDLE && policy != SCHED_IDLE;
    let clears_reset = old.reset_on_fork && !reset_on_fork;
    if !may_schedule(&cred, &task.cred())
        || leaves_idle && !task.may_be_nice(old.nice, &cred)
        || clears_reset && !cred.has_cap(Caps::SYS_NICE)
    {
        return Err(Errno::EPERM.into());
    }
    task.set_scheduling(|scheduling| {
        scheduling.policy = policy;
        scheduling.reset_on_fork = reset_on_fork;
    });
    Ok(0)
}

/// sched_getparam(2): no policy that is there has a priority.
pub(crate) fn sched_getparam(cx: &mut TaskContext<'_>, tid: i32, param: UserAddr) -> CallResult {
    if param.is_null() {
        return Err(Errno::EINVAL.into());
    }
    find_checked(cx, tid)?;
    cx.write(param, &0i32)?;
    Ok(0)
}

/// sched_setparam(2).
pub(crate) fn sched_setparam(cx: &mut TaskContext<'_>, tid: i32, param: UserAddr) -> CallResult {
    if param.is_null() || tid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority: i32 = cx.read(param)?;
    let task = find(cx, tid)?;
    let old = task.scheduling();
    set_policy(cx, &task, old.policy, old.reset_on_fork, priority)
}

/// sched_get_priority_max(2).
pub(crate) fn sched_get_priority_max(_cx: &mut TaskContext<'_>, policy: i32) -> CallResult {
    match policy {
        1..=SCHED_RR => Ok(99),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// sched_get_priority_min(2).
pub(crate) fn sched_get_priority_min(cx: &mut TaskContext<'_>, policy: i32) -> CallResult {
    Ok(sched_get_priority_max(cx, policy)?.min(1))
}

/// sched_rr_get_interval(2).
pub(crate) fn sched_rr_get_interval(
    cx: &mut TaskContext<'_>,
    tid: i32,
    time: UserAddr,
) -> CallResult {
    find_checked(cx, tid)?;
    cx.write(time, &Timespec { sec: 0, nsec: 4_000_000 })?;
    Ok(0)
}

/// PRIO_PROCESS, PRIO_PGRP, PRIO_USER: all who are meant, maybe none.
fn prioritized(cx: &TaskContext<'_>, which: u32, who: i32) -> SysResult<Vec<Arc<Task>>> {
    let whose = match which {
        0 => Whose::Thread(who),
        1 => Whose::ProcessGroup(who),
        2 => Whose::User(who as u32),
        _ => return Err(Errno::EINVAL),
    };
    Ok(cx.kernel().scheduled_tasks(cx.task, whose))
}

/// getpriority(2): the highest, in the kernel's form (20 minus the nice value).
pub(crate) fn getpriority(cx: &mut TaskContext<'_>, which: u32, who: i32) -> CallResult {
    let tasks = prioritized(cx, which, who)?;
    let highest = tasks.iter().map(|task| task.scheduling().rank()).max();
    Ok(highest.ok_or(Errno::ESRCH)? as u64)
}

/// setpriority(2): as many as can be; an error of one is the call's, the last one if several.
pub(crate) fn setpriority(cx: &mut TaskContext<'_>, which: u32, who: i32, nice: i32) -> CallResult {
    let cred = cx.cred();
    let tasks = prioritized(cx, which, who)?;
    change_all(&tasks, |task| task.set_nice(nice, &cred))
}

fn change_all(tasks: &[Arc<Task>], change: impl Fn(&Task) -> SysResult<()>) -> CallResult {
    if tasks.is_empty() {
        return Err(Errno::ESRCH.into());
    }
    let mut result = Ok(0);
    for task in tasks {
        if let Err(errno) = change(task) {
            result = Err(errno.into());
        }
    }
    result
}

/// IOPRIO_WHO_PROCESS and so on are one more than PRIO_PROCESS and so on.
fn io_prioritized(cx: &TaskContext<'_>, which: i32, who: i32) -> SysResult<Vec<Arc<Task>>> {
    prioritized(cx, (which as u32).wrapping_sub(1), who)
}

/// ioprio_get(2): of one thread, what was set; of several, the highest in effect.
pub(crate) fn ioprio_get(cx: &mut TaskContext<'_>, which: i32, who: i32) -> CallResult {
    let tasks = io_prioritized(cx, which, who)?;
    let own = |task: &Arc<Task>| match which {
        1 => task.scheduling().io_priority,
        _ => task.scheduling().effective_io_priority(),
    };
    Ok(tasks.iter().map(own).min().ok_or(Errno::ESRCH)?.into())
}

/// ioprio_set(2).
pub(crate) fn ioprio_set(
    cx: &mut TaskContext<'_>,
    which: i32,
    who: i32,
    priority: Flags,
) -> CallResult {
    let cred = cx.cred();
    check_io_priority(priority.0, &cred)?;
    let tasks = io_prioritized(cx, which, who)?;
    change_all(&tasks, |task| {
        if !may_schedule(&cred, &task.cred()) {
            return Err(Errno::EPERM);
        }
        task.set_scheduling(|scheduling| scheduling.io_priority = priority.0 as u16);
        Ok(())
    })
}

fn check_io_priority(priority: u32, cred: &Credentials) -> SysResult<()> {
    /// Levels of a class; the hints above them are not looked at.
    const LEVEL_MASK: u32 = 7;
    let class = priority >> IOPRIO_CLASS_SHIFT;
    match class {
        // None: without a level.
        0 if priority & LEVEL_MASK == 0 => Ok(()),
        // Real-time.
        1 if !cred.has_cap(Caps::SYS_ADMIN) && !cred.has_cap(Caps::SYS_NICE) => Err(Errno::EPERM),
        // Best effort, idle.
        1..=3 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_priorities_are_checked_as_linux_does() {
        let check = |priority| check_io_priority(priority, &Credentials::new(1000, 1000, &[]));
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(5), Err(Errno::EINVAL));
        assert_eq!(check(1 << 13 | 4), Err(Errno::EPERM));
        assert_eq!(check(2 << 13 | 7), Ok(()));
        assert_eq!(check(3 << 13), Ok(()));
        assert_eq!(check(4 << 13), Err(Errno::EINVAL));
        assert_eq!(check(u32::MAX), Err(Errno::EINVAL));
    }
}
