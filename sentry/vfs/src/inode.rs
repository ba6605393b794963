//! What a file system provides for each of its files.

use crate::file::FileOps;
use crate::mount::Path;
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::time::Timespec;
use abi::{Errno, SysResult};
use std::any::Any;
use std::sync::Arc;

/// A shared inode.
pub type InodeRef = Arc<dyn Inode>;

/// The attributes of an inode, as statx(2) shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Attr {
    pub dev: u64,
    pub ino: u64,
    /// S_IFMT bits and permissions.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// 512-byte units.
    pub blocks: u64,
    pub blksize: u32,
    pub atime: Timespec,
    pub mtime: Timespec,
    pub ctime: Timespec,
    pub btime: Option<Timespec>,
}

impl Attr {
    /// The type in `mode`; regular where the bits make no sense.
    pub fn file_type(&self) -> FileType {
        FileType::from_mode(self.mode).unwrap_or(FileType::Regular)
    }
}

/// A time to set: utimensat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeChange {
    /// UTIME_NOW.
    Now,
    /// This time.
    At(Timespec),
}

/// What to change; None leaves a field as it is. Permission has been checked by the caller; ctime
/// is the file system's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SetAttr {
    /// Permission bits (07777) only.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<TimeChange>,
    pub mtime: Option<TimeChange>,
}

/// What to make in a directory.
#[derive(Clone, Copy, Debug)]
pub enum NodeKind<'a> {
    /// An empty regular file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(&'a [u8]),
    /// A FIFO.
    Fifo,
    /// A unix socket's name.
    Socket,
    /// A character device.
    CharDevice(u64),
    /// A block device.
    BlockDevice(u64),
}

/// A node to make: kind, permission bits (umask applied), owner.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct NewNode<'a> {
    pub kind: NodeKind<'a>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Where a symbolic link leads.
pub enum LinkTarget {
    /// A path to walk.
    Path(Vec<u8>),
    /// Directly to a place (the links of /proc/PID/fd, exe, cwd and root).
    Magic(Path),
}

/// Flags of renameat2(2).
pub mod rename {
    /// Fail if the new name exists.
    pub const NOREPLACE: u32 = libc_like::RENAME_NOREPLACE;
    /// Exchange the two.
    pub const EXCHANGE: u32 = libc_like::RENAME_EXCHANGE;
    mod libc_like {
        pub const RENAME_NOREPLACE: u32 = 1;
        pub const RENAME_EXCHANGE: u32 = 2;
    }
}

/// A file of a file system, whatever its type.
///
/// Names given to the methods are single components: not empty, not "." or "..", no '/' or NUL, at
/// most NAME_MAX bytes. Permissions have been checked by the caller, but for what only the file
/// system can know. Methods are called without locks of `vfs` that could matter, from any thread,
/// concurrently: an implementation locks its own data.
pub trait Inode: Send + Sync + Any {
    /// The type; never changes.
    fn file_type(&self) -> FileType;

    /// The attributes now.
    fn attr(&self) -> SysResult<Attr>;

    /// Changes attributes. Truncation ([`SetAttr::size`]) included.
    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        let _ = change;
        Err(Errno::EPERM)
    }

    /// Finds an entry of a directory. ENOENT where there is none. The same file gives the same
    /// `Arc` as long as anybody holds one.
    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        let _ = name;
        Err(Errno::ENOTDIR)
    }

    /// May `vfs` keep the result of a lookup in this directory (positive results only), until it
    /// is told otherwise by its own unlink or rename? False for directories that change by
    /// themselves, as /proc.
    fn caches_lookups(&self) -> bool {
        true
    }

    /// Makes a new entry. EEXIST where the name is taken.
    fn create(&self, name: &[u8], node: &NewNode<'_>) -> SysResult<InodeRef> {
        let _ = (name, node);
        Err(Errno::EPERM)
    }

    /// Makes an unnamed regular file for O_TMPFILE.
    fn create_unnamed(&self, node: &NewNode<'_>) -> SysResult<InodeRef> {
        let _ = node;
        Err(Errno::EOPNOTSUPP)
    }

    /// Adds a name for `target`, a non-directory of the same file system.
    fn link(&self, name: &[u8], target: &InodeRef) -> SysResult<()> {
        let _ = (name, target);
        Err(Errno::EPERM)
    }

    /// Removes the name of a non-directory.
    fn unlink(&self, name: &[u8]) -> SysResult<()> {
        let _ = name;
        Err(Errno::EPERM)
    }

    /// Removes an empty directory. ENOTEMPTY where it is not.
    fn rmdir(&self, name: &[u8]) -> SysResult<()> {
        let _ = name;
        Err(Errno::EPERM)
    }

    /// Moves `old_name` of this directory to `new_name` of `new_dir`, a directory of the same file
    /// system, replacing what is there as rename(2) says. `flags`: [`rename`].
    fn rename(
        &self,
        old_name: &[u8],
        new_dir: &InodeRef,
        new_name: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        let _ = (old_name, new_dir, new_name, flags);
        Err(Errno::EPERM)
    }

    /// Where a symbolic link leads.
    fn readlink(&self) -> SysResult<LinkTarget> {
        Err(Errno::EINVAL)
    }

    /// What readlink(2) shows, where that is not the path that is walked.
    fn readlink_text(&self) -> SysResult<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Opens it. Never called for symbolic links; for sockets it is ENXIO. `flags` has the access
    /// mode and the status flags; O_TRUNC and O_CREAT have been dealt with by the caller.
    /// FIFOs without a peer: see [`crate::file::FileOps::open_pending`].
    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>>;

    /// The numbers of statfs(2) for the file system it is on.
    fn statfs(&self) -> SysResult<StatFs>;

    /// getxattr(2). ENODATA where there is none of that name.
    fn get_xattr(&self, name: &[u8]) -> SysResult<Vec<u8>> {
        let _ = name;
        Err(Errno::EOPNOTSUPP)
    }

    /// setxattr(2); `flags`: XATTR_CREATE 1, XATTR_REPLACE 2.
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> SysResult<()> {
        let _ = (name, value, flags);
        Err(Errno::EOPNOTSUPP)
    }

    /// The names listxattr(2) shows.
    fn list_xattr(&self) -> SysResult<Vec<Vec<u8>>> {
        Ok(Vec::new())
    }

    /// removexattr(2).
    fn remove_xattr(&self, name: &[u8]) -> SysResult<()> {
        let _ = name;
        Err(Errno::EOPNOTSUPP)
    }

    /// Permission beyond mode bits, where a file system has its own idea (/proc/PID/fd...).
    /// None: mode bits decide.
    fn permission(&self, cred: &crate::Credentials, mask: u32) -> Option<SysResult<()>> {
        let _ = (cred, mask);
        None
    }

    /// For file systems to find their own type again.
    fn as_any(&self) -> &dyn Any;
}
