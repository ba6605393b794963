//! clone(2), getrusage(2), sysinfo(2), uname(2), prlimit(2) structures.

#![allow(missing_docs)] // bitflags' own constants; each is described in its man page

use crate::time::Timeval;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags::bitflags! {
    /// The flags of clone(2) and clone3(2), without the exit signal.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct CloneFlags: u64 {
        const NEWTIME = 0x80;
        const VM = libc::CLONE_VM as u64;
        const FS = libc::CLONE_FS as u64;
        const FILES = libc::CLONE_FILES as u64;
        const SIGHAND = libc::CLONE_SIGHAND as u64;
        const PIDFD = libc::CLONE_PIDFD as u64;
        const PTRACE = libc::CLONE_PTRACE as u64;
        const VFORK = libc::CLONE_VFORK as u64;
        const PARENT = libc::CLONE_PARENT as u64;
        const THREAD = libc::CLONE_THREAD as u64;
        const NEWNS = libc::CLONE_NEWNS as u64;
        const SYSVSEM = libc::CLONE_SYSVSEM as u64;
        const SETTLS = libc::CLONE_SETTLS as u64;
        const PARENT_SETTID = libc::CLONE_PARENT_SETTID as u64;
        const CHILD_CLEARTID = libc::CLONE_CHILD_CLEARTID as u64;
        const DETACHED = libc::CLONE_DETACHED as u64;
        const UNTRACED = libc::CLONE_UNTRACED as u64;
        const CHILD_SETTID = libc::CLONE_CHILD_SETTID as u64;
        const NEWCGROUP = libc::CLONE_NEWCGROUP as u64;
        const NEWUTS = libc::CLONE_NEWUTS as u64;
        const NEWIPC = libc::CLONE_NEWIPC as u64;
        const NEWUSER = libc::CLONE_NEWUSER as u64;
        const NEWPID = libc::CLONE_NEWPID as u64;
        const NEWNET = libc::CLONE_NEWNET as u64;
        const IO = 0x8000_0000;
        const CLEAR_SIGHAND = 0x1_0000_0000;
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

/// `struct clone_args` of clone3(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// `struct rusage`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct Rusage {
    pub utime: Timeval,
    pub stime: Timeval,
    pub maxrss: i64,
    pub ixrss: i64,
    pub idrss: i64,
    pub isrss: i64,
    pub minflt: i64,
    pub majflt: i64,
    pub nswap: i64,
    pub inblock: i64,
    pub oublock: i64,
    pub msgsnd: i64,
    pub msgrcv: i64,
    pub nsignals: i64,
    pub nvcsw: i64,
    pub nivcsw: i64,
}

/// `struct rlimit64`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Rlimit {
    /// The soft limit; u64::MAX is RLIM_INFINITY.
    pub cur: u64,
    /// The hard limit.
    pub max: u64,
}

/// `struct sysinfo`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct Sysinfo {
    pub uptime: i64,
    pub loads: [u64; 3],
    pub totalram: u64,
    pub freeram: u64,
    pub sharedram: u64,
    pub bufferram: u64,
    pub totalswap: u64,
    pub freeswap: u64,
    pub procs: u16,
    pub pad: u16,
    pub pad1: u32,
    pub totalhigh: u64,
    pub freehigh: u64,
    pub mem_unit: u32,
    pub pad2: u32,
}
