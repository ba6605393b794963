//! What the files of a generated file system are made of: directories ([`dir`]), files whose text
//! is made when it is read ([`text`]), links ([`link`]), fixed trees of them ([`tree`]), and tables
//! that give the same inode for the same thing ([`intern`]).

pub(crate) mod dir;
pub(crate) mod intern;
pub(crate) mod link;
pub(crate) mod text;
pub(crate) mod tree;

use abi::file::FileType;
use abi::stat::StatFs;
use abi::time::Timespec;
use vfs::Attr;

/// What all files of one file system have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavor {
    /// `st_dev`.
    pub dev: u64,
    /// `f_type` of statfs(2).
    pub magic: i64,
    /// What stat(2) says of a regular file's size.
    pub file_size: u64,
    /// `st_blksize`.
    pub blksize: u32,
    /// When it was made: the times of all that is older than any process.
    pub made: Timespec,
}

impl Flavor {
    /// Attributes of a file of root's. `mode`: permissions.
    pub fn attr(&self, kind: FileType, mode: u32, ino: u64) -> Attr {
        Attr {
            dev: self.dev,
            ino,
            mode: kind.mode_bits() | mode,
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            size: if kind == FileType::Regular { self.file_size } else { 0 },
            blksize: self.blksize,
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            ..Attr::default()
        }
    }

    /// The numbers of statfs(2).
    pub fn statfs(&self) -> StatFs {
        StatFs { kind: self.magic, bsize: 4096, frsize: 4096, namelen: 255, ..StatFs::default() }
    }
}

/// Attributes do not change: sizes and times are accepted and forgotten, as Linux does for files
/// of /proc; the rest is refused.
pub(crate) fn set_attr(change: &vfs::SetAttr) -> abi::SysResult<()> {
    match change.mode.is_none() && change.uid.is_none() && change.gid.is_none() {
        true => Ok(()),
        false => Err(abi::Errno::EPERM),
    }
}
