//! The stub: the few instructions of ours in every guest address space, and where they lie.
//!
//! They are position independent, use no stack, and take everything from registers and from the
//! orders page, which is read-only there. Guest code may jump to any of them with any registers:
//! a `syscall` it reaches that way is stopped by PTRACE_SYSEMU like any other, and the rest only
//! reads the orders page.

pub(super) use crate::stubs::regs::{USER_CS, USER_END, USER_SS};
use crate::{PAGE_SIZE, Registers};
use std::arch::global_asm;

/// The page of code. Above what a guest may map, below the end of the 47-bit user half.
pub(super) const CODE: u64 = 0x7fff_fff0_0000;
/// The page of orders, one for each address space.
pub(super) const ORDERS: u64 = CODE + PAGE_SIZE;
/// The end of the stub.
pub(super) const END: u64 = ORDERS + PAGE_SIZE;

/// Length of one order in the orders page: number, six arguments, one word unused.
pub(super) const ORDER_LEN: usize = 64;
/// How many fit.
pub(super) const MAX_ORDERS: usize = PAGE_SIZE as usize / ORDER_LEN;

global_asm!(
    r#"
    .pushsection .rodata.platform_ptrace_stub, "a", @progbits
    .balign 16
    // Global, for the Rust code that uses them may be in another object file.
    .globl platform_ptrace_stub_start
    .hidden platform_ptrace_stub_start
    .globl platform_ptrace_stub_batch
    .hidden platform_ptrace_stub_batch
    .globl platform_ptrace_stub_single
    .hidden platform_ptrace_stub_single
    .globl platform_ptrace_stub_clone
    .hidden platform_ptrace_stub_clone
    .globl platform_ptrace_stub_end
    .hidden platform_ptrace_stub_end
platform_ptrace_stub_start:

    // A batch: r12 = first order, r13 = how many (at least one).
    // Ends with rax = last result, r13 = how many were not done (0: all went well).
platform_ptrace_stub_batch:
    mov rax, [r12]
    mov rdi, [r12 + 8]
    mov rsi, [r12 + 16]
    mov rdx, [r12 + 24]
    mov r10, [r12 + 32]
    mov r8,  [r12 + 40]
    mov r9,  [r12 + 48]
    syscall
    cmp rax, -4096
    ja 2f
    add r12, 64
    dec r13
    jnz platform_ptrace_stub_batch
2:  int3

    // One call, number and arguments in their registers.
platform_ptrace_stub_single:
    syscall
    int3

    // One clone, likewise. The child shares the caller's memory and has no stack: it parks.
platform_ptrace_stub_clone:
    syscall
    test rax, rax
    jz 3f
    int3
3:  mov eax, 34
    syscall
    jmp 3b

platform_ptrace_stub_end:
    .popsection
"#
);

unsafe extern "C" {
    safe static platform_ptrace_stub_start: u8;
    safe static platform_ptrace_stub_batch: u8;
    safe static platform_ptrace_stub_single: u8;
    safe static platform_ptrace_stub_clone: u8;
    safe static platform_ptrace_stub_end: u8;
}

/// The stub's code, to be copied to [`CODE`].
pub(super) fn code() -> &'static [u8] {
    let start = &raw const platform_ptrace_stub_start;
    let len = (&raw const platform_ptrace_stub_end).addr() - start.addr();
    // SAFETY: both labels are in one section of read-only data, start before end.
    unsafe { std::slice::from_raw_parts(start, len) }
}

fn entry(label: *const u8) -> u64 {
    CODE + (label.addr() - (&raw const platform_ptrace_stub_start).addr()) as u64
}

/// Registers of a stopped thread that is to run the stub from `rip`.
fn at(rip: u64) -> Registers {
    Registers {
        rip,
        cs: USER_CS,
        ss: USER_SS,
        eflags: EFLAGS,
        orig_rax: u64::MAX,
        ..Default::default()
    }
}

/// Flags with nothing but interrupts enabled.
const EFLAGS: u64 = 0x202;

/// To run the first `count` orders.
pub(super) fn batch(count: usize) -> Registers {
    let mut regs = at(entry(&raw const platform_ptrace_stub_batch));
    regs.r12 = ORDERS;
    regs.r13 = count as u64;
    regs
}

/// To make one call.
pub(super) fn single(nr: i64, args: [u64; 6]) -> Registers {
    call(entry(&raw const platform_ptrace_stub_single), nr, args)
}

/// To clone; the child parks.
pub(super) fn clone(flags: i32) -> Registers {
    let args = [flags as u32 as u64, 0, 0, 0, 0, 0];
    call(entry(&raw const platform_ptrace_stub_clone), libc::SYS_clone, args)
}

fn call(rip: u64, nr: i64, args: [u64; 6]) -> Registers {
    let mut regs = at(rip);
    regs.rax = nr as u64;
    [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = args;
    regs
}
