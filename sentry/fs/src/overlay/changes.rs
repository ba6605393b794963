//! How a directory differs from the lower one.

use super::inode::OverlayInode;
use crate::tmpfs::Entries;
use abi::file::FileType;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use vfs::Inode;

/// The part of an inode that makes it a directory.
pub(super) struct Directory {
    pub changes: Mutex<Changes>,
    pub parent: Mutex<Weak<OverlayInode>>,
}

impl Directory {
    pub fn new(parent: Option<&Arc<OverlayInode>>) -> Directory {
        let parent = parent.map(Arc::downgrade).unwrap_or_default();
        Directory { changes: Mutex::default(), parent: Mutex::new(parent) }
    }
}

/// Names added, and names of the lower directory that count no more. A name in both is one that
/// replaced a lower one; once hidden, a lower name stays so.
#[derive(Default)]
pub(super) struct Changes {
    added: Entries<Arc<OverlayInode>>,
    whiteouts: HashSet<Box<[u8]>>,
    subdirectories: u32,
    /// Removed: nothing can be made in it any more.
    pub dead: bool,
}

/// What the changes say of a name.
pub(super) enum Change {
    Added(Arc<OverlayInode>),
    Hidden,
    /// Ask the lower directory.
    None,
}

impl Changes {
    pub fn get(&self, name: &[u8]) -> Change {
        match self.added.get(name) {
            Some(inode) => Change::Added(inode.clone()),
            None if self.hides(name) => Change::Hidden,
            None => Change::None,
        }
    }

    /// Does the lower directory's entry of this name not count?
    pub fn hides(&self, name: &[u8]) -> bool {
        !self.whiteouts.is_empty() && self.whiteouts.contains(name)
    }

    /// Does `name` (still) lead to `inode`, or (for None) nowhere? What the lower directory has,
    /// the caller knows, and it does not change.
    pub fn leads_to(&self, name: &[u8], inode: Option<&Arc<OverlayInode>>, below: bool) -> bool {
        match (self.get(name), inode) {
            (Change::Added(found), Some(inode)) => Arc::ptr_eq(&found, inode),
            (Change::Added(_), None) | (Change::Hidden, Some(_)) => false,
            (Change::Hidden, None) => true,
            (Change::None, Some(_)) => below,
            (Change::None, None) => !below,
        }
    }

    /// EEXIST unless the name is free, ENOENT in a removed directory.
    pub fn check_free(&self, name: &[u8], below: bool) -> SysResult<()> {
        if self.dead {
            return Err(Errno::ENOENT);
        }
        if self.leads_to(name, None, below) { Ok(()) } else { Err(Errno::EEXIST) }
    }

    /// Makes `name` lead to `inode`; `below` says whether the lower directory has the name.
    pub fn put(&mut self, name: &[u8], inode: Arc<OverlayInode>, below: bool) {
        if below {
            self.whiteouts.insert(name.into());
        }
        self.subdirectories += is_dir(&inode);
        if let Some(old) = self.added.insert(name, inode) {
            self.subdirectories -= is_dir(&old);
        }
    }

    /// Makes `name` lead nowhere.
    pub fn take(&mut self, name: &[u8], below: bool) {
        if below {
            self.whiteouts.insert(name.into());
        }
        if let Some(old) = self.added.remove(name) {
            self.subdirectories -= is_dir(&old);
        }
    }

    pub fn has_added(&self) -> bool {
        !self.added.is_empty()
    }

    pub fn added_len(&self) -> usize {
        self.added.len()
    }

    pub fn subdirectories(&self) -> u32 {
        self.subdirectories
    }

    /// See [`Entries::batch`].
    pub fn batch(&self, from: u64, count: usize) -> Vec<(u64, Arc<[u8]>, Arc<OverlayInode>)> {
        self.added.batch(from, count)
    }

    /// All that was added, for taking the tree apart.
    pub fn take_added(&mut self) -> Vec<Arc<OverlayInode>> {
        self.added.take()
    }
}

fn is_dir(inode: &Arc<OverlayInode>) -> u32 {
    u32::from(inode.file_type() == FileType::Directory)
}
