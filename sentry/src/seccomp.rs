//! The host calls that a running sentry makes, each with its reason: the whole of what its seccomp
//! filter lets through. Everything else kills it.
//!
//! Not on the list, and not to be put there: open, openat, openat2, execve, execveat, socket,
//! connect, bind, clone without CLONE_THREAD, unshare, setns, mount, prctl, process_vm_readv.
//!
//! Calls on the hot path have no conditions: the host then answers from a bitmap, without running
//! the filter.

use platform::host::refusals::{self, Refusal};
use platform::host::seccomp::{Condition, Rule};
use std::io;

/// What `pthread_create` asks of `clone`: a thread of this process and nothing else.
const THREAD: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID) as u64;

const NOT_EXECUTABLE: &[Condition] = &[Condition::masked32(2, libc::PROT_EXEC as u32, 0)];
const KILL: &[Condition] = &[Condition::equal32(1, libc::SIGKILL as u32)];
const NEW_THREAD: &[Condition] = &[Condition::equal(0, THREAD)];
const fn any(nr: i64, reason: &'static str) -> Rule {
    Rule::any(nr, reason)
}

/// The allowed calls.
pub const ALLOWED: &[Rule] = &[
    // The stubs. They are alone with the sentry in its pid namespace.
    any(libc::SYS_ptrace, "run guest code, read and set its registers"),
    any(libc::SYS_wait4, "wait for a stub's next stop"),
    any(libc::SYS_tgkill, "interrupt a guest thread"),
    Rule::when(libc::SYS_kill, KILL, "end a stub"),
    any(libc::SYS_sched_setaffinity, "keep a guest thread and its tracer on one CPU"),
    // Guest memory, which is a file.
    Rule::when(libc::SYS_mmap, NOT_EXECUTABLE, "show memory files; buffers and thread stacks"),
    any(libc::SYS_munmap, "the same"),
    Rule::when(libc::SYS_mprotect, NOT_EXECUTABLE, "malloc's arenas, guard pages of stacks"),
    any(libc::SYS_madvise, "huge pages for large areas; stacks of threads that ended"),
    any(libc::SYS_mremap, "realloc of large buffers"),
    any(libc::SYS_brk, "malloc"),
    any(libc::SYS_fallocate, "give guest memory back; punch holes"),
    any(libc::SYS_ftruncate, "size of the memory file, and of host files open for writing"),
    any(libc::SYS_pread64, "read files of the gofer; guest memory past a fault"),
    any(libc::SYS_pwrite64, "write files of the gofer; orders for stubs"),
    // Host files the gofer handed over, standard streams, the log.
    any(libc::SYS_read, "standard input, the control socket"),
    any(libc::SYS_write, "standard output, the control socket, the log"),
    any(libc::SYS_lseek, "position of redirected standard streams, holes in files"),
    any(libc::SYS_fstat, "size and kind of those"),
    any(libc::SYS_fsync, "fsync(2) of a guest"),
    any(libc::SYS_fdatasync, "fdatasync(2) of a guest"),
    any(libc::SYS_close, "descriptors that are no longer needed"),
    any(libc::SYS_fcntl, "F_GETFL of standard streams"),
    any(libc::SYS_ioctl, "settings and size of the terminal"),
    any(libc::SYS_ppoll, "is a standard stream ready?"),
    any(libc::SYS_epoll_ctl, "watch standard streams that a guest waits for"),
    any(libc::SYS_epoll_pwait, "the same"),
    // The gofer.
    any(libc::SYS_sendmsg, "ask the gofer"),
    any(libc::SYS_recvmsg, "its answer, with descriptors"),
    // Threads and time.
    any(libc::SYS_futex, "locks and waiting"),
    Rule::when(libc::SYS_clone, NEW_THREAD, "a thread for each guest thread"),
    any(libc::SYS_rseq, "a new thread registers; glibc may abort if it cannot"),
    any(libc::SYS_rt_sigprocmask, "pthread_create blocks signals while it works"),
    any(libc::SYS_rt_sigreturn, "return from the handler of faults in guest memory"),
    any(libc::SYS_clock_gettime, "the time, on hosts whose vDSO cannot tell it"),
    any(libc::SYS_sched_yield, "contended locks, before they sleep"),
    any(libc::SYS_getrandom, "random bytes for guests and hash tables"),
    any(libc::SYS_exit, "a thread ends"),
    any(libc::SYS_exit_group, "the sandbox ends"),
];

/// Calls that libc or the standard library try and can do without.
pub const REFUSED: &[Refusal] = &[
    refuse(libc::SYS_openat, libc::EACCES, "malloc asks /proc about overcommit before it trims"),
    refuse(libc::SYS_clone3, libc::ENOSYS, "pthread_create falls back to clone, see above"),
    refuse(libc::SYS_set_robust_list, libc::ENOSYS, "a new thread; no robust mutexes here"),
    refuse(libc::SYS_sigaltstack, libc::EPERM, "a new thread; overflow is then a plain SIGSEGV"),
    refuse(libc::SYS_prctl, libc::EPERM, "the name of a thread or a mapping"),
    refuse(libc::SYS_getcpu, libc::ENOSYS, "which CPU, where the vDSO cannot tell: only a hint"),
    refuse(libc::SYS_sched_getaffinity, libc::EPERM, "a new thread, to learn of its stack"),
    refuse(libc::SYS_gettid, libc::EPERM, "a new thread, for the name in a panic message"),
    refuse(libc::SYS_restart_syscall, libc::EINTR, "a timed wait after a stop; it is repeated"),
];

const fn refuse(nr: i64, errno: i32, reason: &'static str) -> Refusal {
    Refusal { nr, errno, reason }
}

/// Installs the list for all threads, for ever.
pub fn install() -> io::Result<()> {
    refusals::install(ALLOWED, REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_short_and_says_why() {
        assert!(platform::host::seccomp::count(ALLOWED) <= 40);
        let all: Vec<i64> =
            ALLOWED.iter().map(|r| r.nr).chain(REFUSED.iter().map(|r| r.nr)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a call is listed twice");
        assert!(ALLOWED.iter().all(|rule| !rule.reason.is_empty()));
    }

    #[test]
    fn nothing_opens_executes_or_connects() {
        for nr in [
            libc::SYS_open,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_prctl,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
        ] {
            assert!(ALLOWED.iter().all(|rule| rule.nr != nr), "{nr}");
        }
    }
}
