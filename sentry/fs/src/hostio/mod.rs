//! Host descriptors as guest files: what stdin, stdout and stderr of a sandbox are redirected to.
//!
//! The open file description is shared with whoever started the sandbox, so its flags are never
//! changed: in particular it is not made non-blocking. Instead it is asked, by poll(2) without a
//! timeout, before each transfer, and never given more than it surely takes. Readiness comes from
//! one thread, [`HostPoller`], which watches only descriptors that somebody waits for.
//!
//! A `Source` is the descriptor; a [`HostFile`] an open file over it; a [`Console`] a terminal
//! with the kernel's job control plugged in.
//!
//! Host calls: read, write, lseek, fstat, fcntl(F_GETFL), poll, fsync, ftruncate; epoll_create1,
//! epoll_ctl, epoll_wait; for terminals the ioctls that `tty.rs` lists.
//!
//! The process must ignore SIGPIPE (std does so), SIGXFSZ and SIGTTOU: errors are returned instead.

mod console;
mod file;
mod inode;
mod poller;
mod source;
mod tty;

pub use console::Console;
pub use file::HostFile;
pub use inode::HostInode;
pub use poller::HostPoller;

use abi::Errno;

/// The same error number for the guest.
pub(crate) fn host_error(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

#[cfg(test)]
mod tests;
