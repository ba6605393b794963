//! Tasks: processes and threads, their signals, futexes, timers, credentials and limits.
//!
//! A guest thread is a [`Task`]; the tasks of a process form a [`ThreadGroup`]. The platform calls
//! [`task::Task`]'s event handler (`entry.rs`), which runs system calls through the
//! [`SyscallTable`] of the crate `syscalls`, and goes through the work of returning to the guest:
//! signals, stops, exit.
//!
//! What it never does: run on after a fatal signal, block anywhere but in `wait`'s way, or keep
//! state of a blocked call on a handler's stack that a restart would need.
//!
//! Lock order (outermost first): the process table ([`process::Processes`]); a group's signal state;
//! a task's signal state; futex buckets; the table of PI futexes; then those of `mm` and `vfs`. A
//! wait queue's lock is a leaf.
//!
//! Start reading in `entry.rs`, then `task.rs`.

#![forbid(unsafe_code)]

mod clone;
mod context;
pub mod cpu_timer;
mod entry;
mod error;
pub mod exec;
mod exit;
mod fs_context;
pub mod futex;
mod group;
mod init;
mod kernel;
mod limits;
mod membarrier;
pub mod posix_timer;
pub mod process;
pub mod schedule;
pub mod signal;
mod task;
mod terminal;
pub mod time;
mod usage;
pub mod version;
mod wait;
pub mod wait4;

pub use clone::CloneRequest;
pub use context::{SyscallTable, TaskContext};
pub use error::{CallResult, Interrupted, Restart, SysError};
pub use exit::WaitStatus;
pub use fs_context::FsContext;
pub use group::ThreadGroup;
pub use init::{InitProcess, StartError};
pub use kernel::{Kernel, KernelConfig};
pub use limits::{Limits, Resource};
pub use process::Pid;
pub use task::{Comm, Task, current};
pub use terminal::Terminal;
pub use usage::ResourceUsage;
