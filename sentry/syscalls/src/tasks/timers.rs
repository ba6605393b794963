//! POSIX timers and interval timers.

use crate::args::Flags;
use abi::signal::Signal;
use abi::time::{Itimerspec, Itimerval, Timespec, Timeval};
use abi::{Errno, SysResult, UserAddr};
use kernel::posix_timer::{CpuKind, Notify, TimerClock, TimerSetting};
use kernel::{CallResult, Task, TaskContext};
use std::sync::Arc;
use std::time::Duration;

const TIMER_ABSTIME: u32 = 1;

/// The clock of a timer. EINVAL: there is no such; EOPNOTSUPP: it has no timers.
fn timer_clock(cx: &TaskContext<'_>, clock: i32) -> SysResult<TimerClock> {
    /// CAP_WAKE_ALARM.
    const WAKE_ALARM: u32 = 35;
    match clock {
        // REALTIME, TAI
        0 | 11 => Ok(TimerClock::Realtime),
        1 => Ok(TimerClock::Monotonic),
        // PROCESS_CPUTIME_ID, THREAD_CPUTIME_ID
        2 => Ok(TimerClock::Process(CpuKind::Total)),
        3 => Ok(TimerClock::Thread(Arc::downgrade(cx.task), CpuKind::Total)),
        // MONOTONIC_RAW, and the coarse ones
        4..=6 => Err(Errno::EOPNOTSUPP),
        7 => Ok(TimerClock::Boottime),
        // REALTIME_ALARM, BOOTTIME_ALARM: there is nothing to be woken, so they are as the others.
        8 | 9 if !cx.cred().has_cap(WAKE_ALARM) => Err(Errno::EPERM),
        8 => Ok(TimerClock::Realtime),
        9 => Ok(TimerClock::Boottime),
        clock if clock < 0 => cpu_timer_clock(cx, clock),
        _ => Err(Errno::EINVAL),
    }
}

/// A CPU clock with an id in it: clock_getcpuclockid(3), pthread_getcpuclockid(3).
fn cpu_timer_clock(cx: &TaskContext<'_>, clock: i32) -> SysResult<TimerClock> {
    /// CPUCLOCK_PERTHREAD_MASK.
    const PER_THREAD: i32 = 4;
    let kind = match clock & 3 {
        0 | 2 => CpuKind::Total,
        1 => CpuKind::User,
        // A clock behind a descriptor.
        _ if clock & PER_THREAD == 0 => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    };
    let id = !(clock >> 3);
    if clock & PER_THREAD == 0 {
        // Another process's clock is a valid one in Linux, and not offered here.
        let own = id == 0 || id == cx.group().pid();
        return own.then_some(TimerClock::Process(kind)).ok_or(Errno::EINVAL);
    }
    let task = if id == 0 { cx.task.clone() } else { own_thread(cx, id)? };
    Ok(TimerClock::Thread(Arc::downgrade(&task), kind))
}

/// A thread of the caller's process. EINVAL.
fn own_thread(cx: &TaskContext<'_>, tid: i32) -> SysResult<Arc<Task>> {
    let task = cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::EINVAL)?;
    let own = task.group().pid() == cx.group().pid();
    own.then_some(task).ok_or(Errno::EINVAL)
}

/// `struct sigevent`: value, signal number, how, thread id. 64 bytes.
fn read_event(cx: &TaskContext<'_>, event: UserAddr) -> SysResult<(u64, i32, i32, i32)> {
    let words: [u64; 8] = cx.read(event)?;
    let [value, signal_and_how, tid, ..] = words;
    Ok((value, signal_and_how as i32, (signal_and_how >> 32) as i32, tid as i32))
}

/// What a sigevent(3) asks for. EINVAL.
fn notification(cx: &TaskContext<'_>, signal: i32, how: i32, tid: i32) -> SysResult<Notify> {
    match how {
        libc::SIGEV_NONE => Ok(Notify::Nothing),
        // A thread is the C library's business: the kernel only sends the signal.
        libc::SIGEV_SIGNAL | libc::SIGEV_THREAD => Ok(Notify::Process(Signal::new(signal)?)),
        libc::SIGEV_THREAD_ID => {
            let task = own_thread(cx, tid)?;
            Ok(Notify::Thread(Arc::downgrade(&task), Signal::new(signal)?))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// timer_create(2).
pub(crate) fn timer_create(
    cx: &mut TaskContext<'_>,
    clock: i32,
    event: UserAddr,
    id: UserAddr,
) -> CallResult {
    let event = event.non_null().map(|addr| read_event(cx, addr)).transpose()?;
    let clock = timer_clock(cx, clock)?;
    let (notify, value) = match event {
        None => (Notify::Process(Signal::SIGALRM), None),
        Some((value, signal, how, tid)) => (notification(cx, signal, how, tid)?, Some(value)),
    };
    let group = cx.group();
    let made = cx.kernel().create_timer(group, clock, notify, value)?;
    if let Err(errno) = cx.write(id, &made) {
        let _ = group.delete_timer(made);
        return Err(errno.into());
    }
    Ok(0)
}

fn to_nanos(time: Timespec) -> SysResult<u64> {
    match time.is_valid() {
        true => Ok(u64::try_from(time.as_nanos()).unwrap_or(0)),
        false => Err(Errno::EINVAL),
    }
}

fn from_nanos(nanos: u64) -> Timespec {
    Duration::from_nanos(nanos).into()
}

fn itimerspec(setting: TimerSetting) -> Itimerspec {
    Itimerspec { interval: from_nanos(setting.interval), value: from_nanos(setting.value) }
}

/// timer_settime(2).
pub(crate) fn timer_settime(
    cx: &mut TaskContext<'_>,
    id: i32,
    flags: Flags,
    new: UserAddr,
    old: UserAddr,
) -> CallResult {
    let new: Itimerspec = cx.read(new.non_null().ok_or(Errno::EINVAL)?)?;
    let setting = TimerSetting { interval: to_nanos(new.interval)?, value: to_nanos(new.value)? };
    let absolute = flags.0 & TIMER_ABSTIME != 0;
    let before = cx.kernel().set_timer(cx.group(), id, setting, absolute)?;
    if let Some(addr) = old.non_null() {
        cx.write(addr, &itimerspec(before))?;
    }
    Ok(0)
}

/// timer_gettime(2).
pub(crate) fn timer_gettime(cx: &mut TaskContext<'_>, id: i32, setting: UserAddr) -> CallResult {
    let now = cx.kernel().timer_setting(cx.group(), id)?;
    cx.write(setting, &itimerspec(now))?;
    Ok(0)
}

/// timer_getoverrun(2).
pub(crate) fn timer_getoverrun(cx: &mut TaskContext<'_>, id: i32) -> CallResult {
    Ok(cx.group().timer_overrun(id)? as u64)
}

/// timer_delete(2).
pub(crate) fn timer_delete(cx: &mut TaskContext<'_>, id: i32) -> CallResult {
    cx.group().delete_timer(id)?;
    Ok(0)
}

/// Which of the three interval timers of a process.
#[derive(Clone, Copy)]
enum Itimer {
    /// ITIMER_REAL.
    Real,
    /// ITIMER_VIRTUAL, ITIMER_PROF.
    Cpu(CpuKind),
}

impl Itimer {
    fn new(which: i32) -> SysResult<Itimer> {
        match which {
            0 => Ok(Itimer::Real),
            1 => Ok(Itimer::Cpu(CpuKind::User)),
            2 => Ok(Itimer::Cpu(CpuKind::Total)),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// What is left, and the interval. While something is left it is not shown as 0.
fn itimerval((left, interval): (Duration, Duration)) -> Itimerval {
    let mut value = Timeval::from(left);
    if !left.is_zero() && value == Timeval::default() {
        value.usec = 1;
    }
    Itimerval { interval: interval.into(), value }
}

fn durations(setting: TimerSetting) -> (Duration, Duration) {
    (Duration::from_nanos(setting.value), Duration::from_nanos(setting.interval))
}

/// getitimer(2).
pub(crate) fn getitimer(cx: &mut TaskContext<'_>, which: i32, value: UserAddr) -> CallResult {
    let setting = match Itimer::new(which)? {
        Itimer::Real => cx.group().real_timer(),
        Itimer::Cpu(kind) => durations(cx.kernel().cpu_timer(cx.group(), kind)),
    };
    cx.write(value, &itimerval(setting))?;
    Ok(0)
}

/// setitimer(2).
pub(crate) fn setitimer(
    cx: &mut TaskContext<'_>,
    which: i32,
    new: UserAddr,
    old: UserAddr,
) -> CallResult {
    let new = match new.non_null() {
        Some(addr) => cx.read(addr)?,
        None => Itimerval::default(),
    };
    let value = new.value.to_duration().ok_or(Errno::EINVAL)?;
    let interval = new.interval.to_duration().ok_or(Errno::EINVAL)?;
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let before = match Itimer::new(which)? {
        Itimer::Real => cx.kernel().set_real_timer(cx.group(), value, interval),
        Itimer::Cpu(kind) => {
            let setting = TimerSetting { value: nanos(value), interval: nanos(interval) };
            durations(cx.kernel().set_cpu_timer(cx.group(), kind, setting))
        }
    };
    if let Some(addr) = old.non_null() {
        cx.write(addr, &itimerval(before))?;
    }
    Ok(0)
}

/// alarm(2).
pub(crate) fn alarm(cx: &mut TaskContext<'_>, seconds: u32) -> CallResult {
    let value = Duration::from_secs(seconds.into());
    let (left, _) = cx.kernel().set_real_timer(cx.group(), value, Duration::ZERO);
    // Rounded, but never to 0 while something is left.
    let rounded = (left + Duration::from_millis(500)).as_secs();
    Ok(if left.is_zero() { 0 } else { rounded.max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_armed_never_shows_zero() {
        let shown = itimerval((Duration::from_nanos(7), Duration::ZERO));
        assert_eq!(shown.value, Timeval { sec: 0, usec: 1 });
        let shown = itimerval((Duration::ZERO, Duration::from_secs(1)));
        assert_eq!((shown.value.usec, shown.interval.sec), (0, 1));
    }

    #[test]
    fn times_are_checked_and_saturate() {
        assert_eq!(to_nanos(Timespec { sec: 1, nsec: 5 }), Ok(1_000_000_005));
        assert_eq!(to_nanos(Timespec { sec: i64::MAX, nsec: 0 }), Ok(i64::MAX as u64));
        for bad in [Timespec { sec: -1, nsec: 0 }, Timespec { sec: 0, nsec: 1_000_000_000 }] {
            assert_eq!(to_nanos(bad), Err(Errno::EINVAL));
        }
    }
}
