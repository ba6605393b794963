//! What the inodes of an overlay share, and the table that finds them by their lower inodes.

use super::inode::OverlayInode;
use crate::tmpfs::Tmpfs;
use abi::file::OpenFlags;
use abi::{SysResult, stat::StatFs};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use vfs::filesystem::FileSystemRef;
use vfs::{Attr, Dentry, InodeRef, Mount, MountFlags, OpenFile, Path};

/// statfs(2)'s `f_type`.
const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c_7630;

/// Set in the inode numbers of files that were made above, so that they differ from those below.
pub(super) const UPPER_INO: u64 = 1 << 56;

/// An inode that has a lower one.
struct Slot {
    inode: Weak<OverlayInode>,
    /// Held here too once it differs from its lower inode.
    pinned: Option<Arc<OverlayInode>>,
}

pub(super) struct Shared {
    /// The lower file system, on a mount of our own: what is opened there needs a path.
    lower: Arc<Mount>,
    lower_dev: u64,
    pub upper: Arc<Tmpfs>,
    pub dev: u64,
    /// Keyed by the lower inode's address, good while the overlay's inode holds it.
    table: Mutex<HashMap<usize, Slot>>,
    /// Held by what locks two directories, and by what moves or removes one.
    pub rename: Mutex<()>,
}

fn key(lower: &InodeRef) -> usize {
    Arc::as_ptr(lower).cast::<()>() as usize
}

impl Shared {
    pub fn new(lower: FileSystemRef, lower_dev: u64, upper: Arc<Tmpfs>) -> Arc<Shared> {
        Arc::new(Shared {
            lower: Mount::new(lower, MountFlags::RDONLY | MountFlags::NOATIME),
            lower_dev,
            upper,
            dev: vfs::filesystem::anonymous_dev(),
            table: Mutex::default(),
            rename: Mutex::new(()),
        })
    }

    /// The inode over a lower one, found in directory `parent`.
    pub fn inode_for_lower(
        self: &Arc<Shared>,
        lower: &InodeRef,
        parent: Option<&Arc<OverlayInode>>,
    ) -> SysResult<Arc<OverlayInode>> {
        if let Some(inode) = self.known(lower) {
            return Ok(inode);
        }
        let attr = lower.attr()?;
        let new = OverlayInode::over(self, lower, &attr, parent);
        let mut table = self.table.lock();
        let slot =
            table.entry(key(lower)).or_insert_with(|| Slot { inode: Weak::new(), pinned: None });
        match slot.inode.upgrade() {
            // Somebody else was quicker. `new` is dropped after the lock.
            Some(known) => {
                drop(table);
                Ok(known)
            }
            None => {
                slot.inode = Arc::downgrade(&new);
                drop(table);
                Ok(new)
            }
        }
    }

    fn known(&self, lower: &InodeRef) -> Option<Arc<OverlayInode>> {
        self.table.lock().get(&key(lower)).and_then(|slot| slot.inode.upgrade())
    }

    /// From now on the inode lives until it is unpinned, for it differs from its lower one.
    pub fn pin(&self, lower: &InodeRef, inode: &Arc<OverlayInode>) {
        if let Some(slot) = self.table.lock().get_mut(&key(lower)) {
            slot.pinned.get_or_insert_with(|| inode.clone());
        }
    }

    /// No name leads to it any more.
    pub fn unpin(&self, lower: &InodeRef) {
        let pinned = self.table.lock().get_mut(&key(lower)).and_then(|slot| slot.pinned.take());
        drop(pinned);
    }

    pub fn unpin_all(&self) {
        let pinned: Vec<_> = {
            let mut table = self.table.lock();
            table.values_mut().filter_map(|slot| slot.pinned.take()).collect()
        };
        drop(pinned);
    }

    /// The inode is being dropped.
    pub fn remove(&self, lower: &InodeRef, inode: &Weak<OverlayInode>) {
        let mut table = self.table.lock();
        // By now the lower inode may have another.
        if table.get(&key(lower)).is_some_and(|slot| Weak::ptr_eq(&slot.inode, inode)) {
            table.remove(&key(lower));
        }
    }

    /// Opens a lower file for ourselves.
    pub fn open_lower(&self, lower: &InodeRef, flags: OpenFlags) -> SysResult<Arc<OpenFile>> {
        let ops = lower.open(flags)?;
        let dentry = Dentry::new_anonymous(b"lower", lower.clone());
        Ok(OpenFile::new(ops, Path { mount: self.lower.clone(), dentry }, flags))
    }

    /// The device a lower file shows: the overlay's own, but for those that lie elsewhere than the
    /// lower root, whose inode numbers could be the same as others'.
    pub fn dev_of(&self, attr: &Attr) -> u64 {
        if attr.dev == self.lower_dev { self.dev } else { attr.dev }
    }

    pub fn statfs(&self) -> StatFs {
        StatFs { kind: OVERLAYFS_SUPER_MAGIC, ..self.upper.statfs() }
    }

    #[cfg(test)]
    pub fn table_len(&self) -> usize {
        self.table.lock().len()
    }
}
