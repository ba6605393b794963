//! The only module of this crate with `unsafe`: raw system calls, and the few things that need
//! machine code or raw memory (signal frames, clone, registers).
//!
//! A test of system calls cannot be sound in Rust's full sense: `munmap` on the right address pulls
//! the memory from under any reference. What this module promises is less, and enough here: every
//! pointer it passes to the kernel comes from a live borrow, from a mapping which the case itself
//! made, or is a number that the case means to be bad; and no case calls a system call that would
//! unmap or overwrite memory which it did not map itself.
#![allow(unsafe_code)]

mod errno;
mod memory;
mod process;
mod signal;

use std::ffi::{CStr, CString};
use std::marker::PhantomData;

pub use errno::{Errno, SysResult};
pub use memory::{Fault, PAGE, Region, fault_of, fault_of_read, load8, store8};
pub use process::{
    CStrings, clobber_vector_state, clone_on_stack, fork, fs_self, gs_word, set_gs,
    vector_state_survives, vfork_then,
};
pub use signal::{
    Delivery, KernelSigaction, ONSTACK, SigSet, bit, default_action, handle, ignore, mask,
    reset_runtime_handlers, set_action,
};

/// An address nothing is mapped at: page zero, which no program of ours maps.
pub const BAD: usize = 8;

/// An address in the kernel's half, which no program may touch.
pub const KERNEL_ADDRESS: usize = 0xffff_8000_0000_0000;

/// Types which the kernel may read and fill with any bytes.
///
/// # Safety
/// Every bit pattern must be a valid value.
pub unsafe trait Plain {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => { $(
        // SAFETY: integers, or C structs made of integers, raw pointers and arrays of them; each
        // of these is valid for every bit pattern.
        unsafe impl Plain for $t {}
    )* };
}

plain!(u8, i8, u16, i16, u32, i32, u64, i64, usize, isize);
plain!(libc::stat, libc::statx, libc::statfs, libc::timespec, libc::timeval, libc::tms);
plain!(libc::itimerval, libc::itimerspec, libc::rlimit, libc::rusage, libc::utsname);
plain!(libc::sysinfo, libc::pollfd, libc::epoll_event, libc::siginfo_t, libc::flock);
plain!(libc::iovec, libc::msghdr, libc::sockaddr_un, libc::ucred, libc::stack_t);
plain!(libc::signalfd_siginfo, libc::open_how, libc::clone_args, libc::linger);
plain!(KernelSigaction);

// SAFETY: an array or slice of plain values has no bytes but theirs.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
// SAFETY: as above.
unsafe impl<T: Plain> Plain for [T] {}

/// A value of all zero bytes.
pub fn zeroed<T: Plain>() -> T {
    // SAFETY: `Plain` says that every bit pattern, so also all zeros, is a valid `T`.
    unsafe { std::mem::zeroed() }
}

/// One argument of a system call: a number, or a borrow that lives as long as the call.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    raw: usize,
    borrow: PhantomData<&'a mut ()>,
}

macro_rules! integer_args {
    ($($t:ty),*) => { $(
        impl From<$t> for Arg<'_> {
            fn from(value: $t) -> Self {
                // Sign extension is what a C caller does too.
                Arg { raw: value as usize, borrow: PhantomData }
            }
        }
    )* };
}
integer_args!(i32, u32, i64, u64, usize, isize);

impl<'a, T: Plain + ?Sized> From<&'a T> for Arg<'a> {
    fn from(value: &'a T) -> Self {
        Arg { raw: std::ptr::from_ref(value).cast::<u8>() as usize, borrow: PhantomData }
    }
}

impl<'a, T: Plain + ?Sized> From<&'a mut T> for Arg<'a> {
    fn from(value: &'a mut T) -> Self {
        Arg { raw: std::ptr::from_mut(value).cast::<u8>() as usize, borrow: PhantomData }
    }
}

impl<'a> From<&'a CString> for Arg<'a> {
    fn from(value: &'a CString) -> Self {
        Arg { raw: value.as_ptr() as usize, borrow: PhantomData }
    }
}

impl<'a> From<&'a CStr> for Arg<'a> {
    fn from(value: &'a CStr) -> Self {
        Arg { raw: value.as_ptr() as usize, borrow: PhantomData }
    }
}

/// Makes the system call `nr`. Arguments not given are zero.
///
/// Not through libc, because libc changes numbers, emulates flags and caches answers.
#[inline(never)]
pub fn call(nr: i64, args: &[Arg<'_>]) -> SysResult {
    let arg = |i: usize| args.get(i).map_or(0, |a| a.raw);
    let ret: isize;
    // SAFETY: pointers among the arguments are live borrows, own mappings, or bad on purpose (see
    // the module's comment); the kernel preserves all registers but those named.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") nr as isize => ret,
            in("rdi") arg(0),
            in("rsi") arg(1),
            in("rdx") arg(2),
            in("r10") arg(3),
            in("r8") arg(4),
            in("r9") arg(5),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&ret) { Err(Errno(-ret as i32)) } else { Ok(ret as usize) }
}

/// `sys!(SYS_read, fd, &mut buffer, 1)`: a system call by its libc constant.
#[macro_export]
macro_rules! sys {
    ($nr:ident $(, $arg:expr)* $(,)?) => {
        $crate::sys::call(libc::$nr, &[$($crate::sys::Arg::from($arg)),*])
    };
}
