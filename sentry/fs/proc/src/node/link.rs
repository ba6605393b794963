//! Symbolic links.

use super::{Flavor, set_attr};
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, SysResult};
use std::any::Any;
use std::sync::Arc;
use vfs::{Attr, FileOps, Inode, InodeRef, LinkTarget, SetAttr};

/// Where a link leads.
pub(crate) trait Link: Send + Sync + 'static {
    /// Of which file system it is.
    fn flavor(&self) -> Flavor;

    /// Its attributes.
    fn attr(&self) -> SysResult<Attr>;

    /// Where it leads.
    fn target(&self) -> SysResult<LinkTarget>;
}

/// The inode of a [`Link`].
pub(crate) struct LinkInode<L>(L);

impl<L: Link> LinkInode<L> {
    /// A new one.
    pub fn make(link: L) -> InodeRef {
        Arc::new(LinkInode(link))
    }
}

impl<L: Link> Inode for LinkInode<L> {
    fn file_type(&self) -> FileType {
        FileType::Symlink
    }

    fn attr(&self) -> SysResult<Attr> {
        self.0.attr()
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        set_attr(change)
    }

    fn readlink(&self) -> SysResult<LinkTarget> {
        self.0.target()
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::ELOOP)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.0.flavor().statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
