//! The launcher: the process that all stubs are copies of.
//!
//! It is a child of the sentry that shares the sentry's descriptor table, so that any descriptor
//! can be mapped in any stub and none is ever passed. It is made while the sentry still has its
//! rights, gives up its own, unmaps all that it inherited, and follows orders.

use super::layout::{CODE, CONSTANTS, ORDERS};
use super::{filter, stub};
use crate::PAGE_SIZE;
use std::ffi::c_void;
use std::io;
use std::os::fd::RawFd;

/// Enough for two small functions that only make system calls.
const STACK_LEN: usize = 64 * 1024;

/// The signals by which guest code is left; the last is the kick.
const SIGNALS: [i32; 7] = [
    libc::SIGSYS,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    crate::stubs::threads::KICK,
];

/// What the new process needs to know. All of it is made before: after the clone it may not
/// allocate, for another thread may have held the allocator's lock.
struct Plan {
    code: &'static [u8],
    constants: Vec<u8>,
    boot: u64,
    handler: u64,
    restorer: u64,
    orders: RawFd,
    parent: i32,
    /// Filled in by the first process: the id of the second, or a negative error number.
    launcher: i32,
}

/// Makes the launcher, which has not come far when this returns; its process id. `orders` is the
/// file of orders pages, of which it takes the first.
///
/// The calling thread must live as long as the launcher shall: the host kills the launcher when
/// its parent *thread* ends.
pub(super) fn start(orders: RawFd) -> io::Result<i32> {
    let mut plan = Plan {
        code: stub::code(),
        constants: filter::constants()?,
        boot: stub::boot(),
        handler: stub::handler(),
        restorer: stub::restorer(),
        orders,
        parent: std::process::id() as i32,
        launcher: 0,
    };
    let mut stack = vec![0u8; STACK_LEN];
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top.addr() % 16).cast::<c_void>();
    // Two steps. The first process shares our memory, and the kernel drops its rseq registration
    // for that; the second inherits that it has none. (A registration left over would make the
    // kernel write into memory that the stub has unmapped.)
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES;
    let arg = (&raw mut plan).cast::<c_void>();
    // SAFETY: `first` runs on its own stack while this thread sleeps (CLONE_VFORK), so it has
    // `plan` to itself; it only makes system calls and then exits.
    let first = unsafe { libc::clone(first, top, flags, arg) };
    if first < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a child of ours, whose status nobody wants.
    unsafe { libc::waitpid(first, std::ptr::null_mut(), libc::__WALL) };
    // SAFETY: `plan` is a live local; read afresh because the other process wrote it.
    let pid = unsafe { (&raw const plan.launcher).read_volatile() };
    if pid <= 0 { Err(io::Error::from_raw_os_error(-pid)) } else { Ok(pid) }
}

/// The first process: makes the second and exits.
extern "C" fn first(plan: *mut c_void) -> libc::c_int {
    // SAFETY: `start` passes its plan and sleeps. Only system calls from here on; libc's errno is
    // that of the sleeping thread, which reads it no more.
    unsafe {
        let plan = &mut *plan.cast::<Plan>();
        // CLONE_PARENT: the sentry's thread is the launcher's parent.
        let flags = libc::CLONE_FILES | libc::CLONE_PARENT;
        let pid = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if pid == 0 {
            second(plan);
        }
        plan.launcher = if pid < 0 { -*libc::__errno_location() } else { pid as i32 };
        libc::syscall(libc::SYS_exit, 0);
    }
    0
}

/// The second process: the launcher. A step that fails is its exit status.
///
/// # Safety
/// To be called only in a new process with memory of its own.
unsafe fn second(plan: &Plan) -> ! {
    // SAFETY: a new process, single-threaded; its memory is a copy that nobody else uses, so
    // mapping over any of it hurts nobody: of what it inherited it uses this code, this stack and
    // the plan, all far from the top megabyte of the address space, where the stub goes.
    unsafe {
        match prepare(plan) {
            Ok(()) => std::arch::asm!("jmp {}", in(reg) plan.boot, options(noreturn)),
            Err(step) => {
                libc::syscall(libc::SYS_exit_group, step);
                std::process::abort()
            }
        }
    }
}

/// The kernel's `struct sigaction`.
#[repr(C)]
struct Action {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

/// Gives up rights and maps the stub. On error: which step.
///
/// # Safety
/// As [`second`].
unsafe fn prepare(plan: &Plan) -> Result<(), i32> {
    const SA_RESTORER: u64 = 0x0400_0000;
    // SAFETY: plain system calls on numbers and live locals, as the steps say; see `second` for
    // the three fixed mappings.
    unsafe {
        let check = |step: i32, result: i64| if result < 0 { Err(step) } else { Ok(()) };
        // Nothing comes before a guest thread is ready for it.
        let all = u64::MAX;
        let null = std::ptr::null::<c_void>();
        let block = libc::SIG_SETMASK;
        check(1, libc::syscall(libc::SYS_rt_sigprocmask, block, &raw const all, null, 8))?;
        for signal in 1..=64 {
            let action = if SIGNALS.contains(&signal) {
                // Nothing is blocked in the handler, for nothing will unblock it.
                let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                let flags = flags as u64 | SA_RESTORER;
                Action { handler: plan.handler, flags, restorer: plan.restorer, mask: 0 }
            } else {
                // SIG_DFL.
                Action { handler: 0, flags: 0, restorer: 0, mask: 0 }
            };
            // Some cannot be set: those are not ours.
            libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, null, 8);
        }
        // No capability.
        const VERSION_3: u32 = 0x2008_0522;
        let (header, none) = ([VERSION_3, 0], [0u32; 6]);
        check(2, libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()))?;
        // No core dumps of guests.
        check(3, libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 0, 0, 0, 0))?;
        check(4, libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let kill = libc::SIGKILL;
        check(5, libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, kill, 0, 0, 0))?;
        if libc::syscall(libc::SYS_getppid) != i64::from(plan.parent) {
            // The sentry died before the line above.
            libc::syscall(libc::SYS_exit_group, 1);
        }
        let page = PAGE_SIZE;
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        let readable = libc::PROT_READ;
        let pages =
            [(CODE, plan.code, executable), (CONSTANTS, plan.constants.as_slice(), readable)];
        for (address, bytes, access) in pages {
            check(6, libc::syscall(libc::SYS_mmap, address, page, writable, anonymous, -1, 0))?;
            let destination = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), destination, bytes.len());
            check(7, libc::syscall(libc::SYS_mprotect, address, page, access))?;
        }
        let shared = libc::MAP_SHARED | libc::MAP_FIXED;
        check(8, libc::syscall(libc::SYS_mmap, ORDERS, page, readable, shared, plan.orders, 0))
    }
}
