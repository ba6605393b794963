//! Copying a file from the lower to the upper layer, before it is changed.

use super::inode::OverlayInode;
use crate::tmpfs::{NewInode, TmpfsInode};
use abi::file::{FileType, OpenFlags};
use abi::{Errno, SysResult};
use std::sync::Arc;
use vfs::{Attr, Inode, InodeRef, LinkTarget, NewNode, NodeKind};

/// How much is copied at once.
const CHUNK: usize = 256 << 10;

impl OverlayInode {
    /// The upper inode, made now where there is none. `size`: how much of the data is needed, where
    /// that is less than all.
    ///
    /// No lock is held while copying: if two threads copy, one copy is thrown away.
    pub(super) fn copy_up(&self, size: Option<u64>) -> SysResult<&Arc<TmpfsInode>> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let lower = self.lower().ok_or(Errno::EIO)?;
        let attr = lower.attr()?;
        let copy = self.new_copy(lower, &attr)?;
        copy_xattrs(lower, &copy)?;
        if attr.file_type() == FileType::Regular {
            let size = size.map_or(attr.size, |size| size.min(attr.size));
            self.copy_data(lower, &copy, size)?;
        }
        copy.copy_times(&attr);
        // From here on the inode may not be forgotten.
        self.pin()?;
        if self.set_upper(copy) {
            // Shared mappings shall see what is written from now on.
            self.mappings().invalidate_shared(0..!(abi::PAGE_SIZE - 1));
        }
        self.upper().ok_or(Errno::EIO)
    }

    fn new_copy(&self, lower: &InodeRef, attr: &Attr) -> SysResult<Arc<TmpfsInode>> {
        let target;
        let kind = match attr.file_type() {
            FileType::Regular => NodeKind::Regular,
            FileType::Directory => NodeKind::Directory,
            FileType::Symlink => {
                target = match lower.readlink()? {
                    LinkTarget::Path(target) => target,
                    LinkTarget::Magic(_) => return Err(Errno::EPERM),
                };
                NodeKind::Symlink(&target)
            }
            FileType::Fifo => NodeKind::Fifo,
            FileType::Socket => NodeKind::Socket,
            FileType::CharDevice => NodeKind::CharDevice(attr.rdev),
            FileType::BlockDevice => NodeKind::BlockDevice(attr.rdev),
        };
        let node = NewNode { kind, mode: attr.mode & 0o7777, uid: attr.uid, gid: attr.gid };
        let mappings = Some(self.mappings().clone());
        self.shared().upper.new_node(NewInode { mappings, ..NewInode::of(&node) })
    }

    /// Holes stay holes.
    fn copy_data(&self, lower: &InodeRef, copy: &TmpfsInode, size: u64) -> SysResult<()> {
        let content = copy.content().ok_or(Errno::EIO)?;
        if size == 0 {
            return Ok(());
        }
        let file = self.shared().open_lower(lower, OpenFlags::empty())?;
        let mut buf = vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK))];
        let mut at = 0;
        while at < size {
            at = match file.ops().seek_data(at, false) {
                Ok(data) => data.max(at),
                Err(Errno::ENXIO) => break,
                Err(_) => at,
            };
            let end = file.ops().seek_data(at, true).ok().filter(|end| *end > at);
            let end = end.unwrap_or(size).min(size);
            while at < end {
                let want = buf.len().min(usize::try_from(end - at).unwrap_or(CHUNK));
                let count = file.read_at(&mut buf[..want], at)?;
                if count == 0 {
                    // Shorter than it said.
                    return content.truncate(size);
                }
                let mut done = 0;
                while done < count {
                    done += content.write(at + done as u64, &buf[done..count])?;
                }
                at += count as u64;
            }
        }
        content.truncate(size)
    }
}

fn copy_xattrs(lower: &InodeRef, copy: &TmpfsInode) -> SysResult<()> {
    for name in lower.list_xattr()? {
        match lower.get_xattr(&name) {
            Ok(value) => match copy.set_xattr(&name, &value, 0) {
                // Of a kind that is not kept above.
                Ok(()) | Err(Errno::EOPNOTSUPP) => {}
                Err(errno) => return Err(errno),
            },
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
