//! What a signal brings along: siginfo, sigtimedwait(2), sigqueue(3), timers that send signals.

use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use crate::calls::{self, getpid, kill};
use crate::case::{Case, Outcome, child, in_child, reap};
use crate::sys::{BAD, Delivery, PAGE, Region, bit};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "siginfo";
    kill_brings_pid_and_uid: "SI_USER, with the sender's pid and uid";
    tgkill_is_si_tkill: "tgkill brings SI_TKILL";
    sigqueue_brings_value: "rt_sigqueueinfo brings SI_QUEUE and the value";
    sigqueue_cannot_forge_kernel: "a positive si_code to another process is EPERM";
    sigchld_brings_status: "SIGCHLD brings pid, status and CLD_EXITED or CLD_KILLED";
    sigchld_nocldstop: "SA_NOCLDSTOP keeps SIGCHLD for stops away";
    sigchld_nocldwait: "SA_NOCLDWAIT leaves no zombies";
    unmapped_is_maperr: "a read of unmapped memory: SEGV_MAPERR with the address";
    protected_is_accerr: "a write to read-only memory: SEGV_ACCERR with the address";
    null_write_is_maperr: "a write next to the null pointer: SEGV_MAPERR with the address";
    handler_can_repair_fault: "after mprotect in the handler the access is retried";
    context_has_mask: "the context names the interrupted mask";
    sigtimedwait_takes_pending: "a pending signal is taken, with its siginfo, and not handled";
    sigtimedwait_times_out: "no signal in time is EAGAIN";
    sigtimedwait_bad_arguments: "negative nanoseconds are EINVAL, a bad set EFAULT";
    sigtimedwait_interrupted_by_other: "a handler for another signal gives EINTR";
    alarm_sends_sigalrm: "alarm gives the seconds left, and 0 cancels";
    setitimer_real_fires: "ITIMER_REAL sends SIGALRM, again and again with an interval";
    setitimer_bad_arguments: "an unknown timer and microseconds above 999999 are EINVAL";
    setitimer_virtual_counts_cpu: "ITIMER_VIRTUAL sends SIGVTALRM after processor time";
    timer_create_brings_value: "timer_create sends SI_TIMER with the value given";
    timer_errors: "timer calls with an unknown timer or clock are EINVAL";
}

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static PID: AtomicI32 = AtomicI32::new(0);
static UID: AtomicI32 = AtomicI32::new(0);
static STATUS: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicUsize = AtomicUsize::new(0);
static MASK: AtomicU64 = AtomicU64::new(0);
static COUNT: AtomicI32 = AtomicI32::new(0);

fn note(delivery: &Delivery) {
    SIGNAL.store(delivery.signal, SeqCst);
    CODE.store(delivery.code, SeqCst);
    PID.store(delivery.pid, SeqCst);
    UID.store(delivery.uid as i32, SeqCst);
    STATUS.store(delivery.status, SeqCst);
    VALUE.store(delivery.value, SeqCst);
    MASK.store(delivery.saved_mask, SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

fn listen(signal: i32) -> sys::SysResult<()> {
    sys::handle(signal, libc::SA_SIGINFO, note)
}

fn kill_brings_pid_and_uid(_: &mut Case) -> Outcome {
    listen(libc::SIGUSR1)?;
    sys::mask(libc::SIG_BLOCK, bit(libc::SIGUSR1))?;
    let me = getpid();
    let pid = child(|| Ok(kill(me, libc::SIGUSR1)?))?;
    reap(pid)?;
    sys::mask(libc::SIG_SETMASK, 0)?;
    let uid = sys!(SYS_getuid)? as i32;
    let got = (CODE.load(SeqCst), PID.load(SeqCst), UID.load(SeqCst));
    check_eq!(got, (libc::SI_USER, pid, uid), "code, pid and uid");
    Ok(())
}

fn tgkill_is_si_tkill(_: &mut Case) -> Outcome {
    listen(libc::SIGUSR1)?;
    sys!(SYS_tgkill, getpid(), getpid(), libc::SIGUSR1)?;
    check_eq!((CODE.load(SeqCst), PID.load(SeqCst)), (libc::SI_TKILL, getpid()), "code and pid");
    Ok(())
}

fn queued(code: i32, value: i32) -> [i32; 32] {
    // si_signo, si_errno, si_code, padding, si_pid, si_uid, si_value (two words).
    let mut info = [0i32; 32];
    info[2] = code;
    info[4] = 4321;
    info[5] = 77;
    info[6] = value;
    info
}

fn sigqueue_brings_value(_: &mut Case) -> Outcome {
    listen(40)?;
    sys!(SYS_rt_sigqueueinfo, getpid(), 40, &queued(libc::SI_QUEUE, 12345))?;
    let got = (CODE.load(SeqCst), VALUE.load(SeqCst), PID.load(SeqCst), UID.load(SeqCst));
    // The sender fills pid and uid in itself, and is believed.
    check_eq!(got, (libc::SI_QUEUE, 12345, 4321, 77), "code, value, pid and uid");
    check_errno!(sys!(SYS_rt_sigqueueinfo, getpid(), 65, &queued(-1, 0)), EINVAL);
    check_errno!(sys!(SYS_rt_sigqueueinfo, getpid(), 40, BAD), EFAULT);
    Ok(())
}

fn sigqueue_cannot_forge_kernel(_: &mut Case) -> Outcome {
    let parent = getpid();
    in_child(|| {
        for code in [libc::SI_USER, 1, libc::SI_TKILL] {
            let info = queued(code, 0);
            check_errno!(sys!(SYS_rt_sigqueueinfo, parent, libc::SIGUSR1, &info), EPERM);
        }
        Ok(())
    })
}

fn sigchld_brings_status(_: &mut Case) -> Outcome {
    let set = bit(libc::SIGCHLD);
    sys::mask(libc::SIG_BLOCK, set)?;
    let mut info = [0i32; 32];
    let pid = sys::fork(|| 9)?;
    sys!(SYS_rt_sigtimedwait, &set, &mut info, 0, 8)?;
    let got = (info[0], info[2], info[4], info[6]);
    check_eq!(got, (libc::SIGCHLD, libc::CLD_EXITED, pid, 9), "signo, code, pid, status");
    calls::wait_for(pid)?;
    let pid = sys::fork(|| {
        let _ = sys!(SYS_pause);
        0
    })?;
    kill(pid, libc::SIGTERM)?;
    sys!(SYS_rt_sigtimedwait, &set, &mut info, 0, 8)?;
    let got = (info[2], info[4], info[6]);
    check_eq!(got, (libc::CLD_KILLED, pid, libc::SIGTERM), "code, pid, status");
    calls::wait_for(pid)?;
    Ok(())
}

/// Stops and kills a child, with `flags` on SIGCHLD's action; the codes of the signals that came.
fn codes_of_stop_and_kill(flags: i32) -> Outcome<Vec<i32>> {
    sys::handle(libc::SIGCHLD, flags, note)?;
    let set = bit(libc::SIGCHLD);
    sys::mask(libc::SIG_BLOCK, set)?;
    let pid = sys::fork(|| {
        let _ = sys!(SYS_pause);
        0
    })?;
    let mut codes = Vec::new();
    let mut take = || {
        let mut info = [0i32; 32];
        let now = calls::timespec(0);
        if sys!(SYS_rt_sigtimedwait, &set, &mut info, &now, 8).is_ok() {
            codes.push(info[2]);
        }
    };
    kill(pid, libc::SIGSTOP)?;
    let mut words = [0i32; 32];
    sys!(SYS_waitid, libc::P_PID, pid, &mut words, libc::WSTOPPED, 0)?;
    take();
    kill(pid, libc::SIGKILL)?;
    calls::wait_for(pid)?;
    take();
    Ok(codes)
}

fn sigchld_nocldstop(_: &mut Case) -> Outcome {
    let codes = codes_of_stop_and_kill(libc::SA_SIGINFO)?;
    check_eq!(codes, [libc::CLD_STOPPED, libc::CLD_KILLED], "codes without the flag");
    let codes = codes_of_stop_and_kill(libc::SA_SIGINFO | libc::SA_NOCLDSTOP)?;
    check_eq!(codes, [libc::CLD_KILLED], "codes with SA_NOCLDSTOP");
    Ok(())
}

fn sigchld_nocldwait(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGCHLD, libc::SA_NOCLDWAIT | libc::SA_RESTART, note)?;
    sys::fork(|| 0)?;
    check_errno!(sys!(SYS_wait4, -1, 0, 0, 0), ECHILD);
    Ok(())
}

fn unmapped_is_maperr(_: &mut Case) -> Outcome {
    let region = Region::private(2 * PAGE)?;
    let address = region.base + PAGE + 123;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    let fault = sys::fault_of_read(address)?;
    // SEGV_MAPERR
    check_eq!(fault, Some(sys::Fault { signal: libc::SIGSEGV, code: 1, address }), "fault");
    Ok(())
}

fn protected_is_accerr(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    sys!(SYS_mprotect, region.base, PAGE, libc::PROT_READ)?;
    let address = region.base + 77;
    let fault = sys::fault_of(|| sys::store8(address, 1))?;
    // SEGV_ACCERR
    check_eq!(fault, Some(sys::Fault { signal: libc::SIGSEGV, code: 2, address }), "fault");
    Ok(())
}

fn null_write_is_maperr(_: &mut Case) -> Outcome {
    let fault = sys::fault_of(|| sys::store8(BAD, 1))?;
    let want = sys::Fault { signal: libc::SIGSEGV, code: 1, address: BAD };
    check_eq!(fault, Some(want), "fault");
    Ok(())
}

fn repair(delivery: &Delivery) {
    COUNT.fetch_add(1, SeqCst);
    let page = delivery.address & !(PAGE - 1);
    if sys!(SYS_mprotect, page, PAGE, libc::PROT_READ | libc::PROT_WRITE).is_err()
        || COUNT.load(SeqCst) > 1
    {
        let _ = sys!(SYS_exit_group, 2);
    }
}

fn handler_can_repair_fault(_: &mut Case) -> Outcome {
    in_child(|| {
        let region = Region::private(PAGE)?;
        sys!(SYS_mprotect, region.base, PAGE, libc::PROT_NONE)?;
        sys::handle(libc::SIGSEGV, libc::SA_SIGINFO, repair)?;
        region.set(5, 42);
        check_eq!(region.get(5), 42, "byte written by the retried access");
        check_eq!(COUNT.load(SeqCst), 1, "handlers run");
        Ok(())
    })
}

fn context_has_mask(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_SETMASK, bit(33) | bit(libc::SIGUSR2))?;
    listen(libc::SIGUSR1)?;
    kill(getpid(), libc::SIGUSR1)?;
    check_eq!(MASK.load(SeqCst), bit(33) | bit(libc::SIGUSR2), "uc_sigmask");
    Ok(())
}

fn sigtimedwait_takes_pending(_: &mut Case) -> Outcome {
    listen(libc::SIGUSR1)?;
    let set = bit(libc::SIGUSR1);
    sys::mask(libc::SIG_BLOCK, set)?;
    kill(getpid(), libc::SIGUSR1)?;
    let mut info = [0i32; 32];
    let signal = sys!(SYS_rt_sigtimedwait, &set, &mut info, 0, 8)?;
    check_eq!(signal, libc::SIGUSR1 as usize, "signal");
    check_eq!((info[0], info[4]), (libc::SIGUSR1, getpid()), "si_signo and si_pid");
    sys::mask(libc::SIG_SETMASK, 0)?;
    check_eq!(COUNT.load(SeqCst), 0, "handlers run");
    Ok(())
}

fn sigtimedwait_times_out(_: &mut Case) -> Outcome {
    let set = bit(libc::SIGUSR1);
    sys::mask(libc::SIG_BLOCK, set)?;
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    check_errno!(sys!(SYS_rt_sigtimedwait, &set, 0, &calls::timespec(20_000_000), 8), EAGAIN);
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 20_000_000, "20 ms or more, got {waited} ns");
    check_errno!(sys!(SYS_rt_sigtimedwait, &set, 0, &calls::timespec(0), 8), EAGAIN);
    Ok(())
}

fn sigtimedwait_bad_arguments(_: &mut Case) -> Outcome {
    let set = bit(libc::SIGUSR1);
    let bad = libc::timespec { tv_sec: 0, tv_nsec: -1 };
    check_errno!(sys!(SYS_rt_sigtimedwait, &set, 0, &bad, 8), EINVAL);
    check_errno!(sys!(SYS_rt_sigtimedwait, BAD, 0, 0, 8), EFAULT);
    check_errno!(sys!(SYS_rt_sigtimedwait, &set, 0, BAD, 8), EFAULT);
    check_errno!(sys!(SYS_rt_sigtimedwait, &set, 0, 0, 7), EINVAL);
    Ok(())
}

fn sigtimedwait_interrupted_by_other(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR2, libc::SA_RESTART, note)?;
    let set = bit(libc::SIGUSR1);
    sys::mask(libc::SIG_BLOCK, set)?;
    let me = getpid();
    let pid = child(|| {
        crate::case::until_asleep(me, me)?;
        Ok(kill(me, libc::SIGUSR2)?)
    })?;
    check_errno!(sys!(SYS_rt_sigtimedwait, &set, 0, 0, 8), EINTR);
    reap(pid)
}

fn alarm_sends_sigalrm(_: &mut Case) -> Outcome {
    check_eq!(sys!(SYS_alarm, 100)?, 0, "alarm without an earlier one");
    let left = sys!(SYS_alarm, 0)?;
    check!(left == 99 || left == 100, "99 or 100 seconds left, got {left}");
    check_eq!(sys!(SYS_alarm, 0)?, 0, "alarm after it was cancelled");
    Ok(())
}

fn timeval(microseconds: i64) -> libc::timeval {
    libc::timeval { tv_sec: 0, tv_usec: microseconds }
}

fn setitimer_real_fires(_: &mut Case) -> Outcome {
    let set = bit(libc::SIGALRM);
    sys::mask(libc::SIG_BLOCK, set)?;
    let timer = libc::itimerval { it_interval: timeval(5000), it_value: timeval(10_000) };
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    sys!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0)?;
    for _ in 0..3 {
        let limit = calls::timespec(8_000_000_000);
        let signal = sys!(SYS_rt_sigtimedwait, &set, 0, &limit, 8)?;
        check_eq!(signal, libc::SIGALRM as usize, "signal");
    }
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 20_000_000, "20 ms or more for three, got {waited} ns");
    let mut old = sys::zeroed::<libc::itimerval>();
    let off = sys::zeroed::<libc::itimerval>();
    sys!(SYS_setitimer, libc::ITIMER_REAL, &off, &mut old)?;
    check_eq!(old.it_interval.tv_usec, 5000, "interval of the old timer");
    sys!(SYS_getitimer, libc::ITIMER_REAL, &mut old)?;
    check_eq!(old.it_value.tv_usec, 0, "time left of a timer that is off");
    Ok(())
}

fn setitimer_bad_arguments(_: &mut Case) -> Outcome {
    let good = libc::itimerval { it_interval: timeval(0), it_value: timeval(0) };
    check_errno!(sys!(SYS_setitimer, 3, &good, 0), EINVAL);
    check_errno!(sys!(SYS_getitimer, -1, BAD), EINVAL);
    let bad = libc::itimerval { it_interval: timeval(0), it_value: timeval(1_000_000) };
    check_errno!(sys!(SYS_setitimer, libc::ITIMER_REAL, &bad, 0), EINVAL);
    check_errno!(sys!(SYS_setitimer, libc::ITIMER_REAL, BAD, 0), EFAULT);
    check_errno!(sys!(SYS_getitimer, libc::ITIMER_REAL, BAD), EFAULT);
    Ok(())
}

fn setitimer_virtual_counts_cpu(_: &mut Case) -> Outcome {
    listen(libc::SIGVTALRM)?;
    let timer = libc::itimerval { it_interval: timeval(0), it_value: timeval(5000) };
    sys!(SYS_setitimer, libc::ITIMER_VIRTUAL, &timer, 0)?;
    // User time only, so the loop makes no calls but now and then.
    crate::case::until("SIGVTALRM has come", || {
        crate::case::burn();
        Ok(COUNT.load(SeqCst) > 0)
    })?;
    check_eq!(SIGNAL.load(SeqCst), libc::SIGVTALRM, "signal");
    Ok(())
}

fn timer_create_brings_value(_: &mut Case) -> Outcome {
    let set = bit(40);
    sys::mask(libc::SIG_BLOCK, set)?;
    // struct sigevent: value (two words), signo, notify, padding.
    let mut event = [0i32; 16];
    event[0] = 777;
    event[2] = 40;
    event[3] = libc::SIGEV_SIGNAL;
    let mut id = -1i32;
    sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, &event, &mut id)?;
    let mut spec = sys::zeroed::<libc::itimerspec>();
    spec.it_value = calls::timespec(5_000_000);
    sys!(SYS_timer_settime, id, 0, &spec, 0)?;
    let mut info = [0i32; 32];
    sys!(SYS_rt_sigtimedwait, &set, &mut info, &calls::timespec(8_000_000_000), 8)?;
    let got = (info[0], info[2], info[4], info[5], info[6]);
    check_eq!(got, (40, libc::SI_TIMER, id, 0, 777), "signo, code, timer, overrun, value");
    sys!(SYS_timer_gettime, id, &mut spec)?;
    check_eq!(spec.it_value.tv_nsec, 0, "time left after it fired");
    check_eq!(sys!(SYS_timer_getoverrun, id)?, 0, "overrun");
    sys!(SYS_timer_delete, id)?;
    check_errno!(sys!(SYS_timer_delete, id), EINVAL);
    Ok(())
}

fn timer_errors(_: &mut Case) -> Outcome {
    let mut id = 0i32;
    check_errno!(sys!(SYS_timer_create, 77, 0, &mut id), EINVAL);
    check_errno!(sys!(SYS_timer_create, libc::CLOCK_MONOTONIC, BAD, &mut id), EFAULT);
    let spec = sys::zeroed::<libc::itimerspec>();
    check_errno!(sys!(SYS_timer_settime, 999, 0, &spec, 0), EINVAL);
    check_errno!(sys!(SYS_timer_getoverrun, 999), EINVAL);
    Ok(())
}
