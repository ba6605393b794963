//! futex(2).

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::JoinHandle;

use crate::calls::{self, getpid, gettid};
use crate::case::{Case, Failure, Outcome, child, in_child, reap, until_asleep};
use crate::sys::{BAD, PAGE, Region, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "futex";
    wait_other_value_is_eagain: "FUTEX_WAIT on a word with another value is EAGAIN";
    wait_times_out: "FUTEX_WAIT with a relative timeout is ETIMEDOUT, not earlier";
    wait_bitset_absolute_timeout: "FUTEX_WAIT_BITSET takes an absolute time, past ones at once";
    wait_bad_timeout_is_einval: "a timeout with bad nanoseconds is EINVAL, before the value";
    bad_address_is_efault: "an unmapped word is EFAULT, an odd one EINVAL";
    unknown_operation_is_enosys: "an unknown operation is ENOSYS";
    bitset_zero_is_einval: "an empty bit set is EINVAL";
    wake_counts_waiters: "FUTEX_WAKE gives the number woken, at most the number asked for";
    wake_without_waiters_is_zero: "FUTEX_WAKE without waiters gives 0";
    wake_bitset_selects: "FUTEX_WAKE_BITSET wakes only waiters whose bits match";
    private_does_not_meet_shared: "a private wake does not reach a shared waiter";
    shared_between_processes: "a word in shared memory works across processes";
    shared_by_two_addresses: "two mappings of one page are one futex";
    requeue_moves_waiters: "FUTEX_CMP_REQUEUE wakes some and moves the others";
    cmp_requeue_other_value_is_eagain: "FUTEX_CMP_REQUEUE compares first";
    wake_op_changes_and_wakes: "FUTEX_WAKE_OP changes the second word and wakes both";
    interrupted_wait_is_eintr: "a handler interrupts FUTEX_WAIT";
    lock_pi_takes_and_gives: "FUTEX_LOCK_PI takes a free lock, EDEADLK twice, EPERM for others";
    unlock_pi_hands_over: "FUTEX_UNLOCK_PI makes the longest waiting thread the owner";
    lock_pi_excludes: "a PI lock that threads fight for has one owner at a time";
    lock_pi_times_out: "FUTEX_LOCK_PI with an absolute time is ETIMEDOUT";
    lock_pi_circle_is_edeadlk: "two threads that want each other's lock: EDEADLK for the second";
    lock_pi_of_dead_owner: "the waiter inherits from an owner who dies; without one it is ESRCH";
    lock_pi_mixed_with_wait_is_einval: "PI and plain operations on one word are EINVAL";
    requeue_pi_moves_to_lock: "FUTEX_CMP_REQUEUE_PI moves waiters to a PI lock";
    waitv_checks_values: "futex_waitv gives EAGAIN, ETIMEDOUT and EINVAL";
    waitv_tells_which: "futex_waitv gives the index of the word that was woken";
    futex2_waits_wakes_requeues: "futex_wait, futex_wake and futex_requeue meet futex";
}

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;

fn word() -> Outcome<(usize, &'static AtomicU32)> {
    let region = Region::private(PAGE)?;
    Ok((region.base, region.word(0)))
}

fn wait(address: usize, value: u32) -> SysResult {
    sys!(SYS_futex, address, libc::FUTEX_WAIT | PRIVATE, value, 0, 0, 0)
}

fn wake(address: usize, count: i32) -> SysResult {
    sys!(SYS_futex, address, libc::FUTEX_WAKE | PRIVATE, count, 0, 0, 0)
}

/// Starts a thread that makes the call, and comes back when it sleeps in it.
fn waiter(call: impl FnOnce() -> SysResult + Send + 'static) -> Outcome<JoinHandle<SysResult>> {
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = send.send(gettid());
        call()
    });
    let tid = receive.recv().map_err(|_| Failure::new("the thread did not start"))?;
    until_asleep(getpid(), tid)?;
    Ok(thread)
}

fn join(thread: JoinHandle<SysResult>) -> Outcome<SysResult> {
    thread.join().map_err(|_| Failure::new("the thread panicked"))
}

fn wait_other_value_is_eagain(_: &mut Case) -> Outcome {
    let (address, word) = word()?;
    word.store(5, SeqCst);
    check_errno!(wait(address, 4), EAGAIN);
    Ok(())
}

fn wait_times_out(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    let limit = calls::timespec(15_000_000);
    check_errno!(sys!(SYS_futex, address, libc::FUTEX_WAIT | PRIVATE, 0, &limit, 0, 0), ETIMEDOUT);
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 15_000_000, "15 ms or more, got {waited} ns");
    Ok(())
}

fn wait_bitset_absolute_timeout(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    for (clock, flag) in [(libc::CLOCK_MONOTONIC, 0), (libc::CLOCK_REALTIME, 256)] {
        let operation = libc::FUTEX_WAIT_BITSET | PRIVATE | flag;
        let past = calls::timespec(1);
        check_errno!(sys!(SYS_futex, address, operation, 0, &past, 0, -1), ETIMEDOUT);
        let at = calls::now(clock)? + 10_000_000;
        let limit = calls::timespec(at);
        check_errno!(sys!(SYS_futex, address, operation, 0, &limit, 0, -1), ETIMEDOUT);
        check!(calls::now(clock)? >= at, "the absolute time to have passed");
    }
    Ok(())
}

fn wait_bad_timeout_is_einval(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let bad = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
    let operation = libc::FUTEX_WAIT | PRIVATE;
    check_errno!(sys!(SYS_futex, address, operation, 1, &bad, 0, 0), EINVAL);
    let bad = libc::timespec { tv_sec: -1, tv_nsec: 0 };
    check_errno!(sys!(SYS_futex, address, operation, 1, &bad, 0, 0), EINVAL);
    check_errno!(sys!(SYS_futex, address, operation, 0, BAD, 0, 0), EFAULT);
    Ok(())
}

fn bad_address_is_efault(_: &mut Case) -> Outcome {
    check_errno!(wait(BAD, 0), EFAULT);
    check_errno!(wait(BAD + 1, 0), EINVAL);
    check_errno!(wake(BAD + 2, 1), EINVAL);
    check_errno!(wait(sys::KERNEL_ADDRESS, 0), EFAULT);
    // A private wake looks only at the number; a shared one must find the page.
    check_eq!(wake(BAD, 1)?, 0, "private wake of an unmapped word");
    check_errno!(sys!(SYS_futex, BAD, libc::FUTEX_WAKE, 1), EFAULT);
    Ok(())
}

fn unknown_operation_is_enosys(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    check_errno!(sys!(SYS_futex, address, 77, 0, 0, 0, 0), ENOSYS);
    // FUTEX_CLOCK_REALTIME goes with some operations only.
    check_errno!(sys!(SYS_futex, address, libc::FUTEX_WAKE | 256, 0, 0, 0, 0), ENOSYS);
    Ok(())
}

fn bitset_zero_is_einval(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    check_errno!(sys!(SYS_futex, address, libc::FUTEX_WAIT_BITSET, 0, 0, 0, 0), EINVAL);
    check_errno!(sys!(SYS_futex, address, libc::FUTEX_WAKE_BITSET, 1, 0, 0, 0), EINVAL);
    Ok(())
}

fn wake_counts_waiters(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let mut threads = Vec::new();
    for _ in 0..4 {
        threads.push(waiter(move || wait(address, 0))?);
    }
    check_eq!(wake(address, 1)?, 1, "woken when one is asked for");
    check_eq!(wake(address, 2)?, 2, "woken when two are asked for");
    check_eq!(wake(address, i32::MAX)?, 1, "woken when all are asked for");
    for thread in threads {
        check_eq!(join(thread)?, Ok(0), "FUTEX_WAIT");
    }
    Ok(())
}

fn wake_without_waiters_is_zero(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    check_eq!(wake(address, 1)?, 0, "woken");
    Ok(())
}

fn wake_bitset_selects(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let wait =
        move |bits: u32| sys!(SYS_futex, address, libc::FUTEX_WAIT_BITSET | PRIVATE, 0, 0, 0, bits);
    let one = waiter(move || wait(1))?;
    let two = waiter(move || wait(2))?;
    let wake =
        |bits: u32| sys!(SYS_futex, address, libc::FUTEX_WAKE_BITSET | PRIVATE, 10, 0, 0, bits);
    check_eq!(wake(4)?, 0, "woken by bit 4");
    check_eq!(wake(2)?, 1, "woken by bit 2");
    check_eq!(join(two)?, Ok(0), "waiter with bit 2");
    check_eq!(wake(u32::MAX)?, 1, "woken by all bits");
    check_eq!(join(one)?, Ok(0), "waiter with bit 1");
    Ok(())
}

fn private_does_not_meet_shared(_: &mut Case) -> Outcome {
    let region = Region::shared(PAGE)?;
    let address = region.base;
    let thread = waiter(move || sys!(SYS_futex, address, libc::FUTEX_WAIT, 0, 0, 0, 0))?;
    check_eq!(wake(address, 10)?, 0, "woken by a private wake");
    check_eq!(sys!(SYS_futex, address, libc::FUTEX_WAKE, 10)?, 1, "woken by a shared wake");
    check_eq!(join(thread)?, Ok(0), "FUTEX_WAIT");
    Ok(())
}

fn shared_between_processes(_: &mut Case) -> Outcome {
    let region = Region::shared(PAGE)?;
    let pid = child(|| {
        sys!(SYS_futex, region.base, libc::FUTEX_WAIT, 0, 0, 0, 0)?;
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    check_eq!(sys!(SYS_futex, region.base, libc::FUTEX_WAKE, 1)?, 1, "woken");
    reap(pid)
}

fn shared_by_two_addresses(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    sys!(SYS_ftruncate, fd, PAGE)?;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let one = Region::map(0, PAGE, prot, libc::MAP_SHARED, fd, 0)?;
    let two = Region::map(0, PAGE, prot, libc::MAP_SHARED, fd, 0)?;
    let address = one.base + 64;
    let thread = waiter(move || sys!(SYS_futex, address, libc::FUTEX_WAIT, 0, 0, 0, 0))?;
    check_eq!(sys!(SYS_futex, two.base + 64, libc::FUTEX_WAKE, 1)?, 1, "woken");
    check_eq!(join(thread)?, Ok(0), "FUTEX_WAIT");
    Ok(())
}

fn requeue_moves_waiters(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let other = address + 64;
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(waiter(move || wait(address, 0))?);
    }
    let operation = libc::FUTEX_CMP_REQUEUE | PRIVATE;
    let affected = sys!(SYS_futex, address, operation, 1, 10, other, 0)?;
    check_eq!(affected, 3, "woken and moved");
    check_eq!(wake(address, 10)?, 0, "left on the first word");
    check_eq!(wake(other, 10)?, 2, "found on the second word");
    for thread in threads {
        check_eq!(join(thread)?, Ok(0), "FUTEX_WAIT");
    }
    Ok(())
}

fn cmp_requeue_other_value_is_eagain(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let operation = libc::FUTEX_CMP_REQUEUE | PRIVATE;
    check_errno!(sys!(SYS_futex, address, operation, 1, 1, address + 64, 9), EAGAIN);
    check_errno!(sys!(SYS_futex, address, operation, -1, 1, address + 64, 0), EINVAL);
    Ok(())
}

fn wake_op_changes_and_wakes(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    let (first, second) = (region.base, region.base + 64);
    let one = waiter(move || wait(first, 0))?;
    let two = waiter(move || wait(second, 0))?;
    // FUTEX_OP_ADD 5 to the second word; wake there if it was equal to 0.
    let operation = (1u32 << 28) | (5 << 12);
    let futex = libc::FUTEX_WAKE_OP | PRIVATE;
    check_eq!(sys!(SYS_futex, first, futex, 10, 10, second, operation)?, 2, "woken");
    check_eq!(region.word(64).load(SeqCst), 5, "second word");
    check_eq!((join(one)?, join(two)?), (Ok(0), Ok(0)), "both waiters");
    Ok(())
}

fn on_signal(_: &sys::Delivery) {}

fn interrupted_wait_is_eintr(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, on_signal)?;
    let (address, _) = word()?;
    let me = getpid();
    let pid = child(|| {
        until_asleep(me, me)?;
        Ok(calls::kill(me, libc::SIGUSR1)?)
    })?;
    check_errno!(wait(address, 0), EINTR);
    reap(pid)
}

fn lock_pi_takes_and_gives(_: &mut Case) -> Outcome {
    let region = Region::shared(PAGE)?;
    let word = region.word(0);
    let lock = || sys!(SYS_futex, region.base, libc::FUTEX_LOCK_PI, 0, 0, 0, 0);
    let unlock = || sys!(SYS_futex, region.base, libc::FUTEX_UNLOCK_PI, 0, 0, 0, 0);
    lock()?;
    check_eq!(word.load(SeqCst), gettid() as u32, "word of the lock held");
    check_errno!(lock(), EDEADLK);
    in_child(|| {
        check_errno!(unlock(), EPERM);
        check_errno!(sys!(SYS_futex, region.base, libc::FUTEX_TRYLOCK_PI, 0), EAGAIN);
        Ok(())
    })?;
    unlock()?;
    check_eq!(word.load(SeqCst) & libc::FUTEX_TID_MASK, 0, "owner of the lock given back");
    Ok(())
}

fn waitv_checks_values(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    // struct futex_waitv: value, address, flags and a reserved word. FUTEX2_SIZE_U32 is 2.
    let entry = |value: u64| [value, address as u64, 2 | 128];
    let past = calls::timespec(1);
    let clock = libc::CLOCK_MONOTONIC;
    check_errno!(sys!(SYS_futex_waitv, &[entry(0), entry(1)], 2, 0, 0, clock), EAGAIN);
    check_errno!(sys!(SYS_futex_waitv, &[entry(0)], 1, 0, &past, clock), ETIMEDOUT);
    check_errno!(sys!(SYS_futex_waitv, &[entry(0)], 0, 0, 0, clock), EINVAL);
    check_errno!(sys!(SYS_futex_waitv, &[entry(0)], 129, 0, 0, clock), EINVAL);
    check_errno!(sys!(SYS_futex_waitv, &[entry(0)], 1, 1, 0, clock), EINVAL);
    Ok(())
}

fn lock_pi(address: usize) -> SysResult {
    sys!(SYS_futex, address, libc::FUTEX_LOCK_PI | PRIVATE, 0, 0, 0, 0)
}

fn unlock_pi(address: usize) -> SysResult {
    sys!(SYS_futex, address, libc::FUTEX_UNLOCK_PI | PRIVATE, 0, 0, 0, 0)
}

/// Locks and unlocks; gives the caller's tid if the word said so in between.
fn lock_in_turn(address: usize, word: &AtomicU32, turn: &AtomicU32) -> SysResult {
    lock_pi(address)?;
    let right = word.load(SeqCst) & libc::FUTEX_TID_MASK == gettid() as u32;
    let at = turn.fetch_add(1, SeqCst);
    unlock_pi(address)?;
    Ok(if right { at as usize } else { 99 })
}

fn unlock_pi_hands_over(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    let address = region.base;
    let (word, turn) = (region.word(0), region.word(64));
    lock_pi(address)?;
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(waiter(move || lock_in_turn(address, word, turn))?);
    }
    check!(word.load(SeqCst) & libc::FUTEX_WAITERS != 0, "FUTEX_WAITERS in the word");
    check_errno!(sys!(SYS_futex, address, libc::FUTEX_TRYLOCK_PI | PRIVATE, 0), EDEADLK);
    unlock_pi(address)?;
    check!(word.load(SeqCst) & libc::FUTEX_TID_MASK != gettid() as u32, "another owner at once");
    for (at, thread) in threads.into_iter().enumerate() {
        check_eq!(join(thread)?, Ok(at), "whose turn it was");
    }
    check_eq!(word.load(SeqCst) & libc::FUTEX_TID_MASK, 0, "owner in the end");
    Ok(())
}

fn lock_pi_excludes(_: &mut Case) -> Outcome {
    const ROUNDS: u32 = 100;
    let region = Region::private(PAGE)?;
    let address = region.base;
    let (inside, count) = (region.word(64), region.word(128));
    let fight = move || {
        for _ in 0..ROUNDS {
            lock_pi(address)?;
            let alone = inside.fetch_add(1, SeqCst) == 0;
            count.fetch_add(u32::from(alone), SeqCst);
            inside.fetch_sub(1, SeqCst);
            unlock_pi(address)?;
        }
        Ok(0)
    };
    let threads: Vec<JoinHandle<SysResult>> = (0..4).map(|_| std::thread::spawn(fight)).collect();
    for thread in threads {
        check_eq!(join(thread)?, Ok(0), "a fighter");
    }
    check_eq!(count.load(SeqCst), 4 * ROUNDS, "times that an owner was alone");
    check_eq!(region.word(0).load(SeqCst) & libc::FUTEX_TID_MASK, 0, "owner in the end");
    Ok(())
}

fn lock_pi_times_out(_: &mut Case) -> Outcome {
    /// FUTEX_LOCK_PI2, since Linux 5.14.
    const LOCK_PI2: i32 = 13;
    let (address, word) = word()?;
    lock_pi(address)?;
    let late = std::thread::spawn(move || -> Outcome {
        for (clock, operation) in [
            (libc::CLOCK_REALTIME, libc::FUTEX_LOCK_PI),
            (libc::CLOCK_MONOTONIC, LOCK_PI2),
            (libc::CLOCK_REALTIME, LOCK_PI2 | libc::FUTEX_CLOCK_REALTIME),
        ] {
            let at = calls::now(clock)? + 10_000_000;
            let limit = calls::timespec(at);
            check_errno!(sys!(SYS_futex, address, operation | PRIVATE, 0, &limit, 0, 0), ETIMEDOUT);
            check!(calls::now(clock)? >= at, "the absolute time to have passed");
        }
        Ok(())
    });
    late.join().map_err(|_| Failure::new("the thread panicked"))??;
    unlock_pi(address)?;
    check_eq!(word.load(SeqCst) & libc::FUTEX_TID_MASK, 0, "owner in the end");
    Ok(())
}

fn lock_pi_circle_is_edeadlk(_: &mut Case) -> Outcome {
    let (one, _) = word()?;
    let two = one + 64;
    lock_pi(one)?;
    let other = waiter(move || {
        lock_pi(two)?;
        lock_pi(one)?;
        unlock_pi(one)?;
        unlock_pi(two)
    })?;
    check_errno!(lock_pi(two), EDEADLK);
    unlock_pi(one)?;
    check_eq!(join(other)?, Ok(0), "the other thread");
    lock_pi(two)?;
    unlock_pi(two)?;
    Ok(())
}

fn lock_pi_of_dead_owner(_: &mut Case) -> Outcome {
    let region = Region::shared(PAGE)?;
    let (address, word, go) = (region.base, region.word(0), region.word(64));
    let lock = move || sys!(SYS_futex, address, libc::FUTEX_LOCK_PI, 0, 0, 0, 0);
    let owner = child(|| {
        lock()?;
        go.store(1, SeqCst);
        sys!(SYS_futex, address + 64, libc::FUTEX_WAKE, 9)?;
        sys!(SYS_futex, address + 64, libc::FUTEX_WAIT, 1, 0, 0, 0)?;
        Ok(())
    })?;
    while go.load(SeqCst) == 0 {
        let _ = sys!(SYS_futex, address + 64, libc::FUTEX_WAIT, 0, 0, 0, 0);
    }
    let heir = waiter(move || {
        lock()?;
        Ok(gettid() as usize)
    })?;
    until_asleep(owner, owner)?;
    go.store(2, SeqCst);
    sys!(SYS_futex, address + 64, libc::FUTEX_WAKE, 1)?;
    reap(owner)?;
    let heir = join(heir)?? as u32;
    let owned = word.load(SeqCst);
    check_eq!(owned & libc::FUTEX_TID_MASK, heir, "owner after the death");
    check!(owned & libc::FUTEX_OWNER_DIED != 0, "FUTEX_OWNER_DIED in {owned:#x}");
    // The heir has ended, too, and with nobody waiting the word stays as it is.
    check_errno!(lock(), ESRCH);
    Ok(())
}

fn lock_pi_mixed_with_wait_is_einval(_: &mut Case) -> Outcome {
    let (address, word) = word()?;
    lock_pi(address)?;
    let other = waiter(move || {
        lock_pi(address)?;
        unlock_pi(address)
    })?;
    check_errno!(wake(address, 1), EINVAL);
    unlock_pi(address)?;
    check_eq!(join(other)?, Ok(0), "the other thread");
    // And the other way round.
    word.store(0, SeqCst);
    let plain = waiter(move || wait(address, 0))?;
    check_errno!(lock_pi(address), EINVAL);
    check_eq!(wake(address, 1)?, 1, "woken");
    check_eq!(join(plain)?, Ok(0), "FUTEX_WAIT");
    Ok(())
}

fn requeue_pi_moves_to_lock(_: &mut Case) -> Outcome {
    const WAIT_REQUEUE_PI: i32 = 11;
    const CMP_REQUEUE_PI: i32 = 12;
    let region = Region::private(PAGE)?;
    let (address, lock) = (region.base, region.base + 64);
    let (word, turn) = (region.word(64), region.word(128));
    let mut threads = Vec::new();
    for _ in 0..3 {
        threads.push(waiter(move || {
            sys!(SYS_futex, address, WAIT_REQUEUE_PI | PRIVATE, 0, 0, lock, 0)?;
            let right = word.load(SeqCst) & libc::FUTEX_TID_MASK == gettid() as u32;
            let at = turn.fetch_add(1, SeqCst);
            unlock_pi(lock)?;
            Ok(if right { at as usize } else { 99 })
        })?);
    }
    check_errno!(wake(address, 1), EINVAL);
    let requeue = |wake: i32, limit: i32, to: usize, expected: u32| {
        sys!(SYS_futex, address, CMP_REQUEUE_PI | PRIVATE, wake, limit, to, expected)
    };
    check_errno!(requeue(2, 9, lock, 0), EINVAL);
    check_errno!(requeue(1, 9, lock, 7), EAGAIN);
    check_errno!(requeue(1, 9, address, 0), EINVAL);
    check_errno!(requeue(1, 9, lock + 64, 0), EINVAL);
    lock_pi(lock)?;
    check_eq!(requeue(1, 1, lock, 0)?, 2, "moved to the lock");
    check_eq!(requeue(1, 9, lock, 0)?, 1, "moved to the lock, later");
    unlock_pi(lock)?;
    for (at, thread) in threads.into_iter().enumerate() {
        check_eq!(join(thread)?, Ok(at), "whose turn it was");
    }
    // With the lock free the first gets it at once.
    let last = waiter(move || {
        sys!(SYS_futex, address, WAIT_REQUEUE_PI | PRIVATE, 0, 0, lock, 0)?;
        unlock_pi(lock)
    })?;
    check_eq!(requeue(1, 0, lock, 0)?, 1, "given the lock");
    check_eq!(join(last)?, Ok(0), "the thread that was given the lock");
    let past = calls::timespec(1);
    check_errno!(sys!(SYS_futex, address, WAIT_REQUEUE_PI | PRIVATE, 0, &past, lock, 0), ETIMEDOUT);
    Ok(())
}

fn waitv_tells_which(_: &mut Case) -> Outcome {
    let (address, _) = word()?;
    let waitv = move || {
        let entry = |at: usize| [0u64, (address + at) as u64, 2 | 128];
        sys!(SYS_futex_waitv, &[entry(0), entry(64), entry(128)], 3, 0, 0, libc::CLOCK_MONOTONIC)
    };
    for at in [2, 0, 1] {
        let thread = waiter(waitv)?;
        check_eq!(wake(address + at * 64, 5)?, 1, "woken");
        check_eq!(join(thread)?, Ok(at), "index of the word");
        check_eq!(wake(address + (at + 1) % 3 * 64, 5)?, 0, "left on another word");
    }
    Ok(())
}

/// Calls that the crate libc does not number yet.
macro_rules! call {
    ($nr:expr $(, $arg:expr)* $(,)?) => { sys::call($nr, &[$(sys::Arg::from($arg)),*]) };
}

const FUTEX_WAKE: i64 = 454;
const FUTEX_WAIT: i64 = 455;
const FUTEX_REQUEUE: i64 = 456;

fn futex2_waits_wakes_requeues(_: &mut Case) -> Outcome {
    const FLAGS: i32 = 2 | 128;
    let (address, _) = word()?;
    let all = u64::from(u32::MAX);
    let wake2 =
        |at: usize, mask: u64, count: i32, flags: i32| call!(FUTEX_WAKE, at, mask, count, flags);
    let wait2 = move |value: u64, mask: u64| call!(FUTEX_WAIT, address, value, mask, FLAGS, 0, 0);
    match wake2(address, all, 1, FLAGS) {
        Err(errno) if errno.0 == libc::ENOSYS => {
            return crate::case::skip("the calls are newer than this kernel");
        }
        other => check_eq!(other?, 0, "woken without waiters"),
    }
    check_errno!(wake2(address, all, 1, 128), EINVAL);
    check_errno!(wake2(address, 0, 1, FLAGS), EINVAL);
    check_errno!(wake2(address, all + 1, 1, FLAGS), EINVAL);
    check_errno!(wait2(1, all), EAGAIN);
    check_errno!(wait2(1 << 32, all), EINVAL);
    let past = calls::timespec(1);
    check_errno!(call!(FUTEX_WAIT, address, 0, all, FLAGS, &past, libc::CLOCK_REALTIME), ETIMEDOUT);
    let bits = waiter(move || wait2(0, 2))?;
    check_eq!(wake2(address, 1, 9, FLAGS)?, 0, "woken by other bits");
    check_eq!(wake2(address, all, 0, FLAGS)?, 0, "woken when none is asked for");
    check_eq!(wake2(address, 2, 9, FLAGS)?, 1, "woken by its bit");
    check_eq!(join(bits)?, Ok(0), "futex_wait");
    let mut threads = Vec::new();
    for _ in 0..2 {
        threads.push(waiter(move || wait2(0, all))?);
    }
    let entry = |value: u64, at: usize| [value, (address + at) as u64, FLAGS as u64];
    check_errno!(call!(FUTEX_REQUEUE, &[entry(1, 0), entry(0, 64)], 0, 1, 1), EAGAIN);
    check_eq!(call!(FUTEX_REQUEUE, &[entry(0, 0), entry(0, 64)], 0, 1, 1)?, 2, "woken and moved");
    check_eq!(wake(address + 64, 9)?, 1, "found on the second word");
    for thread in threads {
        check_eq!(join(thread)?, Ok(0), "futex_wait");
    }
    Ok(())
}
