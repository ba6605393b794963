//! Handlers of calls on tasks: processes, signals, memory, time, credentials, the system.

pub(crate) mod credentials;
pub(crate) mod exec;
pub(crate) mod futex;
pub(crate) mod futex2;
pub(crate) mod kcmp;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod pidfd;
pub(crate) mod prctl;
pub(crate) mod privileged;
pub(crate) mod process;
pub(crate) mod schedule;
pub(crate) mod send;
pub(crate) mod signal;
pub(crate) mod system;
pub(crate) mod time;
pub(crate) mod timers;
