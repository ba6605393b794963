//! Scheduling: reported, not enforced: the host schedules.

use crate::args::Flags;
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, Task, TaskContext};
use std::sync::Arc;

const SCHED_OTHER: i32 = 0;
const SCHED_RR: i32 = 2;
const SCHED_BATCH: i32 = 3;
const SCHED_IDLE: i32 = 5;

fn find(cx: &TaskContext<'_>, tid: i32) -> SysResult<Arc<Task>> {
    match tid {
        0 => Ok(cx.task.clone()),
        tid if tid < 0 => Err(Errno::EINVAL),
        tid => cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::ESRCH),
    }
}

/// sched_yield(2).
pub(crate) fn sched_yield(_cx: &mut TaskContext<'_>) -> CallResult {
    std::thread::yield_now();
    Ok(0)
}

/// The CPUs of the sandbox, as a mask.
fn cpu_mask(cx: &TaskContext<'_>) -> Vec<u8> {
    let cpus = cx.kernel().cpus() as usize;
    let mut mask = vec![0; cpus.div_ceil(64) * 8];
    (0..cpus).for_each(|cpu| mask[cpu / 8] |= 1 << (cpu % 8));
    mask
}

/// sched_getaffinity(2).
pub(crate) fn sched_getaffinity(
    cx: &mut TaskContext<'_>,
    tid: i32,
    size: u32,
    mask: UserAddr,
) -> CallResult {
    let cpus = cpu_mask(cx);
    if (size as usize) < cpus.len() || size % 8 != 0 {
        return Err(Errno::EINVAL.into());
    }
    find(cx, tid)?;
    cx.mm().write_bytes(mask, &cpus)?;
    Ok(cpus.len() as u64)
}

/// sched_setaffinity(2): checked, and then left to the host.
pub(crate) fn sched_setaffinity(
    cx: &mut TaskContext<'_>,
    tid: i32,
    size: u32,
    mask: UserAddr,
) -> CallResult {
    let cpus = cpu_mask(cx);
    let mut wanted = vec![0; (size as usize).min(cpus.len())];
    cx.mm().read_bytes(mask, &mut wanted)?;
    find(cx, tid)?;
    if wanted.iter().zip(&cpus).all(|(a, b)| a & b == 0) {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}

/// getcpu(2).
pub(crate) fn getcpu(cx: &mut TaskContext<'_>, cpu: UserAddr, node: UserAddr) -> CallResult {
    let current = rustix::thread::sched_getcpu() as u32 % cx.kernel().cpus();
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
    find(cx, tid)?;
    Ok(SCHED_OTHER as u64)
}

/// sched_setscheduler(2): the normal policies are accepted, real-time ones refused as for an
/// unprivileged process.
pub(crate) fn sched_setscheduler(
    cx: &mut TaskContext<'_>,
    tid: i32,
    policy: i32,
    param: UserAddr,
) -> CallResult {
    /// SCHED_RESET_ON_FORK.
    const RESET_ON_FORK: i32 = 0x4000_0000;
    let priority: i32 = cx.read(param)?;
    find(cx, tid)?;
    match policy & !RESET_ON_FORK {
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE if priority == 0 => Ok(0),
        1..=SCHED_RR if (1..100).contains(&priority) => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// sched_getparam(2).
pub(crate) fn sched_getparam(cx: &mut TaskContext<'_>, tid: i32, param: UserAddr) -> CallResult {
    find(cx, tid)?;
    cx.write(param, &0i32)?;
    Ok(0)
}

/// sched_setparam(2).
pub(crate) fn sched_setparam(cx: &mut TaskContext<'_>, tid: i32, param: UserAddr) -> CallResult {
    sched_setscheduler(cx, tid, SCHED_OTHER, param)
}

/// sched_get_priority_max(2).
pub(crate) fn sched_get_priority_max(_cx: &mut TaskContext<'_>, policy: i32) -> CallResult {
    match policy {
        1..=SCHED_RR => Ok(99),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE | 6 => Ok(0),
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
    find(cx, tid)?;
    cx.write(time, &Timespec { sec: 0, nsec: 4_000_000 })?;
    Ok(0)
}

/// getpriority(2): nice 0, in the kernel's form (20 minus it).
pub(crate) fn getpriority(_cx: &mut TaskContext<'_>, which: u32, _who: i32) -> CallResult {
    if which > 2 { Err(Errno::EINVAL.into()) } else { Ok(20) }
}

/// setpriority(2): lowering one's own priority changes nothing here; raising it is not allowed.
pub(crate) fn setpriority(
    cx: &mut TaskContext<'_>,
    which: u32,
    _who: i32,
    nice: i32,
) -> CallResult {
    if which > 2 {
        return Err(Errno::EINVAL.into());
    }
    if nice < 0 && !cx.cred().has_cap(vfs::cred::Caps::SYS_NICE) {
        return Err(Errno::EACCES.into());
    }
    Ok(0)
}

/// ioprio_get(2): no class set.
pub(crate) fn ioprio_get(_cx: &mut TaskContext<'_>, which: i32, _who: i32) -> CallResult {
    if (1..=3).contains(&which) { Ok(0) } else { Err(Errno::EINVAL.into()) }
}

/// ioprio_set(2).
pub(crate) fn ioprio_set(
    _cx: &mut TaskContext<'_>,
    which: i32,
    _who: i32,
    _priority: Flags,
) -> CallResult {
    if (1..=3).contains(&which) { Ok(0) } else { Err(Errno::EINVAL.into()) }
}
