//! Directories.

use super::{Flavor, set_attr};
use abi::SysResult;
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use std::any::Any;
use std::sync::Arc;
use vfs::{Attr, Credentials, DirEntry, DirSink, FileOps, Inode, InodeRef, OpenFile, SetAttr};

/// The position after "." and "..": where a directory's own entries begin.
pub(crate) const FIRST: u64 = 2;

/// What a directory shows.
pub(crate) trait Directory: Send + Sync + 'static {
    /// Of which file system it is.
    fn flavor(&self) -> Flavor;

    /// Its attributes.
    fn attr(&self) -> SysResult<Attr>;

    /// `st_ino` of "..".
    fn parent_ino(&self) -> u64;

    /// Finds an entry. ENOENT.
    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef>;

    /// Gives the entries at positions from `pos` on ([`FIRST`] or more), in order, until the sink
    /// is full. An entry has the same position as long as it exists. Called without locks.
    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()>;

    /// May `vfs` keep what it looked up?
    fn caches_lookups(&self) -> bool {
        false
    }

    /// As [`Inode::permission`].
    fn permission(&self, cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        let _ = (cred, mask);
        None
    }
}

/// The inode of a [`Directory`].
pub(crate) struct DirInode<D>(pub Arc<D>);

impl<D: Directory> DirInode<D> {
    /// A new one.
    pub fn make(dir: D) -> InodeRef {
        Arc::new(DirInode(Arc::new(dir)))
    }
}

impl<D: Directory> Inode for DirInode<D> {
    fn file_type(&self) -> FileType {
        FileType::Directory
    }

    fn attr(&self) -> SysResult<Attr> {
        self.0.attr()
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        set_attr(change)
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        self.0.lookup(name)
    }

    fn caches_lookups(&self) -> bool {
        self.0.caches_lookups()
    }

    fn create(&self, name: &[u8], node: &vfs::NewNode<'_>) -> SysResult<InodeRef> {
        let _ = (name, node);
        Err(abi::Errno::ENOENT) // as Linux: no file can be made in /proc
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Ok(Arc::new(OpenDir(self.0.clone())))
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.0.flavor().statfs())
    }

    fn permission(&self, cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        self.0.permission(cred, mask)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open directory.
struct OpenDir<D>(Arc<D>);

impl<D: Directory> FileOps for OpenDir<D> {
    fn read(&self, _file: &OpenFile, _buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        Err(abi::Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn read_dir(&self, _file: &OpenFile, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let dots: [(u64, &[u8], u64); 2] =
            [(0, b".", self.0.attr()?.ino), (1, b"..", self.0.parent_ino())];
        for (at, name, ino) in dots {
            let entry = DirEntry { ino, next: at + 1, kind: FileType::Directory, name };
            if at >= pos && !sink(entry) {
                return Ok(());
            }
        }
        self.0.list(pos.max(FIRST), sink)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
