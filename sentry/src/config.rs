//! What the front end tells the sentry to run.
//!
//! Paths, arguments and variables are bytes, as Linux has them.

use serde::{Deserialize, Serialize};

/// A path or string of Linux: any bytes but NUL.
pub type Bytes = Vec<u8>;

/// Everything a sandbox is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootConfig {
    /// `--hostname`: what uname(2) answers.
    pub hostname: String,
    /// Bytes of memory that guests may use.
    pub memory_limit: u64,
    /// Write each system call to the log.
    pub strace: bool,
    /// What goes to the log.
    pub log_level: LogLevel,
    /// The files the guest sees.
    pub view: ViewConfig,
    /// The first program.
    pub process: ProcessConfig,
}

/// The mount tree of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewConfig {
    /// The root file system.
    pub root: MountKind,
    /// What is made on it, in this order: parents come before what lies in them.
    pub steps: Vec<Step>,
}

/// One step of building the mount tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Make a directory, unless the name is taken already.
    Directory {
        /// Absolute path.
        path: Bytes,
        /// What it looks like.
        attributes: Attributes,
    },
    /// Make a symbolic link, unless the name is taken already.
    Symlink {
        /// Absolute path.
        path: Bytes,
        /// Where it leads.
        target: Bytes,
    },
    /// Mount something. A missing mount point is made, with the directories above it.
    Mount {
        /// Absolute path.
        path: Bytes,
        /// What is mounted.
        kind: MountKind,
    },
}

impl Step {
    /// Where it happens.
    pub fn path(&self) -> &[u8] {
        match self {
            Step::Directory { path, .. }
            | Step::Symlink { path, .. }
            | Step::Mount { path, .. } => path,
        }
    }
}

/// What can be mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// An empty tmpfs.
    Memory {
        /// What its root directory looks like.
        attributes: Attributes,
    },
    /// Memory over files of the host, which are never written.
    Overlay {
        /// The gofer's number of the root below.
        root: u32,
    },
    /// Files of the host as they are. Whether they may be changed is the root's own property.
    Gofer {
        /// The gofer's number of the root.
        root: u32,
        /// Show it as mounted read-only.
        read_only: bool,
    },
    /// proc(5).
    Proc,
    /// sysfs(5), as far as programs look.
    Sys,
    /// The device nodes that every program may expect.
    Dev,
    /// Pseudo-terminals. All mounts show the same ones.
    Pts,
}

/// The attributes of something made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification: seconds and nanoseconds. None: now.
    pub mtime: Option<(i64, u32)>,
}

impl Attributes {
    /// A directory of root's with these permissions.
    pub const fn root_owned(mode: u32) -> Attributes {
        Attributes { mode, uid: 0, gid: 0, mtime: None }
    }
}

/// The first process of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessConfig {
    /// A path, or a name to be searched in the guest's PATH.
    pub program: Bytes,
    /// The arguments, argv\[0\] first.
    pub argv: Vec<Bytes>,
    /// The environment, `NAME=value`.
    pub env: Vec<Bytes>,
    /// The directory it starts in.
    pub cwd: Bytes,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The file mode creation mask.
    pub umask: u32,
    /// Resource limits, soft and hard, in the order of Linux's numbers; u64::MAX is none.
    pub limits: Vec<(u64, u64)>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// What keeps the sandbox from working.
    Error,
    /// What a user should know: a call that is not implemented, protection that is missing.
    Warn,
    /// What the sandbox does, in few lines.
    Info,
    /// For whoever looks for a bug.
    Debug,
    /// Everything.
    Trace,
}
