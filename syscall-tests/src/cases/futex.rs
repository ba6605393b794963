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
    waitv_checks_values: "futex_waitv gives EAGAIN, ETIMEDOUT and EINVAL";
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
