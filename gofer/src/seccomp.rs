//! The host calls that a running gofer makes, each with its reason: the whole of what its seccomp
//! filter lets through. Data only; whoever starts the process installs it, between
//! [`crate::server::Server::new`] and [`crate::server::Server::run`].

/// What a call's argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Any arguments.
    Any,
    /// Argument `index` (from 0), masked, must equal `value`.
    Masked {
        /// Which argument.
        index: u8,
        /// The bits that are looked at.
        mask: u64,
        /// What they must be.
        value: u64,
    },
}

/// An allowed call.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The call's number on this architecture.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// What its arguments must be.
    pub condition: Condition,
    /// Why the gofer needs it.
    pub reason: &'static str,
}

/// A call that libc or the standard library tries and can do without: it gets this errno, rather
/// than the process its death.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The call's number on this architecture.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// What it is told.
    pub errno: i32,
    /// Who tries, and what happens then.
    pub reason: &'static str,
}

macro_rules! rules {
    ($($call:ident $(if arg $index:literal & $mask:expr => $value:expr)?, $reason:literal;)*) => {
        &[$(Rule {
            number: libc::$call,
            name: name(stringify!($call)),
            condition: rules!(@condition $($index, $mask, $value)?),
            reason: $reason,
        }),*]
    };
    (@condition) => { Condition::Any };
    (@condition $index:literal, $mask:expr, $value:expr) => {
        Condition::Masked { index: $index, mask: $mask as u64, value: $value as u64 }
    };
}

/// `SYS_read` as `read`.
const fn name(constant: &'static str) -> &'static str {
    match constant.split_at_checked(4) {
        Some((_, name)) => name,
        None => constant,
    }
}

/// What `pthread_create` asks of `clone`: a thread of this process and nothing else.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// The allowed calls.
pub const ALLOWED: &[Rule] = rules! {
    // The conversation.
    SYS_recvmsg, "receive a request";
    SYS_sendmsg, "send an answer, with an fd";
    SYS_futex, "locks, and threads that wait to be needed";

    // Looking.
    SYS_openat2, "the only way to open: beneath an fd, through no link";
    SYS_statx if arg 2 & libc::AT_SYMLINK_FOLLOW => 0, "attributes";
    SYS_readlinkat, "where a symbolic link points to";
    SYS_getdents64, "list a directory";
    SYS_lseek, "go on with a directory where the last answer ended";
    SYS_fstatfs, "statfs(2) of a node";
    SYS_fgetxattr, "user.* and security.capability";
    SYS_flistxattr, "the names of those";
    SYS_close, "fds that were handed over, or are kept no longer";

    // Changing; never reached for a read-only root.
    SYS_ftruncate, "truncate(2), and O_TRUNC once the file is known";
    SYS_fchmod, "chmod(2), and the mode of new files";
    SYS_fchownat if arg 4 & libc::AT_EMPTY_PATH => libc::AT_EMPTY_PATH,
        "chown(2) of what an fd refers to";
    SYS_utimensat if arg 3 & libc::AT_EMPTY_PATH => libc::AT_EMPTY_PATH,
        "utimensat(2) of what an fd refers to";
    SYS_mkdirat, "mkdir(2)";
    SYS_symlinkat, "symlink(2)";
    SYS_mknodat if arg 3 & u32::MAX => 0, "mknod(2) of FIFOs and regular files: no device number";
    SYS_linkat if arg 4 & libc::AT_SYMLINK_FOLLOW => 0, "link(2)";
    SYS_unlinkat, "unlink(2), rmdir(2)";
    SYS_renameat2 if arg 4 & libc::RENAME_WHITEOUT => 0, "rename(2)";
    SYS_fsync, "fsync(2) of a directory, mostly";
    SYS_fsetxattr, "user.*";
    SYS_fremovexattr, "user.*";

    // Memory and threads.
    SYS_mmap if arg 2 & libc::PROT_EXEC => 0, "buffers and thread stacks";
    SYS_munmap, "the same";
    SYS_mprotect if arg 2 & libc::PROT_EXEC => 0, "malloc's arenas, guard pages of stacks";
    SYS_brk, "malloc";
    SYS_clone if arg 0 & u64::MAX => THREAD, "a further thread when a request stalls";
    SYS_rt_sigprocmask, "pthread_create blocks signals while it works";
    SYS_rseq, "each new thread registers; glibc may abort if it cannot";
    SYS_exit, "a thread ends";
    SYS_exit_group, "the gofer ends";
    SYS_write if arg 0 & u32::MAX => libc::STDERR_FILENO, "the last words of a panic";
};

macro_rules! refusals {
    ($($call:ident => $errno:ident, $reason:literal;)*) => {
        &[$(Refusal {
            number: libc::$call,
            name: name(stringify!($call)),
            errno: libc::$errno,
            reason: $reason,
        }),*]
    };
}

/// Calls that are answered with an error instead of death.
pub const REFUSED: &[Refusal] = refusals! {
    SYS_clone3 => ENOSYS, "pthread_create falls back to clone, whose flags a filter can see";
    SYS_set_robust_list => ENOSYS, "a new thread; there are no robust mutexes here";
    SYS_sigaltstack => EPERM, "a new thread; a stack overflow is then a plain SIGSEGV";
    SYS_sched_getaffinity => EPERM, "a new thread, to learn where its own stack ends";
    SYS_madvise => EPERM, "a thread that ends, to give back its stack early";
    SYS_gettid => EPERM, "a new thread, for the name in a panic message";
    SYS_fcntl => EPERM, "debug builds look at an fd before they close it; only EBADF would matter";
    SYS_openat => ENOENT, "malloc reads overcommit_memory before it shrinks a thread's heap";
    SYS_prctl => EPERM, "the name of a thread or a mapping";
    SYS_restart_syscall => EINTR, "a timed wait after SIGSTOP and SIGCONT; the wait is repeated";
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_short_and_says_why() {
        assert!(ALLOWED.len() <= 35, "{} calls", ALLOWED.len());
        let numbers: BTreeSet<_> =
            ALLOWED.iter().map(|r| r.number).chain(REFUSED.iter().map(|r| r.number)).collect();
        assert_eq!(numbers.len(), ALLOWED.len() + REFUSED.len(), "a call is listed twice");
        assert!(ALLOWED.iter().all(|rule| !rule.reason.is_empty()));
    }

    #[test]
    fn nothing_opens_executes_or_connects_by_itself() {
        for number in [
            libc::SYS_open,
            libc::SYS_openat,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_ptrace,
            libc::SYS_ioctl,
        ] {
            assert!(ALLOWED.iter().all(|rule| rule.number != number));
        }
        assert_eq!(ALLOWED[0].name, "recvmsg");
    }
}
