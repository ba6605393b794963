//! Files without a name in any directory: their inodes, and the internal mounts they belong to.
//!
//! /proc/PID/fd shows them as "pipe:\[12\]" or "anon_inode:\[eventfd\]".

use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::time::Timespec;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;
use vfs::filesystem::anonymous_dev;
use vfs::{
    Attr, Dentry, FileOps, FileSystem, Inode, InodeRef, Mount, MountFlags, OpenFile, Path, SetAttr,
    TimeChange,
};

/// An internal file system that only has unnamed files: pipefs, anon_inodefs, hostfs.
pub struct AnonFs {
    name: &'static str,
    magic: i64,
    dev: u64,
    root: InodeRef,
}

/// ioctl_tty(2): how many bytes can be read.
pub(crate) const FIONREAD: u32 = 0x541b;

/// PIPEFS_MAGIC.
const PIPEFS_MAGIC: i64 = 0x5049_5045;
/// ANON_INODE_FS_MAGIC.
const ANON_INODE_FS_MAGIC: i64 = 0x0904_1934;
/// HOSTFS_SUPER_MAGIC, of the file system that shows host files to a user-mode Linux.
const HOSTFS_MAGIC: i64 = 0x00c0_ffee;

static PIPEFS: LazyLock<Arc<AnonMount>> = LazyLock::new(|| AnonMount::new("pipefs", PIPEFS_MAGIC));
static ANON_INODEFS: LazyLock<Arc<AnonMount>> =
    LazyLock::new(|| AnonMount::new("anon_inodefs", ANON_INODE_FS_MAGIC));

static HOSTFS: LazyLock<Arc<AnonMount>> = LazyLock::new(|| AnonMount::new("hostfs", HOSTFS_MAGIC));

/// Where pipes live.
pub fn pipefs() -> &'static AnonMount {
    &PIPEFS
}

/// Where eventfds, epolls and their like live.
pub fn anon_inodefs() -> &'static AnonMount {
    &ANON_INODEFS
}

/// Where the host descriptors that were given to the sandbox live.
pub fn hostfs() -> &'static AnonMount {
    &HOSTFS
}

/// The one mount of an internal file system.
pub struct AnonMount {
    fs: Arc<AnonFs>,
    mount: Arc<Mount>,
}

impl AnonMount {
    fn new(name: &'static str, magic: i64) -> Arc<AnonMount> {
        let dev = anonymous_dev();
        let attrs = AnonAttr::new(dev, FileType::Directory.mode_bits() | 0o500, 0, 0);
        let root: InodeRef = Arc::new(Root { attrs, magic });
        let fs = Arc::new(AnonFs { name, magic, dev, root });
        let mount = Mount::new(fs.clone(), MountFlags::default());
        Arc::new(AnonMount { fs, mount })
    }

    /// `st_dev` of its files.
    pub fn dev(&self) -> u64 {
        self.fs.dev
    }

    /// The numbers of statfs(2).
    pub fn statfs(&self) -> StatFs {
        statfs(self.fs.magic)
    }

    /// The place of an unnamed file; `name` is what /proc/PID/fd shows.
    pub fn path(&self, name: &[u8], inode: InodeRef) -> Path {
        Path { mount: self.mount.clone(), dentry: Dentry::new_anonymous(name, inode) }
    }
}

impl FileSystem for AnonFs {
    fn name(&self) -> &str {
        self.name
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}

fn statfs(magic: i64) -> StatFs {
    StatFs { kind: magic, bsize: 4096, frsize: 4096, namelen: 255, ..StatFs::default() }
}

/// The time as inodes record it.
pub fn now() -> Timespec {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().into()
}

/// The attributes of an unnamed file, which fchmod(2) and its like can change.
pub struct AnonAttr(Mutex<Attr>);

impl AnonAttr {
    /// Attributes with a fresh inode number. `mode`: type and permissions.
    pub fn new(dev: u64, mode: u32, uid: u32, gid: u32) -> AnonAttr {
        static NEXT_INO: AtomicU64 = AtomicU64::new(1);
        AnonAttr::with_ino(dev, NEXT_INO.fetch_add(1, Ordering::Relaxed), mode, (uid, gid))
    }

    /// Attributes with this inode number, owner and group.
    pub fn with_ino(dev: u64, ino: u64, mode: u32, (uid, gid): (u32, u32)) -> AnonAttr {
        let now = now();
        AnonAttr(Mutex::new(Attr {
            dev,
            ino,
            mode,
            nlink: 1,
            uid,
            gid,
            blksize: 4096,
            atime: now,
            mtime: now,
            ctime: now,
            ..Attr::default()
        }))
    }

    /// The attributes now.
    pub fn get(&self) -> Attr {
        *self.0.lock()
    }

    /// Changes them. EINVAL for a size.
    pub fn set(&self, change: &SetAttr) -> SysResult<()> {
        if change.size.is_some() {
            return Err(Errno::EINVAL);
        }
        let now = now();
        let time = |change: TimeChange| match change {
            TimeChange::Now => now,
            TimeChange::At(at) => at,
        };
        let mut attr = self.0.lock();
        if let Some(mode) = change.mode {
            attr.mode = attr.mode & !0o7777 | mode & 0o7777;
        }
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        attr.atime = change.atime.map_or(attr.atime, time);
        attr.mtime = change.mtime.map_or(attr.mtime, time);
        attr.ctime = now;
        Ok(())
    }
}

/// The root directory nobody can reach.
struct Root {
    attrs: AnonAttr,
    magic: i64,
}

impl Inode for Root {
    fn file_type(&self) -> FileType {
        FileType::Directory
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.attrs.get())
    }

    fn lookup(&self, _name: &[u8]) -> SysResult<InodeRef> {
        Err(Errno::ENOENT)
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::EACCES)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(statfs(self.magic))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The inode that all files without a type of their own share: `anon_inode:[...]`.
struct AnonInode {
    attrs: AnonAttr,
}

static ANON_INODE: LazyLock<Arc<AnonInode>> = LazyLock::new(|| {
    // Its mode has no S_IFMT bits, as in Linux: it is no type of file at all.
    Arc::new(AnonInode { attrs: AnonAttr::new(anon_inodefs().dev(), 0o600, 0, 0) })
});

impl Inode for AnonInode {
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.attrs.get())
    }

    fn set_attr(&self, _change: &SetAttr) -> SysResult<()> {
        Err(Errno::EOPNOTSUPP)
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(anon_inodefs().statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open file of the kind `class`, shown as `anon_inode:[class]`. The flags say how it is opened.
pub fn open_file(class: &str, ops: Arc<dyn FileOps>, flags: OpenFlags) -> Arc<OpenFile> {
    let name = format!("anon_inode:[{class}]");
    OpenFile::new(ops, anon_inodefs().path(name.as_bytes(), ANON_INODE.clone()), flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_change_as_chmod_and_utimensat_say() {
        let attrs = AnonAttr::new(7, 0o010600, 3, 4);
        let at = Timespec { sec: 5, nsec: 6 };
        let change = SetAttr {
            mode: Some(0o644),
            uid: Some(9),
            mtime: Some(TimeChange::At(at)),
            ..SetAttr::default()
        };
        attrs.set(&change).unwrap();
        let attr = attrs.get();
        assert_eq!((attr.mode, attr.uid, attr.gid), (0o010644, 9, 4));
        assert_eq!(attr.mtime, at);
        let resize = SetAttr { size: Some(1), ..SetAttr::default() };
        assert_eq!(attrs.set(&resize), Err(Errno::EINVAL));
    }

    #[test]
    fn inode_numbers_differ() {
        assert_ne!(AnonAttr::new(1, 0, 0, 0).get().ino, AnonAttr::new(1, 0, 0, 0).get().ino);
    }
}
