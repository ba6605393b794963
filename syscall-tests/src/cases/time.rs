//! Clocks and sleeping: clock_gettime(2), nanosleep(2), clock_nanosleep(2), times(2), getrusage(2).

use crate::calls::{self, getpid, now, timespec};
use crate::case::{Case, Outcome, child, in_child, reap, until, until_asleep};
use crate::sys::BAD;
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "time";
    monotonic_never_goes_back: "CLOCK_MONOTONIC never goes back, in calls and in libc";
    clocks_are_known: "the usual clocks work, others are EINVAL";
    realtime_agrees: "clock_gettime, gettimeofday and time agree";
    getres_is_sane: "clock_getres gives a nanosecond for high-resolution clocks";
    coarse_clocks_follow: "coarse clocks are not ahead of the fine ones";
    nanosleep_is_not_early: "nanosleep waits at least as long as asked";
    nanosleep_errors: "nanosleep's EINVAL and EFAULT";
    nanosleep_interrupted_gives_rest: "EINTR, with the remaining time";
    clock_nanosleep_absolute: "TIMER_ABSTIME waits until a point in time";
    clock_nanosleep_absolute_keeps_rest: "an interrupted absolute sleep leaves the rest alone";
    clock_nanosleep_errors: "clock_nanosleep's EINVAL, EOPNOTSUPP and EFAULT";
    cputime_counts_work: "CLOCK_PROCESS_CPUTIME_ID counts work, not sleep";
    process_clock_by_pid: "clock ids made from pids";
    times_counts_children: "times counts waited-for children";
    getrusage_of_self_and_children: "RUSAGE_SELF, RUSAGE_CHILDREN and EINVAL";
    settime_needs_privilege [Ordinary]: "setting the clock is EPERM";
    bad_pointers_are_efault: "bad pointers are EFAULT";
}

fn monotonic_never_goes_back(_: &mut Case) -> Outcome {
    let mut last = 0;
    let begin = std::time::Instant::now();
    for _ in 0..10_000 {
        let next = now(libc::CLOCK_MONOTONIC)?;
        check!(next >= last, "{next} not to be before {last}");
        last = next;
    }
    let end = std::time::Instant::now();
    check!(end >= begin, "libc's clock to go on");
    Ok(())
}

fn clocks_are_known(_: &mut Case) -> Outcome {
    for clock in [0, 1, 2, 3, 4, 5, 6, 7, 11] {
        check!(now(clock)? >= 0, "a time of clock {clock}");
    }
    check_errno!(now(12), EINVAL);
    check_errno!(now(77), EINVAL);
    check_errno!(sys!(SYS_clock_getres, 77, 0), EINVAL);
    Ok(())
}

fn realtime_agrees(_: &mut Case) -> Outcome {
    let first = now(libc::CLOCK_REALTIME)? / 1_000_000_000;
    let mut day = sys::zeroed::<libc::timeval>();
    sys!(SYS_gettimeofday, &mut day, 0)?;
    let mut stored = 0i64;
    let seconds = sys!(SYS_time, &mut stored)? as i64;
    let last = now(libc::CLOCK_REALTIME)? / 1_000_000_000;
    check_eq!(seconds, stored, "time's two answers");
    check!((first..=last).contains(&day.tv_sec), "gettimeofday in between");
    // time(2) reads the coarse clock, which lags by up to a tick.
    check!((first - 1..=last).contains(&seconds), "time in between");
    check!(first > 1_600_000_000, "a date after 2020, got {first}");
    Ok(())
}

fn getres_is_sane(_: &mut Case) -> Outcome {
    let mut resolution = sys::zeroed::<libc::timespec>();
    sys!(SYS_clock_getres, libc::CLOCK_MONOTONIC, &mut resolution)?;
    check_eq!((resolution.tv_sec, resolution.tv_nsec), (0, 1), "resolution");
    sys!(SYS_clock_getres, libc::CLOCK_REALTIME_COARSE, &mut resolution)?;
    check!(resolution.tv_nsec >= 1_000_000, "a coarse one, got {}", resolution.tv_nsec);
    sys!(SYS_clock_getres, libc::CLOCK_MONOTONIC, 0)?;
    Ok(())
}

fn coarse_clocks_follow(_: &mut Case) -> Outcome {
    for (coarse, fine) in [
        (libc::CLOCK_MONOTONIC_COARSE, libc::CLOCK_MONOTONIC),
        (libc::CLOCK_REALTIME_COARSE, libc::CLOCK_REALTIME),
    ] {
        let (a, b) = (now(coarse)?, now(fine)?);
        check!(a <= b, "clock {coarse} not ahead: {a} and {b}");
    }
    Ok(())
}

fn nanosleep_is_not_early(_: &mut Case) -> Outcome {
    let start = now(libc::CLOCK_MONOTONIC)?;
    sys!(SYS_nanosleep, &timespec(12_345_678), 0)?;
    let waited = now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 12_345_678, "12.3 ms or more, got {waited} ns");
    sys!(SYS_nanosleep, &timespec(0), 0)?;
    Ok(())
}

fn nanosleep_errors(_: &mut Case) -> Outcome {
    let nanosleep = |tv_sec, tv_nsec| sys!(SYS_nanosleep, &libc::timespec { tv_sec, tv_nsec }, 0);
    check_errno!(nanosleep(0, -1), EINVAL);
    check_errno!(nanosleep(0, 1_000_000_000), EINVAL);
    check_errno!(nanosleep(-1, 0), EINVAL);
    check_errno!(sys!(SYS_nanosleep, BAD, 0), EFAULT);
    Ok(())
}

fn note(_: &sys::Delivery) {}

/// Runs `sleep` while a child sends SIGUSR1 to it.
fn interrupted(sleep: impl FnOnce() -> sys::SysResult) -> Outcome<sys::SysResult> {
    // Sleeps are interrupted by any handler, SA_RESTART or not.
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, note)?;
    let me = getpid();
    let pid = child(|| {
        until_asleep(me, me)?;
        Ok(calls::kill(me, libc::SIGUSR1)?)
    })?;
    let result = sleep();
    reap(pid)?;
    Ok(result)
}

fn nanosleep_interrupted_gives_rest(_: &mut Case) -> Outcome {
    let mut rest = timespec(0);
    let request = timespec(100_000_000_000);
    let result = interrupted(|| sys!(SYS_nanosleep, &request, &mut rest))?;
    check_errno!(result, EINTR);
    check!((50..=100).contains(&rest.tv_sec), "the rest of 100 s, got {} s", rest.tv_sec);
    Ok(())
}

fn clock_nanosleep_absolute(_: &mut Case) -> Outcome {
    for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME] {
        let at = now(clock)? + 10_000_000;
        sys!(SYS_clock_nanosleep, clock, libc::TIMER_ABSTIME, &timespec(at), 0)?;
        check!(now(clock)? >= at, "the time to have come");
        sys!(SYS_clock_nanosleep, clock, libc::TIMER_ABSTIME, &timespec(1), 0)?;
    }
    Ok(())
}

fn clock_nanosleep_absolute_keeps_rest(_: &mut Case) -> Outcome {
    let at = timespec(now(libc::CLOCK_MONOTONIC)? + 100_000_000_000);
    let mut rest = timespec(77);
    let (clock, absolute) = (libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME);
    let result = interrupted(|| sys!(SYS_clock_nanosleep, clock, absolute, &at, &mut rest))?;
    check_errno!(result, EINTR);
    check_eq!(rest.tv_nsec, 77, "rest, which is not written");
    Ok(())
}

fn clock_nanosleep_errors(_: &mut Case) -> Outcome {
    let zero = timespec(0);
    check_errno!(sys!(SYS_clock_nanosleep, 77, 0, &zero, 0), EINVAL);
    // The EINVAL of the man page is libc's own.
    let thread = libc::CLOCK_THREAD_CPUTIME_ID;
    check_errno!(sys!(SYS_clock_nanosleep, thread, 0, &zero, 0), EOPNOTSUPP);
    check_errno!(sys!(SYS_clock_nanosleep, 1, 0, BAD, 0), EFAULT);
    check_errno!(sys!(SYS_clock_nanosleep, libc::CLOCK_MONOTONIC_COARSE, 0, &zero, 0), EOPNOTSUPP);
    let bad = libc::timespec { tv_sec: 0, tv_nsec: -5 };
    check_errno!(sys!(SYS_clock_nanosleep, 1, 0, &bad, 0), EINVAL);
    Ok(())
}

fn cputime_counts_work(_: &mut Case) -> Outcome {
    let start = now(libc::CLOCK_PROCESS_CPUTIME_ID)?;
    until("5 ms of processor time are used", || {
        crate::case::burn();
        Ok(now(libc::CLOCK_PROCESS_CPUTIME_ID)? - start >= 5_000_000)
    })?;
    let used = now(libc::CLOCK_PROCESS_CPUTIME_ID)?;
    let begin = now(libc::CLOCK_MONOTONIC)?;
    sys!(SYS_nanosleep, &timespec(60_000_000), 0)?;
    let slept = now(libc::CLOCK_MONOTONIC)? - begin;
    let more = now(libc::CLOCK_PROCESS_CPUTIME_ID)? - used;
    check!(more < slept, "less processor time ({more}) than time asleep ({slept})");
    Ok(())
}

fn process_clock_by_pid(_: &mut Case) -> Outcome {
    // The complement of the pid, shifted by three, and 2 for the scheduler's clock.
    let clock = |pid: i32| (!pid << 3) | 2;
    check!(now(clock(getpid()))? > 0, "some time used");
    check_errno!(now(clock(0x3f_ffff)), EINVAL);
    Ok(())
}

fn times_counts_children(_: &mut Case) -> Outcome {
    in_child(|| {
        until("30 ms of processor time are used", || {
            Ok(now(libc::CLOCK_PROCESS_CPUTIME_ID)? >= 30_000_000)
        })
    })?;
    let mut tms = sys::zeroed::<libc::tms>();
    let ticks = sys!(SYS_times, &mut tms)?;
    check!(ticks > 0, "ticks");
    check!(tms.tms_cutime + tms.tms_cstime >= 1, "a tick or more of the child");
    sys!(SYS_times, 0)?;
    check_errno!(sys!(SYS_times, BAD), EFAULT);
    Ok(())
}

fn getrusage_of_self_and_children(_: &mut Case) -> Outcome {
    let mut usage = sys::zeroed::<libc::rusage>();
    sys!(SYS_getrusage, libc::RUSAGE_SELF, &mut usage)?;
    check!(usage.ru_maxrss > 100, "ru_maxrss, got {} KiB", usage.ru_maxrss);
    sys!(SYS_getrusage, libc::RUSAGE_THREAD, &mut usage)?;
    sys!(SYS_getrusage, libc::RUSAGE_CHILDREN, &mut usage)?;
    check_eq!(usage.ru_maxrss, 0, "ru_maxrss of children before there were any");
    check_errno!(sys!(SYS_getrusage, 5, &mut usage), EINVAL);
    check_errno!(sys!(SYS_getrusage, 0, BAD), EFAULT);
    Ok(())
}

fn settime_needs_privilege(_: &mut Case) -> Outcome {
    let zero = timespec(0);
    check_errno!(sys!(SYS_clock_settime, libc::CLOCK_REALTIME, &zero), EPERM);
    check_errno!(sys!(SYS_clock_settime, libc::CLOCK_MONOTONIC, &zero), EINVAL);
    let zero = sys::zeroed::<libc::timeval>();
    check_errno!(sys!(SYS_settimeofday, &zero, 0), EPERM);
    Ok(())
}

fn bad_pointers_are_efault(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_clock_gettime, 0, BAD), EFAULT);
    check_errno!(sys!(SYS_clock_gettime, 1, sys::KERNEL_ADDRESS), EFAULT);
    check_errno!(sys!(SYS_clock_getres, 1, BAD), EFAULT);
    check_errno!(sys!(SYS_gettimeofday, BAD, 0), EFAULT);
    check_errno!(sys!(SYS_time, BAD), EFAULT);
    Ok(())
}
