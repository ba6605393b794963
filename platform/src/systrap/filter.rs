//! What stubs may ask of the host: the whole lists.
//!
//! Every call that does not come from the page of stub code traps: that is how guest calls are
//! seen. A call from that page that is not on the list traps as well, so that a guest that jumps
//! there with registers of its own has made a guest call like any other.

use super::layout::*;
use crate::host::seccomp::{Action, Condition, Rule, compile};
use crate::{GUEST_ADDRESS_END, PAGE_SIZE};
use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use libc::{c_long, sock_filter};
use std::io;

/// A new stub process: the sentry's descriptors (so that any of them can be mapped), the sentry as
/// parent (so that it can reap), memory of its own.
pub(super) const PROCESS_FLAGS: i32 = libc::CLONE_FILES | libc::CLONE_PARENT;
/// A thread for a guest thread. The host clears its state word when it has ended.
pub(super) const THREAD_FLAGS: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_CHILD_CLEARTID;

const SHARED: u64 = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
const PRIVATE: u64 = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;
const READ_WRITE: u64 = (libc::PROT_READ | libc::PROT_WRITE) as u64;
const BELOW_GUEST_END: Condition = Condition::less(0, GUEST_ADDRESS_END);

/// The launcher and the brokers, which never run guest code, and a new thread until it has the
/// other list.
pub const BROKER: &[Rule] = &[
    Rule::when(libc::SYS_mmap, &[BELOW_GUEST_END, Condition::equal(3, SHARED)], "guest memory"),
    Rule::when(
        libc::SYS_mmap,
        &[BELOW_GUEST_END, Condition::equal(3, PRIVATE)],
        "read-only pages of host files",
    ),
    Rule::when(
        libc::SYS_mmap,
        &[
            Condition::less(0, CODE),
            Condition::equal(1, AREA_LEN as u64),
            Condition::equal(2, READ_WRITE),
            Condition::equal(3, SHARED),
        ],
        "the area of a thread",
    ),
    Rule::when(
        libc::SYS_mmap,
        &[
            Condition::equal(0, ORDERS),
            Condition::equal(1, PAGE_SIZE),
            Condition::equal(2, libc::PROT_READ as u64),
            Condition::equal(3, SHARED),
        ],
        "the orders page of a new stub",
    ),
    Rule::when(libc::SYS_munmap, &[BELOW_GUEST_END], "guest memory"),
    Rule::when(libc::SYS_mprotect, &[BELOW_GUEST_END], "guest memory"),
    Rule::when(
        libc::SYS_clone,
        &[Condition::equal(0, PROCESS_FLAGS as u64)],
        "launcher: a new stub",
    ),
    Rule::when(
        libc::SYS_clone,
        &[Condition::equal(0, THREAD_FLAGS as u64)],
        "broker: a host thread for a guest thread",
    ),
    Rule::any(libc::SYS_futex, "wait for orders; what guest threads may"),
    Rule::when(libc::SYS_write, &[Condition::equal(1, ORDERS)], "tell a result"),
    Rule::when(
        libc::SYS_prctl,
        &[
            Condition::equal(0, libc::PR_SET_PDEATHSIG as u64),
            Condition::equal(1, libc::SIGKILL as u64),
        ],
        "a new stub dies with the sentry",
    ),
    Rule::any(libc::SYS_getppid, "the same"),
    Rule::any(libc::SYS_exit_group, "the end of a stub that cannot be made"),
    Rule::any(libc::SYS_sigaltstack, "a new guest thread"),
    Rule::when(
        libc::SYS_seccomp,
        &[Condition::equal(2, CONSTANTS + GUEST_FPROG as u64)],
        "a new guest thread gives up all but what follows",
    ),
    Rule::any(libc::SYS_rt_sigprocmask, "a new guest thread; see below"),
    Rule::any(libc::SYS_exit, "the end of a guest thread"),
];

macro_rules! futex {
    ($op:expr, $reason:literal) => {
        Rule::when(
            libc::SYS_futex,
            &[Condition::equal32(1, $op as u32), Condition::equal(3, 0), Condition::less(0, CODE)],
            $reason,
        )
    };
}

/// Threads that run guest code.
pub const GUEST: &[Rule] = &[
    futex!(libc::FUTEX_WAIT, "wait for the sentry"),
    futex!(libc::FUTEX_WAKE, "wake it"),
    Rule::when(
        libc::SYS_rt_sigprocmask,
        &[
            Condition::equal32(0, libc::SIG_SETMASK as u32),
            Condition::equal(1, CONSTANTS + ZEROS as u64),
            Condition::equal(2, 0),
        ],
        "let signals in, once the thread is ready",
    ),
    Rule::any(libc::SYS_exit, "the end of a guest thread"),
];

/// A list as a program, behind the test of where the call comes from.
fn program(rules: &[Rule]) -> io::Result<Vec<sock_filter>> {
    // Of struct seccomp_data: the instruction pointer, low half first.
    const IP_LOW: u32 = 8;
    const IP_HIGH: u32 = 12;
    let load = |offset| statement(BPF_LD | BPF_W | BPF_ABS, offset);
    // Equal: skip the return.
    let equal = |k: u64| sock_filter {
        code: (BPF_JMP | BPF_JEQ | BPF_K) as u16,
        jt: 1,
        jf: 0,
        k: k as u32,
    };
    let trap = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_TRAP);
    let mut program = vec![
        load(IP_HIGH),
        equal(CODE >> 32),
        trap,
        load(IP_LOW),
        statement(BPF_ALU | BPF_AND | BPF_K, !(PAGE_SIZE as u32 - 1)),
        equal(CODE),
        trap,
    ];
    program.extend(compile(rules, Action::Trap)?.into_statements());
    Ok(program)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// The page of constants: both programs, as the host takes them.
pub(super) fn constants() -> io::Result<Vec<u8>> {
    let mut page = vec![0u8; FILTERS];
    for (at, rules) in [(BROKER_FPROG, BROKER), (GUEST_FPROG, GUEST)] {
        let program = program(rules)?;
        // struct sock_fprog: a 16-bit length, padding, a pointer.
        let address = CONSTANTS + page.len() as u64;
        page[at..at + 8].copy_from_slice(&(program.len() as u64).to_le_bytes());
        page[at + 8..at + 16].copy_from_slice(&address.to_le_bytes());
        for sock_filter { code, jt, jf, k } in program {
            page.extend_from_slice(&code.to_ne_bytes());
            page.extend_from_slice(&[jt, jf]);
            page.extend_from_slice(&k.to_ne_bytes());
        }
    }
    if page.len() > PAGE_SIZE as usize {
        return Err(io::Error::other("the stub filters are too long"));
    }
    Ok(page)
}

/// The calls of a list, each once.
pub fn calls(rules: &[Rule]) -> std::collections::BTreeSet<c_long> {
    rules.iter().map(|rule| rule.nr).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_threads_may_make_three_calls() {
        assert_eq!(calls(GUEST).len(), 3);
        assert!(calls(BROKER).len() <= 14);
    }

    #[test]
    fn the_filters_fit_their_page() {
        assert!(constants().unwrap().len() <= PAGE_SIZE as usize);
    }
}
