//! Descriptors that stand for events: eventfd(2), timerfd_create(2), signalfd(2).

use crate::calls::{self, close, getpid, read, ready, write};
use crate::case::{Case, Outcome, child, reap, until_asleep};
use crate::sys::{BAD, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "eventfd";
    counter_adds_and_clears: "writes add, a read takes all";
    semaphore_counts_down: "EFD_SEMAPHORE gives one at a time";
    nonblocking_empty_and_full: "EAGAIN when empty, and when the sum would overflow";
    sizes_and_values: "8 bytes at least; all ones cannot be written";
    poll_shows_state: "POLLIN when not zero, POLLOUT unless full";
    flags_are_checked: "unknown flags are EINVAL";
    blocked_read_wakes: "a reader sleeps until something is written";
    timerfd_fires: "a timerfd becomes readable, not early, and counts";
    timerfd_interval_counts: "missed expirations are counted";
    timerfd_absolute_past_fires_at_once: "an absolute time in the past fires at once";
    timerfd_gettime_and_disarm: "time left, and disarming";
    timerfd_errors: "timerfd's EINVAL, EBADF and EFAULT";
    signalfd_reads_pending: "a signalfd gives a pending signal with sender and value";
    signalfd_mask_is_replaced: "signalfd on an existing one replaces the mask";
    signalfd_errors: "signalfd's EINVAL, EBADF and EAGAIN";
}

fn eventfd(value: u32, flags: i32) -> SysResult<i32> {
    sys!(SYS_eventfd2, value, flags).map(|fd| fd as i32)
}

fn take(fd: i32) -> SysResult<u64> {
    let mut bytes = [0u8; 8];
    read(fd, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn put(fd: i32, value: u64) -> SysResult {
    write(fd, &value.to_ne_bytes())
}

fn counter_adds_and_clears(_: &mut Case) -> Outcome {
    let fd = eventfd(3, libc::EFD_NONBLOCK)?;
    put(fd, 4)?;
    put(fd, 0)?;
    check_eq!(take(fd)?, 7, "value");
    check_errno!(take(fd), EAGAIN);
    Ok(())
}

fn semaphore_counts_down(_: &mut Case) -> Outcome {
    let fd = eventfd(2, libc::EFD_SEMAPHORE | libc::EFD_NONBLOCK)?;
    check_eq!((take(fd)?, take(fd)?), (1, 1), "values");
    check_errno!(take(fd), EAGAIN);
    Ok(())
}

fn nonblocking_empty_and_full(_: &mut Case) -> Outcome {
    let fd = eventfd(0, libc::EFD_NONBLOCK)?;
    put(fd, u64::MAX - 1)?;
    check_errno!(put(fd, 1), EAGAIN);
    put(fd, 0)?;
    check_eq!(take(fd)?, u64::MAX - 1, "value");
    Ok(())
}

fn sizes_and_values(_: &mut Case) -> Outcome {
    let fd = eventfd(1, 0)?;
    check_errno!(read(fd, &mut [0; 7]), EINVAL);
    check_errno!(write(fd, &[0; 7]), EINVAL);
    check_errno!(put(fd, u64::MAX), EINVAL);
    check_eq!(read(fd, &mut [0; 20])?, 8, "bytes read into a larger buffer");
    check_errno!(sys!(SYS_pread64, fd, &mut [0u8; 8], 8, 0), ESPIPE);
    Ok(())
}

fn poll_shows_state(_: &mut Case) -> Outcome {
    let all = libc::POLLIN | libc::POLLOUT;
    let fd = eventfd(0, 0)?;
    check_eq!(ready(fd, all)?, libc::POLLOUT, "events at zero");
    put(fd, 1)?;
    check_eq!(ready(fd, all)?, all, "events at one");
    put(fd, u64::MAX - 2)?;
    check_eq!(ready(fd, all)?, libc::POLLIN, "events when full");
    Ok(())
}

fn flags_are_checked(_: &mut Case) -> Outcome {
    check_errno!(eventfd(0, 2), EINVAL);
    let fd = eventfd(0, libc::EFD_CLOEXEC)?;
    check_eq!(calls::fcntl(fd, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    sys!(SYS_eventfd, 5)?;
    Ok(())
}

fn blocked_read_wakes(_: &mut Case) -> Outcome {
    let fd = eventfd(0, 0)?;
    let pid = child(|| {
        check_eq!(take(fd)?, 9, "value");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    put(fd, 9)?;
    reap(pid)
}

fn timerfd(clock: i32, flags: i32) -> SysResult<i32> {
    sys!(SYS_timerfd_create, clock, flags).map(|fd| fd as i32)
}

fn set(fd: i32, flags: i32, value: i64, interval: i64) -> SysResult {
    let mut spec = sys::zeroed::<libc::itimerspec>();
    spec.it_value = calls::timespec(value);
    spec.it_interval = calls::timespec(interval);
    sys!(SYS_timerfd_settime, fd, flags, &spec, 0)
}

fn timerfd_fires(_: &mut Case) -> Outcome {
    let fd = timerfd(libc::CLOCK_MONOTONIC, 0)?;
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    set(fd, 0, 10_000_000, 0)?;
    check_eq!(take(fd)?, 1, "expirations");
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 10_000_000, "10 ms or more, got {waited} ns");
    check_eq!(ready(fd, libc::POLLIN)?, 0, "events after reading");
    Ok(())
}

fn timerfd_interval_counts(_: &mut Case) -> Outcome {
    let fd = timerfd(libc::CLOCK_MONOTONIC, 0)?;
    set(fd, 0, 1_000_000, 1_000_000)?;
    check_eq!(sys!(SYS_poll, 0, 0, 20)?, 0, "a sleep of 20 ms");
    let count = take(fd)?;
    check!(count >= 19, "19 expirations or more, got {count}");
    check!(take(fd)? >= 1, "more of them");
    Ok(())
}

fn timerfd_absolute_past_fires_at_once(_: &mut Case) -> Outcome {
    for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME] {
        let fd = timerfd(clock, libc::TFD_NONBLOCK)?;
        check_errno!(take(fd), EAGAIN);
        set(fd, libc::TFD_TIMER_ABSTIME, 1, 0)?;
        let mut poll = [calls::pollfd(fd, libc::POLLIN)];
        check_eq!(sys!(SYS_poll, &mut poll, 1, 8000)?, 1, "poll");
        check_eq!(take(fd)?, 1, "expirations");
    }
    Ok(())
}

fn timerfd_gettime_and_disarm(_: &mut Case) -> Outcome {
    let fd = timerfd(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK)?;
    set(fd, 0, 100_000_000_000, 7)?;
    let mut spec = sys::zeroed::<libc::itimerspec>();
    sys!(SYS_timerfd_gettime, fd, &mut spec)?;
    check!((90..=100).contains(&spec.it_value.tv_sec), "time left, got {}", spec.it_value.tv_sec);
    check_eq!(spec.it_interval.tv_nsec, 7, "interval");
    set(fd, 0, 0, 0)?;
    sys!(SYS_timerfd_gettime, fd, &mut spec)?;
    check_eq!((spec.it_value.tv_sec, spec.it_value.tv_nsec), (0, 0), "time left when disarmed");
    check_errno!(take(fd), EAGAIN);
    Ok(())
}

fn timerfd_errors(_: &mut Case) -> Outcome {
    check_errno!(timerfd(77, 0), EINVAL);
    check_errno!(timerfd(libc::CLOCK_MONOTONIC, 2), EINVAL);
    let fd = timerfd(libc::CLOCK_MONOTONIC, 0)?;
    check_errno!(set(fd, 0x80, 1, 0), EINVAL);
    check_errno!(set(999, 0, 1, 0), EBADF);
    check_errno!(sys!(SYS_timerfd_settime, fd, 0, BAD, 0), EFAULT);
    let event = eventfd(0, 0)?;
    check_errno!(set(event, 0, 1, 0), EINVAL);
    let mut spec = sys::zeroed::<libc::itimerspec>();
    spec.it_value.tv_nsec = 1_000_000_000;
    check_errno!(sys!(SYS_timerfd_settime, fd, 0, &spec, 0), EINVAL);
    check_errno!(read(fd, &mut [0; 4]), EINVAL);
    Ok(())
}

fn signalfd(fd: i32, set: u64, flags: i32) -> SysResult<i32> {
    sys!(SYS_signalfd4, fd, &set, 8, flags).map(|fd| fd as i32)
}

fn signalfd_reads_pending(_: &mut Case) -> Outcome {
    let set = sys::bit(libc::SIGUSR1) | sys::bit(libc::SIGUSR2);
    sys::mask(libc::SIG_BLOCK, set)?;
    let fd = signalfd(-1, set, 0)?;
    calls::kill(getpid(), libc::SIGUSR2)?;
    calls::kill(getpid(), libc::SIGUSR1)?;
    check_eq!(ready(fd, libc::POLLIN)?, libc::POLLIN, "events");
    let mut info = [sys::zeroed::<libc::signalfd_siginfo>(); 3];
    check_eq!(sys!(SYS_read, fd, &mut info, 3 * 128)?, 2 * 128, "bytes read");
    let signals = [info[0].ssi_signo as i32, info[1].ssi_signo as i32];
    check_eq!(signals, [libc::SIGUSR1, libc::SIGUSR2], "signals");
    check_eq!(info[0].ssi_pid as i32, getpid(), "sender");
    check_eq!(ready(fd, libc::POLLIN)?, 0, "events afterwards");
    Ok(())
}

fn signalfd_mask_is_replaced(_: &mut Case) -> Outcome {
    let (one, two) = (sys::bit(libc::SIGUSR1), sys::bit(libc::SIGUSR2));
    sys::mask(libc::SIG_BLOCK, one | two)?;
    let fd = signalfd(-1, one, libc::SFD_NONBLOCK)?;
    calls::kill(getpid(), libc::SIGUSR2)?;
    check_errno!(read(fd, &mut [0; 128]), EAGAIN);
    check_eq!(signalfd(fd, two, 0)?, fd, "signalfd on itself");
    check_eq!(read(fd, &mut [0; 128])?, 128, "bytes with the new mask");
    Ok(())
}

fn signalfd_errors(_: &mut Case) -> Outcome {
    check_errno!(signalfd(-1, 0, 2), EINVAL);
    check_errno!(signalfd(999, 0, 0), EBADF);
    let event = eventfd(0, 0)?;
    check_errno!(signalfd(event, 0, 0), EINVAL);
    check_errno!(sys!(SYS_signalfd4, -1, BAD, 8, 0), EFAULT);
    check_errno!(sys!(SYS_signalfd4, -1, &0u64, 7, 0), EINVAL);
    let fd = signalfd(-1, sys::bit(libc::SIGUSR1), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)?;
    check_errno!(read(fd, &mut [0; 127]), EINVAL);
    check_errno!(read(fd, &mut [0; 128]), EAGAIN);
    close(fd)?;
    Ok(())
}
