//! Which Linux this says it is: uname(2), /proc/version, /proc/sys/kernel.

/// `sysname`.
pub const SYSNAME: &str = "Linux";
/// `release`: the interface follows this version.
pub const RELEASE: &str = "6.12.0";
/// `version`.
pub const VERSION: &str = "#1 SMP PREEMPT runsc-rs";
/// `machine`.
pub const MACHINE: &str = "x86_64";
