//! Credentials: credentials(7), capabilities(7).

use crate::inode::Attr;
use abi::file::FileType;
use abi::{Errno, SysResult};
use std::sync::Arc;

/// A set of capabilities, bit N for capability N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(pub u64);

#[allow(missing_docs)] // capabilities(7) describes them
impl Caps {
    pub const CHOWN: u32 = 0;
    pub const DAC_OVERRIDE: u32 = 1;
    pub const DAC_READ_SEARCH: u32 = 2;
    pub const FOWNER: u32 = 3;
    pub const FSETID: u32 = 4;
    pub const KILL: u32 = 5;
    pub const SETGID: u32 = 6;
    pub const SETUID: u32 = 7;
    pub const SETPCAP: u32 = 8;
    pub const NET_BIND_SERVICE: u32 = 10;
    pub const NET_ADMIN: u32 = 12;
    pub const NET_RAW: u32 = 13;
    pub const IPC_LOCK: u32 = 14;
    pub const IPC_OWNER: u32 = 15;
    pub const SYS_CHROOT: u32 = 18;
    pub const SYS_PTRACE: u32 = 19;
    pub const SYS_ADMIN: u32 = 21;
    pub const SYS_BOOT: u32 = 22;
    pub const SYS_NICE: u32 = 23;
    pub const SYS_RESOURCE: u32 = 24;
    pub const SYS_TIME: u32 = 25;
    pub const MKNOD: u32 = 27;
    pub const LEASE: u32 = 28;
    pub const SETFCAP: u32 = 31;
    /// The highest number of Linux 6.x (CAP_CHECKPOINT_RESTORE).
    pub const LAST: u32 = 40;
    pub const NONE: Caps = Caps(0);
    pub const ALL: Caps = Caps((1 << (Caps::LAST + 1)) - 1);

    /// Is the capability in the set?
    pub fn has(self, cap: u32) -> bool {
        cap < 64 && self.0 >> cap & 1 == 1
    }
}

/// Who a task is. Immutable once shared: a change makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Credentials {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub groups: Arc<[u32]>,
    pub effective: Caps,
    pub permitted: Caps,
    pub inheritable: Caps,
    pub bounding: Caps,
    pub ambient: Caps,
    pub securebits: u32,
    pub no_new_privs: bool,
}

/// Access wanted, in the terms of access(2).
pub const MAY_READ: u32 = 4;
/// See [`MAY_READ`].
pub const MAY_WRITE: u32 = 2;
/// Execute a file, search a directory.
pub const MAY_EXEC: u32 = 1;

impl Credentials {
    /// All ids as given; uid 0 has all capabilities, others none.
    pub fn new(uid: u32, gid: u32, groups: &[u32]) -> Credentials {
        let caps = if uid == 0 { Caps::ALL } else { Caps::NONE };
        Credentials {
            uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: groups.into(),
            effective: caps,
            permitted: caps,
            inheritable: Caps::NONE,
            bounding: Caps::ALL,
            ambient: Caps::NONE,
            securebits: 0,
            no_new_privs: false,
        }
    }

    /// Has the effective capability.
    pub fn has_cap(&self, cap: u32) -> bool {
        self.effective.has(cap)
    }

    /// Is the group the file system gid or among the supplementary ones?
    pub fn in_group(&self, gid: u32) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }

    /// Owner of the file, or CAP_FOWNER.
    pub fn owns(&self, attr: &Attr) -> bool {
        self.fsuid == attr.uid || self.has_cap(Caps::FOWNER)
    }

    /// For access(2): the real ids in place of the file system's, and capabilities as the real
    /// user would have them.
    pub fn with_real_ids(&self) -> Credentials {
        let mut cred = self.clone();
        cred.fsuid = self.uid;
        cred.fsgid = self.gid;
        cred.effective = if self.uid == 0 { self.permitted } else { Caps::NONE };
        cred
    }

    /// The permission check of path_resolution(7). `mask`: MAY_*. EACCES.
    pub fn check(&self, attr: &Attr, mask: u32) -> SysResult<()> {
        let shift = if self.fsuid == attr.uid {
            6
        } else if self.in_group(attr.gid) {
            3
        } else {
            0
        };
        if (attr.mode >> shift) & mask == mask {
            return Ok(());
        }
        let is_dir = attr.file_type() == FileType::Directory;
        // CAP_DAC_OVERRIDE: everything, but execution only where somebody may execute.
        if self.has_cap(Caps::DAC_OVERRIDE)
            && (is_dir || mask & MAY_EXEC == 0 || attr.mode & 0o111 != 0)
        {
            return Ok(());
        }
        // CAP_DAC_READ_SEARCH: reading files, reading and searching directories.
        if self.has_cap(Caps::DAC_READ_SEARCH)
            && (mask == MAY_READ || is_dir && mask & MAY_WRITE == 0)
        {
            return Ok(());
        }
        Err(Errno::EACCES)
    }
}
