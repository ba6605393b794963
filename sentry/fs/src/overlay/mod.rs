//! A union of a tree that is only read (lower) and the sandbox's memory (upper).
//!
//! The semantics are those of the kernel's overlayfs, with redirected directories and an index of
//! hard links; where that departs from POSIX and this can do better, it does: a mapping or a
//! description that was opened before a file was copied up sees later writes.
//!
//! How it is kept: an [`OverlayInode`] has a lower inode, an upper one, or both. A directory has its
//! changes beside it: names that were added, which lead to overlay inodes whatever those are made
//! of, and names of the lower directory that do not count any more (whiteouts). So moving a file or
//! a directory of the lower tree moves a reference, and copies nothing. What was never changed has
//! no state here at all: an inode is made when it is looked up, and is gone when nobody holds it.
//! An inode of the lower tree that did change is held by a table, so that every name that leads to
//! its lower inode finds it. Upper inodes are tmpfs inodes without names; tmpfs counts them, and
//! their data, against its limits. (An upper layer in a host directory would need names, whiteout
//! devices and attributes in the kernel's format; what would change is `changes.rs` and
//! `copy_up.rs`.)
//!
//! A file keeps its inode number when it is copied up. All files show the overlay's own device, but
//! for those that lie on another host file system than the lower root.
//!
//! Lock order: the rename lock, changes of a directory (of two only with the rename lock held), an
//! inode's links, the table of inodes. None is held while the lower file system is asked.
//!
//! Start reading in `inode.rs`; `names.rs` for what changes directories.

mod changes;
mod copy_up;
mod inode;
mod names;
mod open;
mod table;
#[cfg(test)]
mod tests;

use self::table::Shared;
use crate::tmpfs::{SocketSlot, Tmpfs, TmpfsInode};
use abi::SysResult;
pub use inode::OverlayInode;
use std::sync::Arc;
use vfs::filesystem::FileSystemRef;
use vfs::{FileSystem, Inode, InodeRef};

/// A mounted overlay.
pub struct OverlayFs {
    shared: Arc<Shared>,
    root: Arc<OverlayInode>,
}

impl OverlayFs {
    /// `lower`, never written to, under an empty upper layer in `upper`, a tmpfs that nothing else
    /// uses (its limits become the overlay's).
    pub fn new(lower: FileSystemRef, upper: Arc<Tmpfs>) -> SysResult<Arc<OverlayFs>> {
        let root = lower.root();
        OverlayFs::with_root(lower, root, upper)
    }

    /// The same with a directory of `lower` as the root.
    pub fn with_root(
        lower: FileSystemRef,
        root: InodeRef,
        upper: Arc<Tmpfs>,
    ) -> SysResult<Arc<OverlayFs>> {
        let shared = Shared::new(lower, root.attr()?.dev, upper);
        let root = shared.inode_for_lower(&root, None)?;
        Ok(Arc::new(OverlayFs { shared, root }))
    }
}

impl FileSystem for OverlayFs {
    fn name(&self) -> &str {
        "overlay"
    }

    fn options(&self) -> String {
        "lowerdir=/,upperdir=/upper,workdir=/work".to_owned()
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.shared.dev
    }
}

impl Drop for OverlayFs {
    fn drop(&mut self) {
        // Inodes hold what is shared, and that holds the changed ones.
        self.shared.unpin_all();
    }
}

/// Where the socket bound to a name is found, whether the name is on a tmpfs or an overlay. None
/// for what is no socket's name, and for sockets of the host.
pub fn socket_slot(inode: &dyn Inode) -> Option<&SocketSlot> {
    let any = inode.as_any();
    if let Some(inode) = any.downcast_ref::<OverlayInode>() {
        return inode.upper()?.socket_slot();
    }
    any.downcast_ref::<TmpfsInode>()?.socket_slot()
}
