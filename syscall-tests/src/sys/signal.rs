//! Signal actions by the raw call, with handlers that are ordinary functions.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::sys;

use super::SysResult;

/// The kernel's signal set: signal `n` is bit `n - 1`.
pub type SigSet = u64;

/// `SA_ONSTACK`, as the raw call wants it.
pub const ONSTACK: i32 = libc::SA_ONSTACK;

const SA_RESTORER: u64 = 0x0400_0000;

/// The set that holds only `signal`.
pub const fn bit(signal: i32) -> SigSet {
    1 << (signal - 1)
}

/// `struct sigaction` as the kernel has it on x86_64 (libc's differs).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelSigaction {
    /// Address of the handler, or SIG_DFL (0), SIG_IGN (1).
    pub handler: usize,
    /// SA_ flags.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: usize,
    /// Blocked while the handler runs.
    pub mask: SigSet,
}

/// What a handler was told. Fields are zero without SA_SIGINFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    /// The signal.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_errno`.
    pub errno: i32,
    /// `si_pid`; meaningful for signals sent by processes and SIGCHLD.
    pub pid: i32,
    /// `si_uid`.
    pub uid: u32,
    /// `si_status`, for SIGCHLD.
    pub status: i32,
    /// `si_addr`, for faults.
    pub address: usize,
    /// `si_value`, for queued signals.
    pub value: usize,
    /// An address inside the handler's own frame, to see which stack it runs on.
    pub stack: usize,
    /// The interrupted instruction, from the context.
    pub interrupted_at: usize,
    /// `uc_sigmask`: the mask to be restored.
    pub saved_mask: SigSet,
}

static HOOKS: [AtomicUsize; 65] = [const { AtomicUsize::new(0) }; 65];
static FLAGS: [AtomicI32; 65] = [const { AtomicI32::new(0) }; 65];

std::arch::global_asm!(
    ".globl syscall_tests_restorer",
    "syscall_tests_restorer:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
    "ud2",
);

unsafe extern "C" {
    fn syscall_tests_restorer();
}

extern "C" fn entry(signal: i32, info: *const libc::siginfo_t, context: *const libc::ucontext_t) {
    let here = 0u8;
    let mut delivery =
        Delivery { signal, stack: std::ptr::from_ref(&here) as usize, ..Delivery::default() };
    let index = signal.clamp(0, 64) as usize;
    if FLAGS[index].load(Ordering::SeqCst) & libc::SA_SIGINFO != 0 {
        // SAFETY: with SA_SIGINFO the kernel passes pointers to both structures in the frame above
        // us; union members are integers, valid whatever the signal was.
        unsafe {
            let info = &*info;
            delivery.code = info.si_code;
            delivery.errno = info.si_errno;
            delivery.pid = info.si_pid();
            delivery.uid = info.si_uid();
            delivery.status = info.si_status();
            delivery.address = info.si_addr() as usize;
            delivery.value = info.si_value().sival_ptr as usize;
            let context = &*context;
            delivery.interrupted_at = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
            delivery.saved_mask =
                std::ptr::from_ref(&context.uc_sigmask).cast::<u64>().read_unaligned();
        }
    }
    let hook = HOOKS[index].load(Ordering::SeqCst);
    if hook != 0 {
        // SAFETY: only `handle` stores here, and it stores a `fn(&Delivery)`.
        let hook: fn(&Delivery) = unsafe { std::mem::transmute(hook) };
        hook(&delivery);
    }
}

/// Runs `hook` on `signal`. It must be async-signal-safe: atomics and raw calls.
pub fn handle(signal: i32, flags: i32, hook: fn(&Delivery)) -> SysResult<()> {
    set_action(signal, flags, 0, hook)
}

/// As [`handle`], with signals to block meanwhile.
pub fn set_action(signal: i32, flags: i32, mask: SigSet, hook: fn(&Delivery)) -> SysResult<()> {
    let index = signal.clamp(0, 64) as usize;
    HOOKS[index].store(hook as usize, Ordering::SeqCst);
    FLAGS[index].store(flags, Ordering::SeqCst);
    let action = KernelSigaction {
        handler: entry as *const () as usize,
        flags: u64::from(flags as u32) | SA_RESTORER,
        restorer: syscall_tests_restorer as *const () as usize,
        mask,
    };
    sys!(SYS_rt_sigaction, signal, &action, 0, 8).map(drop)
}

/// SIG_DFL.
pub fn default_action(signal: i32) -> SysResult<()> {
    sys!(SYS_rt_sigaction, signal, &KernelSigaction::default(), 0, 8).map(drop)
}

/// SIG_IGN.
pub fn ignore(signal: i32) -> SysResult<()> {
    let action = KernelSigaction { handler: libc::SIG_IGN, ..KernelSigaction::default() };
    sys!(SYS_rt_sigaction, signal, &action, 0, 8).map(drop)
}

/// `rt_sigprocmask`; gives the old mask.
pub fn mask(how: i32, set: SigSet) -> SysResult<SigSet> {
    let mut old: SigSet = 0;
    sys!(SYS_rt_sigprocmask, how, &set, &mut old, 8)?;
    Ok(old)
}

/// Undoes what Rust's runtime set up: SIGPIPE ignored, handlers for stack overflow, and their
/// alternate stack. Cases start with what `execve` gives a C program; whatever the caller blocked
/// or ignored is reset too, so that a case does not depend on who runs it.
pub fn reset_runtime_handlers() -> SysResult<()> {
    for signal in 1..=64 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            default_action(signal)?;
        }
    }
    mask(libc::SIG_SETMASK, 0)?;
    let mut stack: libc::stack_t = super::zeroed();
    stack.ss_flags = libc::SS_DISABLE;
    sys!(SYS_sigaltstack, &stack, 0).map(drop)
}
