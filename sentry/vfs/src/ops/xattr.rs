//! Extended attributes, with the permission checks of xattr(7).

use crate::cred::{Caps, MAY_READ, MAY_WRITE};
use crate::mount::Path;
use crate::walk::{PathContext, check_inode};
use abi::file::FileType;
use abi::{Errno, SysResult};

impl PathContext<'_> {
    /// getxattr(2).
    pub fn get_xattr(&self, place: &Path, name: &[u8]) -> SysResult<Vec<u8>> {
        self.check_xattr(place, name, false)?;
        place.inode().get_xattr(name)
    }

    /// setxattr(2); `flags`: XATTR_CREATE 1, XATTR_REPLACE 2.
    pub fn set_xattr(&self, place: &Path, name: &[u8], value: &[u8], flags: u32) -> SysResult<()> {
        place.mount.check_writable()?;
        self.check_xattr(place, name, true)?;
        place.inode().set_xattr(name, value, flags)
    }

    /// removexattr(2).
    pub fn remove_xattr(&self, place: &Path, name: &[u8]) -> SysResult<()> {
        place.mount.check_writable()?;
        self.check_xattr(place, name, true)?;
        place.inode().remove_xattr(name)
    }

    /// listxattr(2): the names the caller may see.
    pub fn list_xattr(&self, place: &Path) -> SysResult<Vec<Vec<u8>>> {
        let mut names = place.inode().list_xattr()?;
        if !self.cred.has_cap(Caps::SYS_ADMIN) {
            names.retain(|name| !name.starts_with(b"trusted."));
        }
        Ok(names)
    }

    fn check_xattr(&self, place: &Path, name: &[u8], write: bool) -> SysResult<()> {
        let denied = if write { Errno::EPERM } else { Errno::ENODATA };
        if name.starts_with(b"security.") || name.starts_with(b"system.") {
            let cap = match name {
                b"security.capability" => Caps::SETFCAP,
                _ => Caps::SYS_ADMIN,
            };
            let needs_cap = write && name.starts_with(b"security.");
            return if needs_cap && !self.cred.has_cap(cap) { Err(Errno::EPERM) } else { Ok(()) };
        }
        if name.starts_with(b"trusted.") {
            return if self.cred.has_cap(Caps::SYS_ADMIN) { Ok(()) } else { Err(denied) };
        }
        if name.starts_with(b"user.") {
            // Anybody may write to a device or a FIFO: those must not serve as storage.
            match place.inode().file_type() {
                FileType::Regular => {}
                FileType::Directory => {
                    let attr = place.inode().attr()?;
                    if write && attr.mode & super::S_ISVTX != 0 && !self.cred.owns(&attr) {
                        return Err(Errno::EPERM);
                    }
                }
                _ => return Err(denied),
            }
        }
        check_inode(self.cred, place, if write { MAY_WRITE } else { MAY_READ })
    }
}
