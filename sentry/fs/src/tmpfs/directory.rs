//! Directories: what adds, removes and moves names.

use super::entries::Entries;
use super::inode::{Body, NewInode, TmpfsInode};
use super::super_block::INODE_SPACE;
use abi::{Errno, SysResult};
use parking_lot::{Mutex, MutexGuard};
use std::sync::{Arc, Weak};
use vfs::NewNode;
use vfs::inode::rename;

/// The part of an inode that makes it a directory.
#[derive(Default)]
pub(super) struct Directory {
    names: Mutex<Names>,
    /// For the root, and after removal, nothing.
    parent: Mutex<Weak<TmpfsInode>>,
}

#[derive(Default)]
struct Names {
    entries: Entries<Arc<TmpfsInode>>,
    /// Removed: nothing can be made in it any more.
    dead: bool,
}

impl Names {
    /// ENOENT where the directory is removed, EEXIST where the name is taken.
    fn check_free(&self, name: &[u8]) -> SysResult<()> {
        if self.dead {
            return Err(Errno::ENOENT);
        }
        if self.entries.contains(name) { Err(Errno::EEXIST) } else { Ok(()) }
    }
}

impl Directory {
    pub fn len(&self) -> usize {
        self.names.lock().entries.len()
    }

    pub fn get(&self, name: &[u8]) -> Option<Arc<TmpfsInode>> {
        self.names.lock().entries.get(name).cloned()
    }

    /// See [`Entries::batch`].
    pub fn batch(&self, from: u64, count: usize) -> Vec<(u64, Arc<[u8]>, Arc<TmpfsInode>)> {
        self.names.lock().entries.batch(from, count)
    }

    pub fn parent(&self) -> Option<Arc<TmpfsInode>> {
        self.parent.lock().upgrade()
    }

    /// All children, for taking the tree apart.
    pub fn take(&mut self) -> Vec<Arc<TmpfsInode>> {
        self.names.get_mut().entries.take()
    }
}

impl TmpfsInode {
    /// ENOTDIR.
    pub(super) fn directory(&self) -> SysResult<&Directory> {
        match &self.body {
            Body::Directory(dir) => Ok(dir),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn create_entry(
        &self,
        name: &[u8],
        node: &NewNode<'_>,
    ) -> SysResult<Arc<TmpfsInode>> {
        let dir = self.directory()?;
        let mut names = dir.names.lock();
        names.check_free(name)?;
        let inode = TmpfsInode::new(&self.shared, NewInode::of(node))?;
        if let Body::Directory(made) = &inode.body {
            *made.parent.lock() = self.this.clone();
            self.metadata().nlink += 1;
        } else {
            inode.metadata().nlink = 1;
        }
        names.entries.insert(name, inode.clone());
        drop(names);
        self.metadata().modified();
        Ok(inode)
    }

    pub(super) fn link_entry(&self, name: &[u8], target: &Arc<TmpfsInode>) -> SysResult<()> {
        let dir = self.directory()?;
        if target.is_dir() {
            return Err(Errno::EPERM);
        }
        let mut names = dir.names.lock();
        names.check_free(name)?;
        {
            let mut metadata = target.metadata();
            if metadata.nlink == 0 && !metadata.linkable {
                return Err(Errno::ENOENT);
            }
            if metadata.nlink == u32::MAX {
                return Err(Errno::EMLINK);
            }
            // The inode itself was charged for when it was made.
            if metadata.nlink > 0 {
                self.shared.charge_inode_space(INODE_SPACE)?;
            }
            metadata.nlink += 1;
            metadata.changed();
        }
        names.entries.insert(name, target.clone());
        drop(names);
        self.metadata().modified();
        Ok(())
    }

    pub(super) fn unlink_entry(&self, name: &[u8]) -> SysResult<()> {
        let dir = self.directory()?;
        let victim = {
            let mut names = dir.names.lock();
            if names.entries.get(name).ok_or(Errno::ENOENT)?.is_dir() {
                return Err(Errno::EISDIR);
            }
            names.entries.remove(name).ok_or(Errno::ENOENT)?
        };
        self.metadata().modified();
        victim.lost_link();
        Ok(())
    }

    /// One name fewer.
    fn lost_link(&self) {
        let mut metadata = self.metadata();
        if metadata.nlink > 1 {
            self.shared.release_inode_space(INODE_SPACE);
        }
        metadata.nlink = metadata.nlink.saturating_sub(1);
        metadata.linkable = false;
        metadata.changed();
    }

    pub(super) fn rmdir_entry(&self, name: &[u8]) -> SysResult<()> {
        let dir = self.directory()?;
        let _rename = self.shared.rename.lock();
        let mut names = dir.names.lock();
        let victim = names.entries.get(name).ok_or(Errno::ENOENT)?;
        victim.bury()?;
        names.entries.remove(name);
        drop(names);
        let mut metadata = self.metadata();
        metadata.nlink = metadata.nlink.saturating_sub(1);
        metadata.modified();
        Ok(())
    }

    /// Marks an empty directory as removed. The rename lock is held.
    fn bury(&self) -> SysResult<()> {
        let mut names = self.directory()?.names.lock();
        if !names.entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        names.dead = true;
        let mut metadata = self.metadata();
        metadata.nlink = 0;
        metadata.changed();
        Ok(())
    }

    pub(super) fn rename_entry(
        &self,
        old_name: &[u8],
        new_dir: &Arc<TmpfsInode>,
        new_name: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        let (from, to) = (self.directory()?, new_dir.directory()?);
        let same_dir = self.ino == new_dir.ino;
        let _rename = self.shared.rename.lock();
        let mut names = Pair {
            old: from.names.lock(),
            new: if same_dir { None } else { Some(to.names.lock()) },
        };
        let moved = names.old.entries.get(old_name).cloned().ok_or(Errno::ENOENT)?;
        let target = names.target().entries.get(new_name).cloned();
        let exchange = flags & rename::EXCHANGE != 0;
        match &target {
            Some(_) if flags & rename::NOREPLACE != 0 => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ if names.target().dead => return Err(Errno::ENOENT),
            _ => {}
        }
        if moved.is_dir() && new_dir.is_at_or_below(&moved) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = &target {
            if target.is_dir() && self.is_at_or_below(target) {
                return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
            }
            if target.ino == moved.ino {
                return Ok(());
            }
            if !exchange {
                match (moved.is_dir(), target.is_dir()) {
                    (true, false) => return Err(Errno::ENOTDIR),
                    (false, true) => return Err(Errno::EISDIR),
                    (true, true) => target.bury()?,
                    (false, false) => {}
                }
            }
        }
        names.target().entries.insert(new_name, moved.clone());
        match &target {
            Some(target) if exchange => {
                names.old.entries.insert(old_name, target.clone());
            }
            _ => {
                names.old.entries.remove(old_name);
            }
        }
        drop(names);
        // Who gained and who lost a directory.
        moved.arrived(new_dir);
        let mut lost = i32::from(moved.is_dir());
        let mut gained = lost;
        if let Some(target) = &target {
            if exchange {
                target.arrived(&self.this()?);
                lost -= i32::from(target.is_dir());
                gained -= i32::from(target.is_dir());
            } else if target.is_dir() {
                gained -= 1;
            } else {
                target.lost_link();
            }
        }
        self.subdirectories_changed(-lost);
        new_dir.subdirectories_changed(gained);
        Ok(())
    }

    fn subdirectories_changed(&self, by: i32) {
        let mut metadata = self.metadata();
        metadata.nlink = metadata.nlink.saturating_add_signed(by);
        metadata.modified();
    }

    /// It is in another directory now.
    fn arrived(&self, dir: &Arc<TmpfsInode>) {
        if let Body::Directory(this) = &self.body {
            *this.parent.lock() = Arc::downgrade(dir);
        }
        self.metadata().changed();
    }

    /// The rename lock is held, so that nothing moves meanwhile.
    fn is_at_or_below(&self, ancestor: &TmpfsInode) -> bool {
        let mut at = self.this.upgrade();
        while let Some(inode) = at {
            if inode.ino == ancestor.ino {
                return true;
            }
            at = inode.directory().ok().and_then(Directory::parent);
        }
        false
    }
}

/// The names of the two directories of a rename, which may be one.
struct Pair<'a> {
    old: MutexGuard<'a, Names>,
    new: Option<MutexGuard<'a, Names>>,
}

impl Pair<'_> {
    fn target(&mut self) -> &mut Names {
        self.new.as_mut().unwrap_or(&mut self.old)
    }
}
