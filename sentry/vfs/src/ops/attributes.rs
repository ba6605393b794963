//! Changing attributes, with the checks of chmod(2), chown(2), truncate(2) and utimensat(2).

use super::S_ISGID;
use crate::cred::{Caps, MAY_WRITE};
use crate::inode::{SetAttr, TimeChange};
use crate::mount::Path;
use crate::walk::{PathContext, check_inode};
use abi::file::FileType;
use abi::{Errno, SysResult};

impl PathContext<'_> {
    /// access(2): may the file be used so? `mask`: MAY_*.
    pub fn access(&self, place: &Path, mask: u32) -> SysResult<()> {
        let kind = place.inode().file_type();
        if mask & MAY_WRITE != 0
            && matches!(kind, FileType::Regular | FileType::Directory | FileType::Symlink)
        {
            place.mount.check_writable()?;
        }
        if mask == 0 { Ok(()) } else { check_inode(self.cred, place, mask) }
    }

    /// chmod(2).
    pub fn chmod(&self, place: &Path, mode: u32) -> SysResult<()> {
        place.mount.check_writable()?;
        if place.inode().file_type() == FileType::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let attr = place.inode().attr()?;
        if !self.cred.owns(&attr) {
            return Err(Errno::EPERM);
        }
        let mut mode = mode & 0o7777;
        if !self.cred.in_group(attr.gid) && !self.cred.has_cap(Caps::FSETID) {
            mode &= !S_ISGID;
        }
        place.inode().set_attr(&SetAttr { mode: Some(mode), ..SetAttr::default() })
    }

    /// chown(2). None leaves an id as it is.
    pub fn chown(&self, place: &Path, uid: Option<u32>, gid: Option<u32>) -> SysResult<()> {
        place.mount.check_writable()?;
        let attr = place.inode().attr()?;
        let privileged = self.cred.has_cap(Caps::CHOWN);
        let is_owner = self.cred.fsuid == attr.uid;
        let may_own = |uid: u32| privileged || is_owner && uid == attr.uid;
        if uid.is_some_and(|uid| !may_own(uid)) {
            return Err(Errno::EPERM);
        }
        let is_own_group = |gid: u32| gid == attr.gid || self.cred.in_group(gid);
        let may_group = |gid: u32| privileged || is_owner && is_own_group(gid);
        if gid.is_some_and(|gid| !may_group(gid)) {
            return Err(Errno::EPERM);
        }
        let mut change = SetAttr { uid, gid, ..SetAttr::default() };
        // Set-id bits do not survive a change of owner; setgid without group execution is kept.
        if attr.file_type() != FileType::Directory && (uid.is_some() || gid.is_some()) {
            let mut mode = attr.mode & 0o7777 & !0o4000;
            if mode & 0o010 != 0 {
                mode &= !S_ISGID;
            }
            if mode != attr.mode & 0o7777 {
                change.mode = Some(mode);
            }
        }
        place.inode().set_attr(&change)
    }

    /// truncate(2).
    pub fn truncate(&self, place: &Path, size: u64) -> SysResult<()> {
        match place.inode().file_type() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        place.mount.check_writable()?;
        check_inode(self.cred, place, MAY_WRITE)?;
        place.inode().set_attr(&SetAttr { size: Some(size), ..SetAttr::default() })
    }

    /// utimensat(2). None is UTIME_OMIT.
    pub fn set_times(
        &self,
        place: &Path,
        atime: Option<TimeChange>,
        mtime: Option<TimeChange>,
    ) -> SysResult<()> {
        if atime.is_none() && mtime.is_none() {
            return Ok(());
        }
        place.mount.check_writable()?;
        let attr = place.inode().attr()?;
        if !self.cred.owns(&attr) {
            // Whoever may write may set both to now, and nothing else.
            if atime != Some(TimeChange::Now) || mtime != Some(TimeChange::Now) {
                return Err(Errno::EPERM);
            }
            check_inode(self.cred, place, MAY_WRITE)?;
        }
        place.inode().set_attr(&SetAttr { atime, mtime, ..SetAttr::default() })
    }
}
