//! What the front end and the boot of the sentry need from the host kernel, behind safe functions.
//!
//! | module | what |
//! |---|---|
//! | [`process`] | start a process of ours in new namespaces, with nothing but what it is given |
//! | [`id_map`] | user and group ids of a user namespace |
//! | [`rights`] | capabilities, no_new_privs, dumpable, descriptors: how a process gives up what it has |
//! | [`mount`] | a private tmpfs, an empty root |
//! | [`seccomp`] | allow-lists of system calls |
//! | [`landlock`] | allow-lists of directories |
//! | [`signal`] | signalfd, pidfd |
//! | [`refusals`] | calls that are refused with an error beside an allow-list |
//! | [`detached`] | trees of files behind a descriptor |
//! | [`inherited`] | descriptors that the process was started with |
//! | [`memory`] | memfd |

pub mod detached;
pub mod id_map;
pub mod inherited;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod process;
pub mod refusals;
pub mod rights;
pub mod seccomp;
pub mod signal;

use std::io;

/// The result of a raw system call.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
