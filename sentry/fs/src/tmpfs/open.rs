//! Open regular files and directories.

use super::content::Content;
use super::entries::FIRST_COOKIE;
use super::inode::TmpfsInode;
use abi::file::{FileType, OpenFlags};
use abi::{Errno, SysResult};
use mm::Mappable;
use std::any::Any;
use std::sync::Arc;
use vfs::{DirEntry, DirSink, FileOps, Inode, MountFlags, OpenFile};

/// An open regular file.
pub struct RegularFile {
    inode: Arc<TmpfsInode>,
    content: Arc<Content>,
}

impl RegularFile {
    pub(super) fn new(inode: Arc<TmpfsInode>, content: Arc<Content>) -> RegularFile {
        RegularFile { inode, content }
    }

    /// F_GET_SEALS: see [`super::seals`].
    pub fn seals(&self) -> u32 {
        self.content.seals()
    }

    /// F_ADD_SEALS. EPERM where the file cannot be sealed (any more), EINVAL for unknown seals.
    /// Whether it is open for writing, and whether F_SEAL_WRITE meets writable shared mappings
    /// (EBUSY), is the caller's to check.
    pub fn add_seals(&self, seals: u32) -> SysResult<()> {
        self.content.add_seals(seals)
    }
}

impl FileOps for RegularFile {
    fn read(&self, file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        let count = self.content.read(offset, buf)?;
        if keeps_atime(file) && !buf.is_empty() {
            self.inode.metadata().accessed();
        }
        Ok(count)
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], offset: u64) -> SysResult<usize> {
        let count = self.content.write(offset, buf)?;
        if count > 0 {
            self.inode.metadata().written();
        }
        Ok(count)
    }

    fn append(&self, _file: &OpenFile, buf: &[u8]) -> SysResult<(usize, u64)> {
        let result = self.content.append(buf)?;
        if result.0 > 0 {
            self.inode.metadata().written();
        }
        Ok(result)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        Ok(self.content.size())
    }

    fn seek_data(&self, offset: u64, hole: bool) -> SysResult<u64> {
        self.content.seek(offset, hole)
    }

    fn mappable(&self) -> SysResult<Arc<dyn Mappable>> {
        Ok(self.content.clone())
    }

    fn sync(&self, _data_only: bool) -> SysResult<()> {
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> SysResult<()> {
        self.content.allocate(mode, offset, len)?;
        self.inode.metadata().written();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// How many entries are taken under the lock at once.
const BATCH: usize = 64;

/// An open directory.
pub(super) struct DirectoryFile {
    inode: Arc<TmpfsInode>,
}

impl DirectoryFile {
    pub fn new(inode: Arc<TmpfsInode>) -> DirectoryFile {
        DirectoryFile { inode }
    }
}

impl FileOps for DirectoryFile {
    fn read(&self, _file: &OpenFile, _buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        Err(Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        Err(Errno::EINVAL)
    }

    fn read_dir(&self, file: &OpenFile, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let dir = self.inode.directory()?;
        let parent = dir.parent().map_or(self.inode.ino, |parent| parent.ino);
        if !read_dots(pos, self.inode.ino, parent, sink) {
            return Ok(());
        }
        if keeps_atime(file) {
            self.inode.metadata().accessed();
        }
        let mut from = pos.max(FIRST_COOKIE);
        loop {
            let batch = dir.batch(from, BATCH);
            for (cookie, name, inode) in &batch {
                let next = cookie + 1;
                let entry = DirEntry { ino: inode.ino, next, kind: inode.file_type(), name };
                if !sink(entry) {
                    return Ok(());
                }
                from = next;
            }
            if batch.len() < BATCH {
                return Ok(());
            }
        }
    }

    fn sync(&self, _data_only: bool) -> SysResult<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Lists "." (position 0) and ".." (position 1) as far as `pos` is before them; false when full.
pub(crate) fn read_dots(pos: u64, ino: u64, parent: u64, sink: &mut DirSink<'_>) -> bool {
    let dots: [(u64, &[u8]); 2] = [(ino, b"."), (parent, b"..")];
    let rest = dots.into_iter().zip(1..).skip(usize::try_from(pos).unwrap_or(2));
    rest.into_iter()
        .all(|((ino, name), next)| sink(DirEntry { ino, next, kind: FileType::Directory, name }))
}

/// Do reads through this description update the access time?
fn keeps_atime(file: &OpenFile) -> bool {
    !file.flags().contains(OpenFlags::NOATIME)
        && !file.path().mount.flags().contains(MountFlags::NOATIME)
}
