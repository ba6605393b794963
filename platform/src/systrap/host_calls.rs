//! What the sentry itself must be allowed to ask of its host for the systrap platform to run.
//!
//! One part of the sentry's own list; complete for this crate: tests/confined.rs runs guests under
//! these rules alone. (Starting the platform, before the list is in force, needs more.)

use crate::host::seccomp::{Condition, Rule};
use crate::stubs::threads::KICK;

/// The list.
pub const HOST_CALLS: &[Rule] = &[
    Rule::any(libc::SYS_futex, "take turns with guest threads; locks"),
    Rule::any(libc::SYS_read, "the results of orders"),
    Rule::any(libc::SYS_write, "tell who waits for one that its stub has ended"),
    Rule::any(libc::SYS_ppoll, "the same, told too late"),
    Rule::any(libc::SYS_waitid, "the end of a stub"),
    Rule::any(libc::SYS_wait4, "the same"),
    Rule::any(libc::SYS_fallocate, "memory of stubs that have ended"),
    Rule::when(libc::SYS_tgkill, &[Condition::equal32(2, KICK as u32)], "interrupt a guest thread"),
    Rule::when(
        libc::SYS_kill,
        &[Condition::equal32(1, libc::SIGKILL as u32)],
        "the end of an address space",
    ),
    Rule::any(libc::SYS_sched_setaffinity, "guest thread and its sentry's thread on one CPU"),
    Rule::any(libc::SYS_getcpu, "that CPU, where the vDSO does not tell"),
    Rule::any(libc::SYS_sched_yield, "locks"),
    Rule::any(libc::SYS_restart_syscall, "waits that a stop interrupted"),
    // Threads.
    Rule::any(libc::SYS_clone3, "a thread for a guest thread"),
    Rule::any(libc::SYS_clone, "the same, with an older libc"),
    Rule::any(libc::SYS_set_robust_list, "a new thread's libc"),
    Rule::any(libc::SYS_rseq, "a new thread's libc"),
    Rule::any(libc::SYS_sched_getaffinity, "a new thread's libc: where its stack is"),
    Rule::any(libc::SYS_gettid, "a new thread's runtime"),
    Rule::any(libc::SYS_rt_sigprocmask, "a new thread's libc"),
    Rule::any(libc::SYS_sigaltstack, "a new thread's runtime: stack overflow"),
    Rule::when(
        libc::SYS_prctl,
        &[Condition::equal32(0, libc::PR_SET_NAME as u32)],
        "a new thread's name",
    ),
    Rule::any(libc::SYS_mmap, "stacks and heap"),
    Rule::any(libc::SYS_mprotect, "stacks and heap"),
    Rule::any(libc::SYS_munmap, "stacks and heap"),
    Rule::any(libc::SYS_madvise, "stacks of ended threads"),
    Rule::any(libc::SYS_brk, "heap"),
    Rule::any(libc::SYS_exit, "the end of a thread"),
];
