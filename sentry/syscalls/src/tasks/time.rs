//! Clocks and sleeping.

use crate::args::Flags;
use abi::time::{Timespec, Timeval};
use abi::{Errno, SysResult, UserAddr};
use kernel::time::{
    RestartBlock, boottime, deadline_at, deadline_in, monotonic, realtime, remaining,
};
use kernel::{CallResult, Interrupted, Restart, SysError, TaskContext};
use std::time::{Duration, Instant};
use vfs::cred::Caps;

const TIMER_ABSTIME: u32 = 1;

/// The time a clock shows. EINVAL for one that does not exist.
fn clock_now(cx: &TaskContext<'_>, clock: i32) -> SysResult<Timespec> {
    Ok(match clock {
        // REALTIME, REALTIME_COARSE, REALTIME_ALARM
        0 | 5 | 8 => realtime(),
        // MONOTONIC, MONOTONIC_RAW, MONOTONIC_COARSE
        1 | 4 | 6 => monotonic(),
        // BOOTTIME, BOOTTIME_ALARM
        7 | 9 => boottime(),
        // TAI: no leap seconds are known.
        11 => realtime(),
        // PROCESS_CPUTIME_ID
        2 => nanos(cx.kernel().process_times(cx.group())),
        // THREAD_CPUTIME_ID
        3 => nanos(cx.task.clock.times()),
        clock if clock < 0 => cpu_clock(cx, clock)?,
        _ => return Err(Errno::EINVAL),
    })
}

fn nanos((user, system): (u64, u64)) -> Timespec {
    Duration::from_nanos(user + system).into()
}

/// The CPU clock of another process or thread: clock_getcpuclockid(3), pthread_getcpuclockid(3).
fn cpu_clock(cx: &TaskContext<'_>, clock: i32) -> SysResult<Timespec> {
    /// CPUCLOCK_PERTHREAD_MASK.
    const PER_THREAD: i32 = 4;
    let id = !(clock >> 3);
    if clock & 3 == 3 || id < 0 {
        return Err(Errno::EINVAL);
    }
    if clock & PER_THREAD != 0 {
        let tid = if id == 0 { cx.task.tid() } else { id };
        let task = cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::EINVAL)?;
        return Ok(nanos(task.clock.times()));
    }
    let pid = if id == 0 { cx.group().pid() } else { id };
    let group = {
        let table = cx.kernel().processes.lock();
        table.process(pid).map(|process| process.group.clone()).ok_or(Errno::EINVAL)?
    };
    Ok(nanos(cx.kernel().process_times(&group)))
}

/// clock_gettime(2).
pub(crate) fn clock_gettime(cx: &mut TaskContext<'_>, clock: i32, time: UserAddr) -> CallResult {
    let now = clock_now(cx, clock)?;
    cx.write(time, &now)?;
    Ok(0)
}

/// clock_getres(2).
pub(crate) fn clock_getres(cx: &mut TaskContext<'_>, clock: i32, time: UserAddr) -> CallResult {
    clock_now(cx, clock)?;
    let coarse = clock == 5 || clock == 6;
    let resolution = Timespec { sec: 0, nsec: if coarse { 4_000_000 } else { 1 } };
    if let Some(addr) = time.non_null() {
        cx.write(addr, &resolution)?;
    }
    Ok(0)
}

/// clock_settime(2): the clock is the host's.
pub(crate) fn clock_settime(cx: &mut TaskContext<'_>, clock: i32, time: UserAddr) -> CallResult {
    if clock != 0 {
        return Err(Errno::EINVAL.into());
    }
    let time: Timespec = cx.read(time)?;
    if !time.is_valid() {
        return Err(Errno::EINVAL.into());
    }
    Err(Errno::EPERM.into())
}

/// gettimeofday(2). There is no time zone.
pub(crate) fn gettimeofday(cx: &mut TaskContext<'_>, time: UserAddr, zone: UserAddr) -> CallResult {
    let now = realtime();
    if let Some(addr) = time.non_null() {
        cx.write(addr, &Timeval { sec: now.sec, usec: now.nsec / 1000 })?;
    }
    if let Some(addr) = zone.non_null() {
        cx.write(addr, &[0i32; 2])?;
    }
    Ok(0)
}

/// settimeofday(2): the clock is the host's.
pub(crate) fn settimeofday(
    cx: &mut TaskContext<'_>,
    time: UserAddr,
    _zone: UserAddr,
) -> CallResult {
    if let Some(addr) = time.non_null() {
        let time: Timeval = cx.read(addr)?;
        time.to_duration().ok_or(Errno::EINVAL)?;
    }
    let _ = cx.cred().has_cap(Caps::SYS_TIME);
    Err(Errno::EPERM.into())
}

/// time(2).
pub(crate) fn time(cx: &mut TaskContext<'_>, at: UserAddr) -> CallResult {
    let now = realtime().sec;
    if let Some(addr) = at.non_null() {
        cx.write(addr, &now)?;
    }
    Ok(now as u64)
}

/// nanosleep(2).
pub(crate) fn nanosleep(cx: &mut TaskContext<'_>, time: UserAddr, rest: UserAddr) -> CallResult {
    let time: Timespec = cx.read(time)?;
    sleep_until(cx, deadline_in(time.to_duration().ok_or(Errno::EINVAL)?), rest)
}

/// clock_nanosleep(2).
pub(crate) fn clock_nanosleep(
    cx: &mut TaskContext<'_>,
    clock: i32,
    flags: Flags,
    time: UserAddr,
    rest: UserAddr,
) -> CallResult {
    match clock {
        0 | 1 | 7 | 8 | 9 | 11 => {}
        // Sleeping on a CPU clock is not there; on the coarse and raw ones Linux does not either.
        2..=6 => return Err(Errno::EOPNOTSUPP.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    let time: Timespec = cx.read(time)?;
    let duration = time.to_duration().ok_or(Errno::EINVAL)?;
    if flags.0 & TIMER_ABSTIME == 0 {
        return sleep_until(cx, deadline_in(duration), rest);
    }
    let deadline = deadline_at(clock_now(cx, clock)?, time);
    match cx.task.block_on::<()>(&[], deadline, || None) {
        Err(Interrupted::Signal) => Err(SysError::Restart(Restart::UnlessHandler)),
        _ => Ok(0),
    }
}

/// Sleeps; interrupted, it says how much is left, and leaves word for restart_syscall(2).
fn sleep_until(cx: &mut TaskContext<'_>, deadline: Option<Instant>, rest: UserAddr) -> CallResult {
    match cx.task.block_on::<()>(&[], deadline, || None) {
        Err(Interrupted::Signal) => {
            if let Some(addr) = rest.non_null() {
                cx.write(addr, &Timespec::from(remaining(deadline)))?;
            }
            cx.task.set_restart_block(RestartBlock::Sleep { deadline, remaining: rest });
            Err(SysError::Restart(Restart::Block))
        }
        _ => Ok(0),
    }
}

/// restart_syscall(2).
pub(crate) fn restart_syscall(cx: &mut TaskContext<'_>) -> CallResult {
    match cx.task.take_restart_block() {
        None => Err(Errno::EINTR.into()),
        Some(RestartBlock::Sleep { deadline, remaining }) => sleep_until(cx, deadline, remaining),
        Some(RestartBlock::Poll { fds, count, deadline }) => {
            crate::files::poll_until(cx, fds, count, deadline)
        }
        Some(RestartBlock::FutexWait { addr, value, bitset, private, deadline }) => {
            super::futex::wait_until(cx, addr, private, value, bitset, deadline)
        }
    }
}
