//! The file systems that show the kernel: proc(5) ([`ProcFs`]) and sysfs(5) ([`SysFs`]).
//!
//! Nothing is stored here: texts are made when they are read, directories when they are listed.
//! Inodes refer to processes and to the kernel weakly, so that a process whose directory somebody
//! holds (its own working directory, say) can go.
//!
//! What it never does: look at the host. What is of the host (the processors' description) is given
//! at the start ([`HostInfo`]).
//!
//! Lock order: none of its own is held while the kernel's are taken; the process table is locked to
//! find a process, and released before anything of it is looked at.
//!
//! Start reading in `proc.rs`, then `pid/mod.rs` (the table of /proc/PID) and `top/mod.rs` (that of
//! /proc). `node/` has what both are made of.

#![forbid(unsafe_code)]

mod net;
mod node;
mod options;
mod pid;
mod proc;
mod root;
mod sys;
mod sysfs;
mod top;

pub use options::{HostInfo, NetTables, ProcOptions};
pub use proc::ProcFs;
pub use sysfs::SysFs;
