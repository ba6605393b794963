//! Open files that are not simply the upper layer's.

use super::inode::OverlayInode;
use crate::tmpfs::{FIRST_COOKIE, read_dots};
use abi::file::OpenFlags;
use abi::{Errno, SysResult};
use mm::{Backing, Mappable, MappingSet};
use std::any::Any;
use std::sync::{Arc, OnceLock};
use vfs::{DirEntry, DirSink, FileOps, Inode, OpenFile};

/// A file of the lower layer, opened for reading. Once it is copied up it reads the copy.
pub(super) struct LowerFile {
    inode: Arc<OverlayInode>,
    lower: Arc<dyn FileOps>,
    upper: OnceLock<Arc<dyn FileOps>>,
}

impl LowerFile {
    pub fn new(inode: Arc<OverlayInode>, lower: Arc<dyn FileOps>) -> LowerFile {
        LowerFile { inode, lower, upper: OnceLock::new() }
    }

    fn current(&self) -> SysResult<&Arc<dyn FileOps>> {
        match self.inode.upper() {
            None => Ok(&self.lower),
            Some(upper) => {
                if let Some(open) = self.upper.get() {
                    return Ok(open);
                }
                let open = upper.open(OpenFlags::empty())?;
                Ok(self.upper.get_or_init(|| open))
            }
        }
    }
}

impl FileOps for LowerFile {
    fn read(&self, file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        self.current()?.read(file, buf, offset)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        self.current()?.size()
    }

    fn seek_data(&self, offset: u64, hole: bool) -> SysResult<u64> {
        self.current()?.seek_data(offset, hole)
    }

    fn mappable(&self) -> SysResult<Arc<dyn Mappable>> {
        let current = self.current()?.mappable()?;
        if self.inode.upper().is_some() {
            return Ok(current);
        }
        Ok(Arc::new(LowerMapping { inode: self.inode.clone(), lower: current }))
    }

    fn sync(&self, _data_only: bool) -> SysResult<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A mapped file that was in the lower layer when it was mapped. A copy-up invalidates the
/// mappings, and they find the copy.
struct LowerMapping {
    inode: Arc<OverlayInode>,
    lower: Arc<dyn Mappable>,
}

impl LowerMapping {
    fn current(&self) -> &dyn Mappable {
        match self.inode.upper().and_then(|upper| upper.content()) {
            Some(content) => &**content,
            None => &*self.lower,
        }
    }
}

impl Mappable for LowerMapping {
    fn translate(&self, offset: u64, len: u64, write: bool) -> SysResult<Backing> {
        // It was opened for reading; whoever writes maps the copy.
        if write {
            return Err(Errno::EACCES);
        }
        self.current().translate(offset, len, false)
    }

    fn size(&self) -> u64 {
        self.current().size()
    }

    fn mappings(&self) -> &MappingSet {
        self.inode.mappings()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        self.current().read_at(offset, buf)
    }

    fn write_at(&self, _offset: u64, _buf: &[u8]) -> SysResult<usize> {
        Err(Errno::EACCES)
    }
}

/// Positions from here on are in what was added, those before in the lower directory.
const ADDED: u64 = 1 << 62;
/// How many added entries are taken under the lock at once.
const BATCH: usize = 64;

/// An open directory: first what the lower one has and is not hidden, then what was added. Nothing
/// is collected, so listing costs the same however large the directory is, and positions stay good.
pub(super) struct OverlayDirectory {
    inode: Arc<OverlayInode>,
    /// The lower directory, once it is needed.
    lower: OnceLock<Arc<OpenFile>>,
}

impl OverlayDirectory {
    pub fn new(inode: Arc<OverlayInode>) -> OverlayDirectory {
        OverlayDirectory { inode, lower: OnceLock::new() }
    }

    fn lower(&self) -> SysResult<Option<&Arc<OpenFile>>> {
        let Some(lower) = self.inode.lower() else { return Ok(None) };
        if let Some(file) = self.lower.get() {
            return Ok(Some(file));
        }
        let file = self.inode.shared().open_lower(lower, OpenFlags::DIRECTORY)?;
        Ok(Some(self.lower.get_or_init(|| file)))
    }

    /// False when full.
    fn read_lower(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<bool> {
        let Some(lower) = self.lower()? else { return Ok(true) };
        let changes = &self.inode.directory()?.changes;
        let mut room = true;
        lower.ops().read_dir(lower, pos - FIRST_COOKIE, &mut |entry| {
            if matches!(entry.name, b"." | b"..") || changes.lock().hides(entry.name) {
                return true;
            }
            room = sink(DirEntry { next: entry.next + FIRST_COOKIE, ..entry });
            room
        })?;
        Ok(room)
    }

    fn read_added(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let changes = &self.inode.directory()?.changes;
        let mut from = pos - ADDED;
        loop {
            let batch = changes.lock().batch(from, BATCH);
            for (cookie, name, inode) in &batch {
                let next = ADDED + cookie + 1;
                if !sink(DirEntry { ino: inode.ino(), next, kind: inode.file_type(), name }) {
                    return Ok(());
                }
                from = cookie + 1;
            }
            if batch.len() < BATCH {
                return Ok(());
            }
        }
    }
}

impl FileOps for OverlayDirectory {
    fn read(&self, _file: &OpenFile, _buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        Err(Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        Err(Errno::EINVAL)
    }

    fn read_dir(&self, _file: &OpenFile, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        if self.inode.directory()?.changes.lock().dead {
            return Err(Errno::ENOENT);
        }
        let ino = self.inode.ino();
        let parent = self.inode.parent().map_or(ino, |parent| parent.ino());
        if !read_dots(pos, ino, parent, sink) {
            return Ok(());
        }
        let pos = pos.max(FIRST_COOKIE);
        if pos < ADDED && !self.read_lower(pos, sink)? {
            return Ok(());
        }
        self.read_added(pos.max(ADDED), sink)
    }

    fn sync(&self, _data_only: bool) -> SysResult<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
