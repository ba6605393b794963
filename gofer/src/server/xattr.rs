//! Extended attributes: `user.*`, which belong to whoever owns the file, and
//! `security.capability`, for reading, because `execve` in the sandbox needs it. No others: what
//! `trusted.*` and `system.*` mean is the host's affair. See `xattr(7)`.

use rustix::fs::XattrFlags as HostXattrFlags;

use super::Files;
use crate::errno::Errno;
use crate::protocol::{FileType, MAX_XATTR, NodeId, OpenFlags, XattrFlags, XattrName};

const CAPABILITY: &[u8] = b"security.capability";

fn is_user(name: &[u8]) -> bool {
    name.strip_prefix(b"user.").is_some_and(|rest| !rest.is_empty())
}

fn is_readable(name: &[u8]) -> bool {
    is_user(name) || name == CAPABILITY
}

impl Files {
    /// Whether files of this node's type can have the attributes that are passed on.
    fn has_xattrs(&self, node: NodeId) -> Result<bool, Errno> {
        let file_type = self.view(node)?.identity.file_type;
        Ok(matches!(file_type, FileType::Regular | FileType::Directory))
    }

    pub(super) fn get_xattr(&self, node: NodeId, name: XattrName<'_>) -> Result<Vec<u8>, Errno> {
        if !is_readable(name.as_bytes()) {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.has_xattrs(node)? {
            return Err(Errno::ENODATA);
        }
        let fd = self.real_fd(node, OpenFlags::READ)?;
        let mut value = vec![0; MAX_XATTR];
        let length = rustix::fs::fgetxattr(fd, name.as_bytes(), value.as_mut_slice())?;
        value.truncate(length);
        Ok(value)
    }

    pub(super) fn set_xattr(
        &self,
        node: NodeId,
        name: XattrName<'_>,
        value: &[u8],
        flags: XattrFlags,
    ) -> Result<(), Errno> {
        let fd = self.changeable(node, name)?;
        let mut host_flags = HostXattrFlags::empty();
        host_flags.set(HostXattrFlags::CREATE, flags.contains(XattrFlags::CREATE));
        host_flags.set(HostXattrFlags::REPLACE, flags.contains(XattrFlags::REPLACE));
        Ok(rustix::fs::fsetxattr(fd, name.as_bytes(), value, host_flags)?)
    }

    pub(super) fn remove_xattr(&self, node: NodeId, name: XattrName<'_>) -> Result<(), Errno> {
        let fd = self.changeable(node, name)?;
        Ok(rustix::fs::fremovexattr(fd, name.as_bytes())?)
    }

    fn changeable(
        &self,
        node: NodeId,
        name: XattrName<'_>,
    ) -> Result<std::sync::Arc<std::os::fd::OwnedFd>, Errno> {
        if !is_user(name.as_bytes()) {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.has_xattrs(node)? {
            return Err(Errno::EPERM);
        }
        match self.real_fd(node, OpenFlags::READ) {
            // A file that may be written and not read.
            Err(Errno::EACCES) => self.real_fd(node, OpenFlags::WRITE),
            fd => fd,
        }
    }

    pub(super) fn list_xattr(&self, node: NodeId) -> Result<Vec<Vec<u8>>, Errno> {
        if !self.has_xattrs(node)? {
            return Ok(Vec::new());
        }
        let fd = self.real_fd(node, OpenFlags::READ)?;
        let mut names = vec![0; MAX_XATTR];
        let length = rustix::fs::flistxattr(fd, names.as_mut_slice())?;
        names.truncate(length);
        let names = names.split(|byte| *byte == 0).filter(|name| is_readable(name));
        Ok(names.map(<[u8]>::to_vec).collect())
    }
}
