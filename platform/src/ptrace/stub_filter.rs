//! What a stub may ask of the host: the whole list.
//!
//! Guest calls never execute (PTRACE_SYSEMU stops them before the host looks at them), so this
//! binds only our own stub code, should the rest fail. The launcher gets it once; every stub
//! inherits it.

use super::stub;
use crate::GUEST_ADDRESS_END;
use crate::host::seccomp::{Action, Condition, Rule, compile};
use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
use std::io;

/// A new stub process: the sentry's descriptors (so that any of them can be mapped), the sentry as
/// parent (so that it can reap), memory of its own.
pub(super) const CLONE_PROCESS: i32 = libc::CLONE_FILES | libc::CLONE_PARENT;
/// A thread for a guest thread. CLONE_UNTRACED: it gets a tracer of its own.
pub(super) const CLONE_THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_UNTRACED;

const SHARED: u64 = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
const PRIVATE: u64 = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;

/// The list. Condition arguments: (index, value).
pub const RULES: &[Rule] = &[
    Rule {
        nr: libc::SYS_mmap,
        when: &[Condition::less(0, GUEST_ADDRESS_END), Condition::equal(3, SHARED)],
        reason: "guest memory",
    },
    Rule {
        nr: libc::SYS_mmap,
        when: &[Condition::less(0, GUEST_ADDRESS_END), Condition::equal(3, PRIVATE)],
        reason: "read-only pages of host files",
    },
    Rule {
        nr: libc::SYS_mmap,
        when: &[
            Condition::equal(0, stub::ORDERS),
            Condition::equal(2, libc::PROT_READ as u64),
            Condition::equal(3, SHARED),
        ],
        reason: "the orders page of a new stub",
    },
    Rule {
        nr: libc::SYS_munmap,
        when: &[Condition::less(0, GUEST_ADDRESS_END)],
        reason: "guest memory",
    },
    Rule {
        nr: libc::SYS_mprotect,
        when: &[Condition::less(0, GUEST_ADDRESS_END)],
        reason: "guest memory",
    },
    Rule {
        nr: libc::SYS_clone,
        when: &[Condition::equal(0, CLONE_PROCESS as u64)],
        reason: "launcher: a new stub",
    },
    Rule {
        nr: libc::SYS_clone,
        when: &[Condition::equal(0, CLONE_THREAD as u64)],
        reason: "stub: a host thread for a guest thread",
    },
    Rule { nr: libc::SYS_pause, when: &[], reason: "a new thread parks until its tracer comes" },
    Rule {
        nr: libc::SYS_restart_syscall,
        when: &[],
        reason: "how the host resumes a call that a stop interrupted",
    },
    Rule { nr: libc::SYS_exit, when: &[], reason: "the end of a guest thread" },
];

/// The calls that the kernel makes on behalf of code on the legacy vsyscall page, without
/// PTRACE_SYSEMU seeing them. They trap, and the tracer presents them as ordinary calls.
const VSYSCALLS: [i64; 3] = [libc::SYS_gettimeofday, libc::SYS_time, libc::SYS_getcpu];

/// The program, as the bytes of an array of `sock_filter`.
pub(super) fn program() -> io::Result<(usize, Vec<u8>)> {
    let mut program = vec![statement(BPF_LD | BPF_W | BPF_ABS, 0)];
    for nr in VSYSCALLS {
        // Equal: go on to the return; else skip it.
        program.push(sock_filter {
            code: (BPF_JMP | BPF_JEQ | BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: nr as u32,
        });
        program.push(statement(BPF_RET | BPF_K, libc::SECCOMP_RET_TRAP));
    }
    program.extend(compile(RULES, Action::KillProcess)?.into_statements());
    let mut bytes = Vec::with_capacity(program.len() * size_of::<sock_filter>());
    for statement in &program {
        bytes.extend_from_slice(&statement.code.to_ne_bytes());
        bytes.extend_from_slice(&[statement.jt, statement.jf]);
        bytes.extend_from_slice(&statement.k.to_ne_bytes());
    }
    Ok((program.len(), bytes))
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_eight_calls() {
        let calls: std::collections::BTreeSet<i64> = RULES.iter().map(|rule| rule.nr).collect();
        assert!(calls.len() <= 8, "{calls:?}");
    }

    #[test]
    fn fits_the_orders_page() {
        let (len, bytes) = program().unwrap();
        assert_eq!(bytes.len(), len * 8);
        assert!(bytes.len() < 3072, "{len} statements");
    }
}
