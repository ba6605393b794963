//! Making, removing and moving names.

use super::changes::Changes;
use super::inode::OverlayInode;
use abi::file::OpenFlags;
use abi::{Errno, SysResult};
use parking_lot::MutexGuard;
use std::sync::Arc;
use vfs::NewNode;
use vfs::inode::rename;

impl OverlayInode {
    /// Has the lower directory this name (whether or not it still counts)?
    fn is_below(&self, name: &[u8]) -> SysResult<bool> {
        let Some(lower) = self.lower() else { return Ok(false) };
        match lower.lookup(name) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn create_entry(
        &self,
        name: &[u8],
        node: &NewNode<'_>,
    ) -> SysResult<Arc<OverlayInode>> {
        let dir = self.directory()?;
        let below = self.is_below(name)?;
        dir.changes.lock().check_free(name, below)?;
        self.copy_up(None)?;
        let inode = OverlayInode::make(self.shared(), node, Some(&self.this()?))?;
        {
            let mut changes = dir.changes.lock();
            changes.check_free(name, below)?;
            changes.put(name, inode.clone(), below);
        }
        self.touch();
        Ok(inode)
    }

    pub(super) fn link_entry(&self, name: &[u8], target: &Arc<OverlayInode>) -> SysResult<()> {
        let dir = self.directory()?;
        if target.is_dir() {
            return Err(Errno::EPERM);
        }
        let below = self.is_below(name)?;
        dir.changes.lock().check_free(name, below)?;
        self.copy_up(None)?;
        target.copy_up(None)?;
        {
            let mut changes = dir.changes.lock();
            changes.check_free(name, below)?;
            target.gained_link()?;
            changes.put(name, target.clone(), below);
        }
        self.touch();
        Ok(())
    }

    pub(super) fn unlink_entry(&self, name: &[u8]) -> SysResult<()> {
        let dir = self.directory()?;
        let below = self.is_below(name)?;
        loop {
            let victim = self.find(name)?;
            if victim.is_dir() {
                return Err(Errno::EISDIR);
            }
            self.copy_up(None)?;
            let mut changes = dir.changes.lock();
            if !changes.leads_to(name, Some(&victim), below) {
                // Somebody changed it meanwhile: look again.
                continue;
            }
            changes.take(name, below);
            drop(changes);
            self.touch();
            return victim.lost_link();
        }
    }

    pub(super) fn rmdir_entry(&self, name: &[u8]) -> SysResult<()> {
        let dir = self.directory()?;
        let below = self.is_below(name)?;
        loop {
            let victim = self.find(name)?;
            victim.directory()?;
            victim.check_all_hidden()?;
            self.copy_up(None)?;
            let _rename = self.shared().rename.lock();
            // With the rename lock held, a name that leads to a directory keeps doing so.
            if !dir.changes.lock().leads_to(name, Some(&victim), below) {
                continue;
            }
            victim.bury()?;
            dir.changes.lock().take(name, below);
            self.touch();
            return Ok(());
        }
    }

    /// ENOTEMPTY unless all names of the lower directory are hidden. Once hidden they stay so,
    /// which is why no lock is needed until [`OverlayInode::bury`].
    fn check_all_hidden(&self) -> SysResult<()> {
        let changes = &self.directory()?.changes;
        if changes.lock().has_added() {
            return Err(Errno::ENOTEMPTY);
        }
        let Some(lower) = self.lower() else { return Ok(()) };
        let file = self.shared().open_lower(lower, OpenFlags::DIRECTORY)?;
        let mut all_hidden = true;
        file.read_dir(&mut |entry| {
            let is_dot = matches!(entry.name, b"." | b"..");
            all_hidden = is_dot || changes.lock().hides(entry.name);
            all_hidden
        })?;
        if all_hidden { Ok(()) } else { Err(Errno::ENOTEMPTY) }
    }

    /// Marks a directory, whose lower names are all hidden, as removed. ENOTEMPTY where something
    /// was added. The rename lock is held.
    fn bury(&self) -> SysResult<()> {
        {
            let mut changes = self.directory()?.changes.lock();
            if changes.has_added() {
                return Err(Errno::ENOTEMPTY);
            }
            changes.dead = true;
        }
        self.touch_ctime();
        self.unpin();
        Ok(())
    }

    pub(super) fn rename_entry(
        &self,
        old_name: &[u8],
        new_dir: &Arc<OverlayInode>,
        new_name: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        let old = Side { below: self.is_below(old_name)?, name: old_name };
        let new = Side { below: new_dir.is_below(new_name)?, name: new_name };
        new_dir.directory()?;
        loop {
            let moved = self.find(old_name)?;
            let target = match new_dir.find(new_name) {
                Ok(target) => Some(target),
                Err(Errno::ENOENT) => None,
                Err(errno) => return Err(errno),
            };
            match &target {
                Some(_) if flags & rename::NOREPLACE != 0 => return Err(Errno::EEXIST),
                None if flags & rename::EXCHANGE != 0 => return Err(Errno::ENOENT),
                Some(target) if flags & rename::EXCHANGE == 0 && !Arc::ptr_eq(target, &moved) => {
                    match (moved.is_dir(), target.is_dir()) {
                        (true, false) => return Err(Errno::ENOTDIR),
                        (false, true) => return Err(Errno::EISDIR),
                        (true, true) => target.check_all_hidden()?,
                        (false, false) => {}
                    }
                }
                _ => {}
            }
            self.copy_up(None)?;
            new_dir.copy_up(None)?;
            let step = Step { moved, target, exchange: flags & rename::EXCHANGE != 0 };
            if self.try_rename(&old, new_dir, &new, &step)? {
                return Ok(());
            }
        }
    }

    /// False where the names have changed since they were looked up.
    fn try_rename(
        &self,
        old: &Side<'_>,
        new_dir: &Arc<OverlayInode>,
        new: &Side<'_>,
        step: &Step,
    ) -> SysResult<bool> {
        let Step { moved, target, exchange } = step;
        let same_dir = std::ptr::eq(self, &**new_dir);
        let _rename = self.shared().rename.lock();
        if moved.is_dir() && new_dir.is_at_or_below(moved) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = target
            && target.is_dir()
            && self.is_at_or_below(target)
        {
            return Err(if *exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        let mut names = Pair {
            old: self.directory()?.changes.lock(),
            new: if same_dir { None } else { Some(new_dir.directory()?.changes.lock()) },
        };
        if names.target().dead {
            return Err(Errno::ENOENT);
        }
        if !names.old.leads_to(old.name, Some(moved), old.below)
            || !names.target().leads_to(new.name, target.as_ref(), new.below)
        {
            return Ok(false);
        }
        match target {
            Some(target) if Arc::ptr_eq(moved, target) => return Ok(true),
            Some(target) if !exchange && target.is_dir() => target.bury()?,
            _ => {}
        }
        names.target().put(new.name, moved.clone(), new.below);
        match target {
            Some(target) if *exchange => names.old.put(old.name, target.clone(), old.below),
            _ => names.old.take(old.name, old.below),
        }
        drop(names);
        moved.arrived(new_dir);
        match target {
            Some(target) if *exchange => target.arrived(&self.this()?),
            Some(target) if !target.is_dir() => target.lost_link()?,
            _ => {}
        }
        self.touch();
        new_dir.touch();
        Ok(true)
    }

    /// It is in another directory now.
    fn arrived(&self, dir: &Arc<OverlayInode>) {
        if let Ok(this) = self.directory() {
            *this.parent.lock() = Arc::downgrade(dir);
        }
        self.touch_ctime();
    }

    /// The directory above, while that is known.
    pub(super) fn parent(&self) -> Option<Arc<OverlayInode>> {
        self.directory().ok().and_then(|dir| dir.parent.lock().upgrade())
    }

    /// The rename lock is held, so that nothing moves meanwhile. A directory that is in use keeps
    /// the entries above it, and so their inodes, alive.
    fn is_at_or_below(&self, ancestor: &Arc<OverlayInode>) -> bool {
        let mut at = self.this().ok();
        while let Some(inode) = at {
            if Arc::ptr_eq(&inode, ancestor) {
                return true;
            }
            at = inode.parent();
        }
        false
    }
}

/// One end of a rename.
struct Side<'a> {
    name: &'a [u8],
    /// The lower directory has the name.
    below: bool,
}

/// What a rename found.
struct Step {
    moved: Arc<OverlayInode>,
    target: Option<Arc<OverlayInode>>,
    exchange: bool,
}

/// The changes of the two directories of a rename, which may be one.
struct Pair<'a> {
    old: MutexGuard<'a, Changes>,
    new: Option<MutexGuard<'a, Changes>>,
}

impl Pair<'_> {
    fn target(&mut self) -> &mut Changes {
        self.new.as_mut().unwrap_or(&mut self.old)
    }
}
