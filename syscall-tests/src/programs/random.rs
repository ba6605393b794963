//! Every system call number with random arguments, to see that the kernel under test stays alive.
//!
//! Only for use inside a sandbox: some of these calls would do harm on a real machine. Each batch
//! runs in a child in a session of its own, which is killed when it blocks.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::calls::{self, getpid};
use crate::case::Outcome;
use crate::sys::{Errno, PAGE, Region};
use crate::{check, sys};

/// xorshift64*: the same calls for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// An argument: mostly small numbers, descriptors, flags, good and bad addresses.
    fn argument(&mut self, scratch: &Region) -> i64 {
        let offset = self.below(scratch.len as u64) as usize;
        match self.below(10) {
            0 => 0,
            1 => self.below(8) as i64,
            2 => self.below(64) as i64 - 2,
            3 => 1 << self.below(63),
            4 => -(self.below(4096) as i64),
            5 => scratch.base as i64 + offset as i64,
            6 => (scratch.base + (offset & !7)) as i64,
            // Half of it beyond the end of the mapping.
            7 => (scratch.end() - offset % 64) as i64,
            8 => (sys::KERNEL_ADDRESS + offset) as i64,
            _ => self.next() as i64,
        }
    }
}

const FIRST: i64 = -1;
const LAST: i64 = 1000;
const BATCH: u64 = 64;

/// Calls that end or block their caller by their nature get a child for themselves: a batch would
/// end there each time, and what follows in it never run.
const ALONE: &[i64] = &[
    libc::SYS_pause,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigreturn,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_select,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_futex,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

/// Calls whose first argument names processes: kept to the caller, or the test would end itself.
const SIGNALLING: &[i64] = &[
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
];

fn one_call(random: &mut Random, nr: i64, scratch: &Region) {
    let mut arguments: [i64; 6] = std::array::from_fn(|_| random.argument(scratch));
    if SIGNALLING.contains(&nr) {
        arguments[0] = i64::from(getpid());
        arguments[1] = match nr {
            libc::SYS_tgkill | libc::SYS_rt_tgsigqueueinfo => arguments[0],
            _ => arguments[1],
        };
    }
    let _ = sys::call(nr, &arguments.map(sys::Arg::from));
}

/// Makes the calls `numbers` in this process. Leaves at once in any process that a call made.
fn batch(seed: u64, numbers: &[i64], scratch: &Region, begun: &AtomicU64) -> i32 {
    let _ = sys!(SYS_setsid);
    let me = getpid();
    // The calls may do what they like to descriptors, but not to the caller's output.
    if let Ok(null) = calls::open("/dev/null", libc::O_RDWR, 0) {
        for fd in 0..3 {
            let _ = sys!(SYS_dup2, null, fd);
        }
    }
    let mut random = Random(seed | 1);
    for offset in (0..scratch.len).step_by(8) {
        scratch.word64(offset).store(random.next() >> random.below(64), SeqCst);
    }
    for nr in numbers {
        begun.fetch_add(1, SeqCst);
        one_call(&mut random, *nr, scratch);
        if getpid() != me {
            return 0;
        }
    }
    0
}

/// Waits for the child, a quarter of a second at most, and then kills it and its session.
fn reap_or_kill(pid: i32) -> Outcome<bool> {
    let limit = calls::timespec(250_000_000);
    let set = sys::bit(libc::SIGCHLD);
    let mut status = 0i32;
    for _ in 0..2 {
        if sys!(SYS_wait4, pid, &mut status, libc::WNOHANG | libc::__WALL, 0)? as i32 == pid {
            return Ok(libc::WIFEXITED(status));
        }
        let _ = sys!(SYS_rt_sigtimedwait, &set, 0, &limit, 8);
    }
    let _ = calls::kill(-pid, libc::SIGKILL);
    let _ = calls::kill(pid, libc::SIGKILL);
    calls::wait_for(pid)?;
    Ok(false)
}

/// Makes `calls` calls, going through all numbers again and again; then checks the unknown ones.
pub fn run(seed: u64, calls: u64) -> Outcome {
    let scratch = Region::private(16 * PAGE)?;
    // Counts the calls of the batch at hand, for the parent to see.
    let begun = Region::shared(PAGE)?.word64(0);
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGCHLD))?;
    let mut random = Random(seed | 1);
    let (mut next, mut left) = (FIRST, calls);
    let (mut batches, mut made, mut cut) = (0u64, 0u64, 0u64);
    while left > 0 {
        let mut numbers = Vec::new();
        while (numbers.len() as u64) < BATCH.min(left) {
            let alone = ALONE.contains(&next);
            if alone && !numbers.is_empty() {
                break;
            }
            numbers.push(next);
            next = if next == LAST { FIRST } else { next + 1 };
            if alone {
                break;
            }
        }
        left -= numbers.len() as u64;
        let mut rest = &numbers[..];
        while !rest.is_empty() {
            let batch_seed = random.next();
            begun.store(0, SeqCst);
            let pid = sys::fork(|| batch(batch_seed, rest, &scratch, begun))?;
            let whole = reap_or_kill(pid)?;
            // Calls which ended or blocked their caller are not tried again.
            let done = begun.load(SeqCst).clamp(1, rest.len() as u64);
            rest = &rest[done as usize..];
            batches += 1;
            made += done;
            cut += u64::from(!whole);
        }
    }
    // Whatever adopted orphans are left must not pile up.
    while sys!(SYS_wait4, -1, 0, libc::WNOHANG | libc::__WALL, 0).is_ok_and(|pid| pid > 0) {}
    for nr in (500..=LAST).chain([-1]) {
        let got = sys::call(nr, &[]);
        check!(got == Err(Errno(libc::ENOSYS)), "ENOSYS for number {nr}, got {got:?}");
    }
    println!("random: seed {seed}, {made} calls made in {batches} batches, {cut} cut short");
    Ok(())
}
