//! Linux's binary interface on x86-64: numbers, flags and structures. No logic, no I/O.
//!
//! Sources: the kernel's `include/uapi`, and section 2 of the man pages. Plain integer constants
//! are taken from the `libc` crate where it has them; here is what needs a type.

#![forbid(unsafe_code)]

pub mod calls;
mod errno;
pub mod file;
pub mod ipc;
pub mod mman;
pub mod process;
pub mod signal;
pub mod stat;
pub mod time;
mod user;

pub use errno::{Errno, SysResult};
pub use user::UserAddr;

/// The page size, in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// PATH_MAX: longest path, including the terminating NUL.
pub const PATH_MAX: usize = 4096;

/// NAME_MAX: longest name of a directory entry.
pub const NAME_MAX: usize = 255;
