//! What the sentry itself must be allowed to ask of its host for the ptrace platform to run.
//!
//! One part of the sentry's own list; complete for this crate: tests/confined.rs runs guests under
//! these rules alone. (Starting the platform, before the list is in force, needs more.)

use super::sys::KICK;
use crate::host::seccomp::{Condition, Rule};

macro_rules! ptrace {
    ($request:expr, $reason:literal) => {
        Rule::when(libc::SYS_ptrace, &[Condition::equal(0, $request as u64)], $reason)
    };
}

/// The list; the hottest alternatives of a call first.
pub const HOST_CALLS: &[Rule] = &[
    ptrace!(libc::PTRACE_SYSEMU, "run guest code"),
    ptrace!(libc::PTRACE_GETREGS, "registers at each stop"),
    ptrace!(libc::PTRACE_SETREGS, "registers before guest or stub code runs"),
    ptrace!(libc::PTRACE_CONT, "run stub code"),
    ptrace!(libc::PTRACE_GETSIGINFO, "faults and exceptions"),
    ptrace!(0x420e, "PTRACE_GET_SYSCALL_INFO: which entry a call came by"),
    ptrace!(libc::PTRACE_GETREGSET, "vector state: signal delivery, fork"),
    ptrace!(libc::PTRACE_SETREGSET, "vector state: sigreturn, exec"),
    ptrace!(libc::PTRACE_SEIZE, "a new guest thread"),
    ptrace!(libc::PTRACE_INTERRUPT, "a new guest thread"),
    Rule::any(libc::SYS_ppoll, "news of the end of children"),
    Rule::any(libc::SYS_read, "the same"),
    Rule::any(libc::SYS_wait4, "the next stop of a guest thread; the end of a stub"),
    Rule::when(libc::SYS_tgkill, &[Condition::equal32(2, KICK as u32)], "interrupt a guest thread"),
    Rule::when(
        libc::SYS_kill,
        &[Condition::equal32(1, libc::SIGKILL as u32)],
        "the end of an address space",
    ),
    Rule::any(libc::SYS_sched_setaffinity, "guest thread and tracer on one CPU"),
    Rule::any(libc::SYS_getcpu, "that CPU, where the vDSO does not tell"),
    Rule::any(libc::SYS_pwrite64, "orders for stubs"),
    Rule::any(libc::SYS_futex, "locks and channels"),
    Rule::any(libc::SYS_sched_yield, "locks"),
    Rule::any(libc::SYS_restart_syscall, "waits that a stop interrupted"),
    // Tracer threads.
    Rule::any(libc::SYS_clone3, "a tracer thread"),
    Rule::any(libc::SYS_clone, "a tracer thread, with an older libc"),
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
