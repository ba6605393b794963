//! Small programs inside the guest binary: what the cases exec, and what end-to-end tests run.

pub mod helper;
pub mod random;

use std::sync::atomic::Ordering::SeqCst;

use crate::calls;
use crate::case::{self, Failure, Outcome};
use crate::cases;
use crate::check;
use crate::sys;
use crate::sys::Region;

/// `threads` threads each add 1 `rounds` times to a plain counter under one futex mutex.
///
/// The mutex is the textbook one: 0 free, 1 taken, 2 taken and somebody waits.
pub fn count_with_threads(threads: u32, rounds: u32) -> Outcome<u32> {
    let region = Region::private(sys::PAGE)?;
    let lock = region.word(0);
    let address = region.base;
    let private = libc::FUTEX_PRIVATE_FLAG;
    let handles: Vec<_> = (0..threads)
        .map(|_| {
            std::thread::spawn(move || {
                for round in 0..rounds {
                    if lock.compare_exchange(0, 1, SeqCst, SeqCst).is_err() {
                        while lock.swap(2, SeqCst) != 0 {
                            let wait = libc::FUTEX_WAIT | private;
                            let _ = sys!(SYS_futex, address, wait, 2, 0, 0, 0);
                        }
                    }
                    // Two separate accesses: without the lock, additions would get lost.
                    let counter = region.word(64);
                    let value = counter.load(SeqCst);
                    if round % 64 == 0 {
                        std::thread::yield_now();
                    }
                    counter.store(value + 1, SeqCst);
                    if lock.swap(0, SeqCst) == 2 {
                        let wake = libc::FUTEX_WAKE | private;
                        let _ = sys!(SYS_futex, address, wake, 1, 0, 0, 0);
                    }
                }
            })
        })
        .collect();
    for handle in handles {
        if handle.join().is_err() {
            return Err(Failure::new("a thread panicked"));
        }
    }
    Ok(region.word(64).load(SeqCst))
}

/// 64 threads under one mutex; prints the sum.
pub fn threads64() -> Outcome {
    let sum = count_with_threads(64, 1000)?;
    println!("threads64: 64 threads added up to {sum}");
    check!(sum == 64_000, "64000, got {sum}");
    Ok(())
}

/// Forks `count` children one after another; each exits with a code of its own.
pub fn forks(count: u32) -> Outcome {
    for i in 0..count {
        let code = (i % 251) as i32;
        let status = calls::wait_for(sys::fork(|| code)?)?;
        check!(calls::exit_code(status) == Some(code), "exit code {code}, got {status:#x}");
    }
    println!("forks: {count} children forked and waited for");
    Ok(())
}

/// Maps 1 GiB and touches one page in 256; prints how many and a check sum.
pub fn sparse_gib() -> Outcome {
    const LEN: usize = 1 << 30;
    const STEP: usize = 256 * sys::PAGE;
    let region = Region::private(LEN)?;
    for (i, offset) in (0..LEN).step_by(STEP).enumerate() {
        region.set(offset, i as u8 | 1);
    }
    let sum: u64 = (0..LEN).step_by(STEP).map(|offset| u64::from(region.get(offset))).sum();
    let untouched = (sys::PAGE..LEN).step_by(STEP).all(|offset| region.get(offset) == 0);
    check!(untouched, "zeros in the pages between");
    println!("sparse-gib: {} pages touched, sum {sum}", LEN / STEP);
    Ok(())
}

/// Runs the cases whose names match, each in a forked child; one line each, and a sum.
pub fn run_all(pattern: &str) -> Outcome {
    let (mut failed, mut total) = (0, 0);
    for case in cases::all().filter(|case| crate::runner::glob::matches(pattern, case.name)) {
        total += 1;
        let pid = sys::fork(|| case::conclude(case.execute()))?;
        let status = calls::wait_for(pid)?;
        let verdict = match calls::exit_code(status) {
            Some(0) => "pass",
            Some(77) => "skip",
            _ => {
                failed += 1;
                "FAIL"
            }
        };
        println!("{verdict} {}", case.name);
    }
    println!("{total} cases, {failed} failed");
    check!(failed == 0, "no failures, got {failed}");
    Ok(())
}
