//! Signal delivery: sigaction(2), sigprocmask(2), sigsuspend(2), kill(2), sigaltstack(2).

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};

use crate::calls::{self, getpid, gettid, kill, pipe, read};
use crate::case::{Case, Outcome, child, in_child, reap, until_asleep};
use crate::sys::{BAD, Delivery, KernelSigaction, Region, SigSet, bit};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "signal";
    handler_runs_before_kill_returns: "a signal sent to oneself is handled when kill returns";
    sigaction_gives_old_action: "the old action comes back with flags and mask";
    sigaction_refuses_kill_and_stop: "SIGKILL and SIGSTOP have no settable action: EINVAL";
    sigaction_bad_arguments: "signal 0 and 65 and a wrong set size are EINVAL, bad pointers EFAULT";
    sigprocmask_bad_how: "an unknown how is EINVAL, but only with a new set";
    sigprocmask_cannot_block_kill: "SIGKILL and SIGSTOP are taken out of the mask silently";
    blocked_signal_stays_pending: "a blocked signal waits, and comes when unblocked";
    standard_signals_do_not_queue: "a standard signal sent twice while blocked comes once";
    real_time_signals_queue_in_order: "real-time signals queue, the lowest number first";
    ignored_signal_is_discarded: "ignoring a pending signal discards it";
    handler_blocks_own_signal: "the signal is blocked in its handler, unless SA_NODEFER";
    handler_blocks_sa_mask: "sa_mask is blocked while the handler runs, and then restored";
    resethand_makes_one_shot: "SA_RESETHAND sets the default action before the handler runs";
    nested_handlers_unwind: "a handler interrupted by another returns to the right place";
    restart_resumes_read: "SA_RESTART resumes a blocked read";
    no_restart_is_eintr: "without SA_RESTART a blocked read gives EINTR";
    poll_is_never_restarted: "poll is EINTR even with SA_RESTART";
    ignored_signal_does_not_interrupt: "an ignored signal leaves a blocked read alone";
    sigsuspend_swaps_mask: "sigsuspend uses its mask, gives EINTR and restores the old one";
    pause_returns_eintr: "pause gives EINTR after a handler";
    altstack_is_used: "SA_ONSTACK runs the handler on the alternate stack";
    altstack_errors: "a stack too small is ENOMEM, unknown flags EINVAL, changing it in use EPERM";
    kill_errors: "kill gives EINVAL for bad signals and ESRCH for unknown processes";
    kill_zero_probes: "signal 0 checks and sends nothing";
    tgkill_errors: "tgkill gives EINVAL for bad ids and ESRCH for a thread of another process";
    tgkill_hits_the_thread: "tgkill is handled by the thread it names";
    kill_picks_a_thread_that_accepts: "a process signal goes to a thread that does not block it";
    sigpipe_kills_by_default: "a write without reader sends SIGPIPE";
    default_actions: "SIGCHLD, SIGURG and SIGWINCH are ignored by default, SIGTERM kills";
    stop_and_continue: "SIGCONT continues a stopped process even when it is ignored";
    cont_discards_pending_stop: "SIGCONT takes pending stop signals away";
    vector_registers_survive_handler: "vector registers and MXCSR are restored after a handler";
    blocked_fault_kills: "a fault whose signal is blocked kills the process";
    ignored_fault_kills: "a fault whose signal is ignored kills the process";
    kill_zero_is_own_group: "kill(0, sig) reaches the caller's own group";
}

static COUNT: AtomicU32 = AtomicU32::new(0);
static MASK: AtomicU64 = AtomicU64::new(0);
static ORDER: AtomicU64 = AtomicU64::new(0);
static PLACE: AtomicUsize = AtomicUsize::new(0);
static THREAD: AtomicI32 = AtomicI32::new(0);

/// Counts, and notes the mask in force, the order of signals, the stack and the thread.
fn note(delivery: &Delivery) {
    COUNT.fetch_add(1, SeqCst);
    let mut mask: SigSet = 0;
    let _ = sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &mut mask, 8);
    MASK.store(mask, SeqCst);
    ORDER.store(ORDER.load(SeqCst) * 100 + delivery.signal as u64, SeqCst);
    PLACE.store(delivery.stack, SeqCst);
    THREAD.store(gettid(), SeqCst);
}

fn count() -> u32 {
    COUNT.load(SeqCst)
}

fn pending() -> sys::SysResult<SigSet> {
    let mut set: SigSet = 0;
    sys!(SYS_rt_sigpending, &mut set, 8)?;
    Ok(set)
}

fn raise(signal: i32) -> sys::SysResult<()> {
    kill(getpid(), signal)
}

fn handler_runs_before_kill_returns(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    for i in 1..=3 {
        raise(libc::SIGUSR1)?;
        check_eq!(count(), i, "handlers run");
    }
    Ok(())
}

fn sigaction_gives_old_action(_: &mut Case) -> Outcome {
    sys::set_action(libc::SIGUSR1, libc::SA_RESTART, bit(3) | bit(64), note)?;
    let mut old = KernelSigaction::default();
    sys!(SYS_rt_sigaction, libc::SIGUSR1, 0, &mut old, 8)?;
    check_eq!(old.mask, bit(3) | bit(64), "mask");
    check_eq!(old.flags & !0x0400_0000, libc::SA_RESTART as u64, "flags");
    check!(old.handler > 1, "a handler's address");
    let ignore = KernelSigaction { handler: libc::SIG_IGN, ..Default::default() };
    let mut before = KernelSigaction::default();
    sys!(SYS_rt_sigaction, libc::SIGUSR1, &ignore, &mut before, 8)?;
    check_eq!(before, old, "old action while setting");
    Ok(())
}

fn sigaction_refuses_kill_and_stop(_: &mut Case) -> Outcome {
    let action = KernelSigaction { handler: libc::SIG_IGN, ..Default::default() };
    check_errno!(sys!(SYS_rt_sigaction, libc::SIGKILL, &action, 0, 8), EINVAL);
    check_errno!(sys!(SYS_rt_sigaction, libc::SIGSTOP, &action, 0, 8), EINVAL);
    let mut old = KernelSigaction { handler: 5, ..Default::default() };
    sys!(SYS_rt_sigaction, libc::SIGKILL, 0, &mut old, 8)?;
    check_eq!(old.handler, 0, "action of SIGKILL, which may be read");
    Ok(())
}

fn sigaction_bad_arguments(_: &mut Case) -> Outcome {
    let action = KernelSigaction::default();
    check_errno!(sys!(SYS_rt_sigaction, 0, &action, 0, 8), EINVAL);
    check_errno!(sys!(SYS_rt_sigaction, 65, &action, 0, 8), EINVAL);
    check_errno!(sys!(SYS_rt_sigaction, 10, &action, 0, 4), EINVAL);
    check_errno!(sys!(SYS_rt_sigaction, 10, BAD, 0, 8), EFAULT);
    check_errno!(sys!(SYS_rt_sigaction, 10, 0, BAD, 8), EFAULT);
    Ok(())
}

fn sigprocmask_bad_how(_: &mut Case) -> Outcome {
    let set: SigSet = 0;
    check_errno!(sys!(SYS_rt_sigprocmask, 9, &set, 0, 8), EINVAL);
    sys!(SYS_rt_sigprocmask, 9, 0, 0, 8)?;
    check_errno!(sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &set, 0, 16), EINVAL);
    check_errno!(sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, BAD, 0, 8), EFAULT);
    check_errno!(sys!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &set, BAD, 8), EFAULT);
    Ok(())
}

fn sigprocmask_cannot_block_kill(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_SETMASK, !0)?;
    let mask = sys::mask(libc::SIG_SETMASK, 0)?;
    check_eq!(mask, !(bit(libc::SIGKILL) | bit(libc::SIGSTOP)), "mask after blocking everything");
    Ok(())
}

fn blocked_signal_stays_pending(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    sys::mask(libc::SIG_BLOCK, bit(libc::SIGUSR1))?;
    raise(libc::SIGUSR1)?;
    check_eq!(count(), 0, "handlers run while blocked");
    check_eq!(pending()?, bit(libc::SIGUSR1), "pending set");
    sys::mask(libc::SIG_UNBLOCK, bit(libc::SIGUSR1))?;
    check_eq!(count(), 1, "handlers run when sigprocmask has returned");
    check_eq!(pending()?, 0, "pending set afterwards");
    Ok(())
}

fn standard_signals_do_not_queue(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    sys::mask(libc::SIG_BLOCK, bit(libc::SIGUSR1))?;
    raise(libc::SIGUSR1)?;
    raise(libc::SIGUSR1)?;
    sys::mask(libc::SIG_SETMASK, 0)?;
    check_eq!(count(), 1, "handlers run for two signals sent to the process");
    Ok(())
}

fn real_time_signals_queue_in_order(_: &mut Case) -> Outcome {
    let set = bit(40) | bit(41);
    sys::mask(libc::SIG_BLOCK, set)?;
    for signal in [41, 40, 41, 40, 40] {
        raise(signal)?;
    }
    // Fetched one by one: handlers would all be stacked before the first of them runs.
    for want in [40, 40, 40, 41, 41] {
        check_eq!(sys!(SYS_rt_sigtimedwait, &set, 0, 0, 8)?, want, "next signal");
    }
    check_eq!(pending()?, 0, "signals left");
    Ok(())
}

fn ignored_signal_is_discarded(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_BLOCK, bit(libc::SIGUSR1))?;
    raise(libc::SIGUSR1)?;
    sys::ignore(libc::SIGUSR1)?;
    check_eq!(pending()?, 0, "pending after SIG_IGN");
    sys::default_action(libc::SIGUSR1)?;
    sys::mask(libc::SIG_SETMASK, 0)?;
    Ok(())
}

fn handler_blocks_own_signal(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    raise(libc::SIGUSR1)?;
    check_eq!(MASK.load(SeqCst), bit(libc::SIGUSR1), "mask in the handler");
    check_eq!(sys::mask(libc::SIG_BLOCK, 0)?, 0, "mask afterwards");
    sys::handle(libc::SIGUSR1, libc::SA_NODEFER, note)?;
    raise(libc::SIGUSR1)?;
    check_eq!(MASK.load(SeqCst), 0, "mask in an SA_NODEFER handler");
    Ok(())
}

fn handler_blocks_sa_mask(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_BLOCK, bit(50))?;
    sys::set_action(libc::SIGUSR1, 0, bit(libc::SIGUSR2) | bit(libc::SIGKILL), note)?;
    raise(libc::SIGUSR1)?;
    let want = bit(50) | bit(libc::SIGUSR1) | bit(libc::SIGUSR2);
    check_eq!(MASK.load(SeqCst), want, "mask in the handler");
    check_eq!(sys::mask(libc::SIG_BLOCK, 0)?, bit(50), "mask afterwards");
    Ok(())
}

fn resethand_makes_one_shot(_: &mut Case) -> Outcome {
    let pid = sys::fork(|| {
        let set = sys::handle(libc::SIGUSR1, libc::SA_RESETHAND, note);
        if set.is_err() || raise(libc::SIGUSR1).is_err() || count() != 1 {
            return 1;
        }
        let _ = raise(libc::SIGUSR1);
        2
    })?;
    let status = calls::wait_for(pid)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGUSR1), "signal which killed it");
    Ok(())
}

fn outer(delivery: &Delivery) {
    note(delivery);
    let _ = raise(libc::SIGUSR2);
    ORDER.store(ORDER.load(SeqCst) * 100 + 99, SeqCst);
}

fn nested_handlers_unwind(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, outer)?;
    sys::handle(libc::SIGUSR2, libc::SA_SIGINFO, note)?;
    raise(libc::SIGUSR1)?;
    check_eq!(ORDER.load(SeqCst), 10_12_99, "order: outer begins, inner, outer ends");
    Ok(())
}

/// Blocks in `call` while a child sends SIGUSR1 and then runs `finish`.
fn interrupted<T>(
    call: impl FnOnce() -> sys::SysResult<T>,
    finish: impl FnOnce() -> Outcome,
) -> Outcome<sys::SysResult<T>> {
    let me = getpid();
    let pid = child(|| {
        until_asleep(me, me)?;
        kill(me, libc::SIGUSR1)?;
        finish()
    })?;
    let result = call();
    reap(pid)?;
    Ok(result)
}

fn restart_resumes_read(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, note)?;
    let (r, w) = pipe(0)?;
    // The pipe that tells the child to write: filled by the handler, so after the interruption.
    let (told, tell) = pipe(0)?;
    PLACE.store(0, SeqCst);
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, tell_child)?;
    THREAD.store(tell, SeqCst);
    let mut buffer = [0u8; 4];
    let result = interrupted(
        || read(r, &mut buffer),
        || {
            read(told, &mut [0])?;
            calls::write(w, b"abc")?;
            Ok(())
        },
    )?;
    check_eq!(result, Ok(3), "read");
    check_eq!(count(), 1, "handlers run");
    Ok(())
}

fn tell_child(_: &Delivery) {
    COUNT.fetch_add(1, SeqCst);
    let _ = calls::write(THREAD.load(SeqCst), b"x");
}

fn no_restart_is_eintr(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    let (r, _w) = pipe(0)?;
    let result = interrupted(|| read(r, &mut [0]), || Ok(()))?;
    check_errno!(result, EINTR);
    check_eq!(count(), 1, "handlers run");
    Ok(())
}

fn poll_is_never_restarted(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, note)?;
    let (r, _w) = pipe(0)?;
    let mut poll = [calls::pollfd(r, libc::POLLIN)];
    let result = interrupted(|| sys!(SYS_poll, &mut poll, 1, -1), || Ok(()))?;
    check_errno!(result, EINTR);
    Ok(())
}

fn ignored_signal_does_not_interrupt(_: &mut Case) -> Outcome {
    sys::ignore(libc::SIGUSR1)?;
    let (r, w) = pipe(0)?;
    let me = getpid();
    let result = interrupted(
        || read(r, &mut [0]),
        || {
            until_asleep(me, me)?;
            calls::write(w, b"x")?;
            Ok(())
        },
    )?;
    check_eq!(result, Ok(1), "read");
    Ok(())
}

fn sigsuspend_swaps_mask(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    sys::mask(libc::SIG_SETMASK, bit(libc::SIGUSR1) | bit(50))?;
    raise(libc::SIGUSR1)?;
    let empty: SigSet = bit(51);
    check_errno!(sys!(SYS_rt_sigsuspend, &empty, 8), EINTR);
    check_eq!(count(), 1, "handlers run");
    check_eq!(MASK.load(SeqCst), bit(51) | bit(libc::SIGUSR1), "mask in the handler");
    let mask = sys::mask(libc::SIG_BLOCK, 0)?;
    check_eq!(mask, bit(libc::SIGUSR1) | bit(50), "mask afterwards");
    check_errno!(sys!(SYS_rt_sigsuspend, &empty, 4), EINVAL);
    check_errno!(sys!(SYS_rt_sigsuspend, BAD, 8), EFAULT);
    Ok(())
}

fn pause_returns_eintr(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, note)?;
    let result = interrupted(|| sys!(SYS_pause), || Ok(()))?;
    check_errno!(result, EINTR);
    Ok(())
}

fn altstack(region: &Region, flags: i32) -> libc::stack_t {
    let mut stack = sys::zeroed::<libc::stack_t>();
    stack.ss_sp = std::ptr::with_exposed_provenance_mut(region.base);
    stack.ss_size = region.len;
    stack.ss_flags = flags;
    stack
}

fn altstack_is_used(_: &mut Case) -> Outcome {
    let region = Region::private(64 << 10)?;
    sys!(SYS_sigaltstack, &altstack(&region, 0), 0)?;
    let mut old = sys::zeroed::<libc::stack_t>();
    sys!(SYS_sigaltstack, 0, &mut old)?;
    check_eq!((old.ss_sp as usize, old.ss_size), (region.base, region.len), "alternate stack");
    check_eq!(old.ss_flags, 0, "its flags while not in use");
    sys::handle(libc::SIGUSR1, sys::ONSTACK, note)?;
    sys::handle(libc::SIGUSR2, 0, note)?;
    raise(libc::SIGUSR1)?;
    let on = |place: usize| (region.base..region.end()).contains(&place);
    check!(on(PLACE.load(SeqCst)), "the SA_ONSTACK handler on the alternate stack");
    raise(libc::SIGUSR2)?;
    check!(!on(PLACE.load(SeqCst)), "the other handler on the ordinary stack");
    Ok(())
}

static IN_USE: AtomicI32 = AtomicI32::new(-1);

fn change_stack(_: &Delivery) {
    let mut stack = sys::zeroed::<libc::stack_t>();
    let _ = sys!(SYS_sigaltstack, 0, &mut stack);
    let flags = stack.ss_flags;
    stack.ss_flags = libc::SS_DISABLE;
    let error = match sys!(SYS_sigaltstack, &stack, 0) {
        Ok(_) => 0,
        Err(errno) => errno.0,
    };
    IN_USE.store(flags * 1000 + error, SeqCst);
}

fn altstack_errors(_: &mut Case) -> Outcome {
    let region = Region::private(64 << 10)?;
    let small = Region { base: region.base, len: 1024 };
    check_errno!(sys!(SYS_sigaltstack, &altstack(&small, 0), 0), ENOMEM);
    check_errno!(sys!(SYS_sigaltstack, &altstack(&region, 8), 0), EINVAL);
    check_errno!(sys!(SYS_sigaltstack, BAD, 0), EFAULT);
    sys!(SYS_sigaltstack, &altstack(&region, 0), 0)?;
    sys::handle(libc::SIGUSR1, sys::ONSTACK, change_stack)?;
    raise(libc::SIGUSR1)?;
    let want = libc::SS_ONSTACK * 1000 + libc::EPERM;
    check_eq!(IN_USE.load(SeqCst), want, "ss_flags * 1000 + errno in the handler");
    Ok(())
}

fn kill_errors(_: &mut Case) -> Outcome {
    check_errno!(kill(getpid(), 65), EINVAL);
    check_errno!(kill(getpid(), -1), EINVAL);
    check_errno!(kill(0x3f_ffff, 0), ESRCH);
    check_errno!(kill(0x3f_ffff, 65), ESRCH);
    check_errno!(kill(-0x3f_ffff, 0), ESRCH);
    check_errno!(kill(i32::MIN, 0), ESRCH);
    Ok(())
}

fn kill_zero_probes(_: &mut Case) -> Outcome {
    kill(getpid(), 0)?;
    let pid = sys::fork(|| 0)?;
    let mut words = [0i32; 32];
    sys!(SYS_waitid, libc::P_PID, pid, &mut words, libc::WEXITED | libc::WNOWAIT, 0)?;
    // A zombie is still there to be named.
    kill(pid, 0)?;
    reap(pid)?;
    check_errno!(kill(pid, 0), ESRCH);
    Ok(())
}

fn tgkill_errors(_: &mut Case) -> Outcome {
    let me = getpid();
    check_errno!(sys!(SYS_tgkill, 0, me, 0), EINVAL);
    check_errno!(sys!(SYS_tgkill, me, 0, 0), EINVAL);
    check_errno!(sys!(SYS_tgkill, me, -1, 0), EINVAL);
    check_errno!(sys!(SYS_tgkill, me, me, 65), EINVAL);
    check_errno!(sys!(SYS_tgkill, 0x3f_ffff, me, 0), ESRCH);
    check_errno!(sys!(SYS_tkill, 0, 0), EINVAL);
    check_errno!(sys!(SYS_tkill, 0x3f_ffff, 0), ESRCH);
    sys!(SYS_tgkill, me, me, 0)?;
    Ok(())
}

/// A thread that sleeps in `read`: its tid, and the descriptor which wakes it.
fn sleeping_thread(mask: SigSet) -> Outcome<(std::thread::JoinHandle<()>, i32, i32)> {
    let (r, w) = pipe(0)?;
    let (ids, send_id) = pipe(0)?;
    let thread = std::thread::spawn(move || {
        let _ = sys::mask(libc::SIG_SETMASK, mask);
        let _ = calls::write(send_id, &gettid().to_ne_bytes());
        let _ = read(r, &mut [0]);
    });
    let mut bytes = [0u8; 4];
    read(ids, &mut bytes)?;
    let tid = i32::from_ne_bytes(bytes);
    until_asleep(getpid(), tid)?;
    Ok((thread, tid, w))
}

fn tgkill_hits_the_thread(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    let (thread, tid, _wake) = sleeping_thread(0)?;
    sys!(SYS_tgkill, getpid(), tid, libc::SIGUSR1)?;
    check!(thread.join().is_ok(), "the thread to end");
    check_eq!(THREAD.load(SeqCst), tid, "thread that ran the handler");
    Ok(())
}

fn kill_picks_a_thread_that_accepts(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, note)?;
    let (thread, tid, _wake) = sleeping_thread(0)?;
    sys::mask(libc::SIG_BLOCK, bit(libc::SIGUSR1))?;
    raise(libc::SIGUSR1)?;
    check!(thread.join().is_ok(), "the thread to end");
    check_eq!(THREAD.load(SeqCst), tid, "thread that ran the handler");
    Ok(())
}

fn sigpipe_kills_by_default(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    calls::close(r)?;
    let pid = sys::fork(|| i32::from(calls::write(w, b"x").is_ok()))?;
    let status = calls::wait_for(pid)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGPIPE), "signal which killed the writer");
    Ok(())
}

fn default_actions(_: &mut Case) -> Outcome {
    for signal in [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT] {
        raise(signal)?;
    }
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGALRM, libc::SIGIO, 34, 64] {
        let pid = sys::fork(|| {
            let _ = raise(signal);
            1
        })?;
        let status = calls::wait_for(pid)?;
        check_eq!(calls::term_signal(status), Some(signal), "signal which killed it");
    }
    Ok(())
}

fn stopped(pid: i32) -> Outcome {
    let mut status = 0i32;
    sys!(SYS_wait4, pid, &mut status, libc::WUNTRACED, 0)?;
    check!(libc::WIFSTOPPED(status), "a stopped child, got {status:#x}");
    Ok(())
}

fn stop_and_continue(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        sys::ignore(libc::SIGCONT)?;
        calls::write(w, b"x")?;
        raise(libc::SIGSTOP)?;
        Ok(())
    })?;
    read(r, &mut [0])?;
    stopped(pid)?;
    // Other signals wait until it is continued.
    kill(pid, libc::SIGCONT)?;
    reap(pid)
}

fn cont_discards_pending_stop(_: &mut Case) -> Outcome {
    in_child(|| {
        sys::mask(libc::SIG_BLOCK, bit(libc::SIGTSTP) | bit(libc::SIGCONT))?;
        raise(libc::SIGTSTP)?;
        check_eq!(pending()?, bit(libc::SIGTSTP), "pending before SIGCONT");
        sys::handle(libc::SIGCONT, 0, note)?;
        raise(libc::SIGCONT)?;
        check_eq!(pending()?, bit(libc::SIGCONT), "pending after SIGCONT");
        Ok(())
    })
}

fn clobber(delivery: &Delivery) {
    note(delivery);
    sys::clobber_vector_state();
}

fn vector_registers_survive_handler(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, clobber)?;
    let (pid, signal) = (getpid() as usize, libc::SIGUSR1 as usize);
    for _ in 0..3 {
        let kept = sys::vector_state_survives(libc::SYS_tgkill, pid, pid, signal);
        check!(kept, "vector registers and MXCSR as before the handler");
    }
    check_eq!(count(), 3, "handlers run");
    let kept = sys::vector_state_survives(libc::SYS_getpid, 0, 0, 0);
    check!(kept, "vector registers as before an ordinary call");
    Ok(())
}

fn blocked_fault_kills(_: &mut Case) -> Outcome {
    let pid = sys::fork(|| {
        let _ = sys::handle(libc::SIGSEGV, 0, note);
        let _ = sys::mask(libc::SIG_BLOCK, bit(libc::SIGSEGV));
        i32::from(sys::load8(BAD))
    })?;
    let status = calls::wait_for(pid)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGSEGV), "signal which killed it");
    Ok(())
}

fn ignored_fault_kills(_: &mut Case) -> Outcome {
    let pid = sys::fork(|| {
        let _ = sys::ignore(libc::SIGSEGV);
        i32::from(sys::load8(BAD))
    })?;
    let status = calls::wait_for(pid)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGSEGV), "signal which killed it");
    Ok(())
}

fn kill_zero_is_own_group(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setpgid, 0, 0)?;
        sys::handle(libc::SIGUSR1, 0, note)?;
        kill(0, libc::SIGUSR1)?;
        check_eq!(count(), 1, "handlers run after kill(0)");
        Ok(())
    })
}
