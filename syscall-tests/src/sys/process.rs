//! New processes and threads by the raw calls, and registers.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sys;

use super::{Errno, Region, SysResult};

/// Forks; the child runs `body` and exits with what it returns (101 after a panic).
///
/// By the raw call: libc's `fork` is a `clone` and runs handlers. The callers are single-threaded
/// processes, so the child may allocate.
pub fn fork(body: impl FnOnce() -> i32) -> SysResult<i32> {
    let pid = sys!(SYS_fork)?;
    if pid == 0 {
        let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
        let _ = sys!(SYS_exit_group, code);
        std::process::abort();
    }
    Ok(pid as i32)
}

/// `vfork`; the child makes one system call with three arguments and then exits with 127.
///
/// All in one piece of assembly, because the child borrows its parent's stack.
pub fn vfork_then(nr: i64, a: usize, b: usize, c: usize) -> SysResult<i32> {
    let ret: isize;
    // SAFETY: the child writes no memory and touches only registers which the kernel gives back to
    // the parent unchanged; it leaves by the call or by exit, never past the label.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rax, r12",
            "mov rdi, r13",
            "mov rsi, r14",
            "mov rdx, r15",
            "syscall",
            "mov edi, 127",
            "mov eax, 60",
            "syscall",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_vfork as isize => ret,
            in("r12") nr,
            in("r13") a,
            in("r14") b,
            in("r15") c,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if ret < 0 { Err(Errno(-ret as i32)) } else { Ok(ret as i32) }
}

/// `clone` with a fresh stack; the child runs `entry(argument)` and exits with what it returns.
///
/// The child shares its parent's thread-local storage unless `flags` says otherwise, so `entry`
/// may make raw calls and touch atomics, and nothing else.
pub fn clone_on_stack(
    flags: i32,
    parent_tid: usize,
    child_tid: usize,
    entry: extern "C" fn(usize) -> i32,
    argument: usize,
) -> SysResult<i32> {
    let stack = Region::private(256 << 10)?;
    let ret: isize;
    // SAFETY: the stack is fresh, 16-byte aligned at its top, and never freed; the child runs
    // `entry` there and leaves by exit, never past the label.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "mov edi, eax",
            "mov eax, 60",
            "syscall",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => ret,
            in("rdi") i64::from(flags),
            in("rsi") stack.end(),
            in("rdx") parent_tid,
            in("r10") child_tid,
            in("r8") 0usize,
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if ret < 0 { Err(Errno(-ret as i32)) } else { Ok(ret as i32) }
}

/// A NULL-terminated array of C strings, as `execve` wants it.
#[derive(Debug)]
pub struct CStrings {
    _strings: Vec<CString>,
    pointers: Vec<usize>,
}

impl CStrings {
    /// Strings with a NUL inside lose the rest.
    pub fn new<S: AsRef<str>>(strings: &[S]) -> CStrings {
        let cut = |s: &S| s.as_ref().split('\0').next().unwrap_or_default().to_owned();
        let strings: Vec<CString> =
            strings.iter().map(|s| CString::new(cut(s)).unwrap_or_default()).collect();
        let pointers = strings.iter().map(|s| s.as_ptr() as usize).chain([0]).collect();
        CStrings { _strings: strings, pointers }
    }

    /// The array.
    pub fn pointers(&self) -> &[usize] {
        &self.pointers
    }
}

/// The word at `fs:0`, where the ABI keeps the thread's own FS base.
pub fn fs_self() -> usize {
    let value: usize;
    // SAFETY: libc set FS up for this thread, with its own address in the first word.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) value, options(nostack, readonly)) };
    value
}

/// Points GS at `region`; nothing else in a 64-bit Linux process uses it.
pub fn set_gs(region: &Region) -> SysResult<()> {
    const ARCH_SET_GS: i32 = 0x1001;
    sys!(SYS_arch_prctl, ARCH_SET_GS, region.base).map(drop)
}

/// The word at `gs:0`; call [`set_gs`] first, or it faults.
pub fn gs_word() -> u32 {
    let value: u32;
    // SAFETY: a plain load, which faults when the case did not point GS at a mapping.
    unsafe { std::arch::asm!("mov {:e}, gs:0", out(reg) value, options(nostack, readonly)) };
    value
}

/// Fills the vector registers and MXCSR, makes the system call, and says whether they came back.
pub fn vector_state_survives(nr: i64, a: usize, b: usize, c: usize) -> bool {
    let before: [u8; 256] = std::array::from_fn(|i| (i * 7 + 3) as u8);
    let mut after = [0u8; 256];
    // Flush-to-zero on top of the default: visible, and harmless to the code around.
    let before_control: u32 = 0x1f80 | 0x8000;
    let default_control: u32 = 0x1f80;
    let mut after_control: u32 = 0;
    // SAFETY: both buffers are as long as the sixteen registers; all registers changed are named;
    // MXCSR is set back to its default, which is what Rust assumes.
    unsafe {
        std::arch::asm!(
            "ldmxcsr [r9]",
            "movdqu xmm0, [r12]", "movdqu xmm1, [r12+16]",
            "movdqu xmm2, [r12+32]", "movdqu xmm3, [r12+48]",
            "movdqu xmm4, [r12+64]", "movdqu xmm5, [r12+80]",
            "movdqu xmm6, [r12+96]", "movdqu xmm7, [r12+112]",
            "movdqu xmm8, [r12+128]", "movdqu xmm9, [r12+144]",
            "movdqu xmm10, [r12+160]", "movdqu xmm11, [r12+176]",
            "movdqu xmm12, [r12+192]", "movdqu xmm13, [r12+208]",
            "movdqu xmm14, [r12+224]", "movdqu xmm15, [r12+240]",
            "syscall",
            "movdqu [r13], xmm0", "movdqu [r13+16], xmm1",
            "movdqu [r13+32], xmm2", "movdqu [r13+48], xmm3",
            "movdqu [r13+64], xmm4", "movdqu [r13+80], xmm5",
            "movdqu [r13+96], xmm6", "movdqu [r13+112], xmm7",
            "movdqu [r13+128], xmm8", "movdqu [r13+144], xmm9",
            "movdqu [r13+160], xmm10", "movdqu [r13+176], xmm11",
            "movdqu [r13+192], xmm12", "movdqu [r13+208], xmm13",
            "movdqu [r13+224], xmm14", "movdqu [r13+240], xmm15",
            "stmxcsr [r14]",
            "ldmxcsr [r15]",
            inlateout("rax") nr => _,
            in("rdi") a, in("rsi") b, in("rdx") c,
            in("r9") &before_control,
            in("r12") before.as_ptr(), in("r13") after.as_mut_ptr(),
            in("r14") &mut after_control, in("r15") &default_control,
            lateout("rcx") _, lateout("r11") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
    before == after && after_control == before_control
}

/// Zeroes the vector registers and changes the rounding mode, as a signal handler may.
pub fn clobber_vector_state() {
    let control: u32 = 0x1f80 | 0x6000;
    // SAFETY: all registers changed are named; MXCSR is restored when the handler returns, which is
    // what the caller tests, and nothing in between computes with floats.
    unsafe {
        std::arch::asm!(
            "pxor xmm0, xmm0", "pxor xmm1, xmm1", "pxor xmm2, xmm2", "pxor xmm3, xmm3",
            "pxor xmm4, xmm4", "pxor xmm5, xmm5", "pxor xmm6, xmm6", "pxor xmm7, xmm7",
            "pxor xmm8, xmm8", "pxor xmm9, xmm9", "pxor xmm10, xmm10", "pxor xmm11, xmm11",
            "pxor xmm12, xmm12", "pxor xmm13, xmm13", "pxor xmm14, xmm14", "pxor xmm15, xmm15",
            "ldmxcsr [{}]",
            in(reg) &control,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
}
