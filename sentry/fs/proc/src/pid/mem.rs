//! mem: the memory of a process, at its addresses.

use super::{Subject, access};
use crate::node::{Flavor, set_attr};
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use std::any::Any;
use std::sync::{Arc, Weak};
use vfs::{Attr, FileOps, Inode, InodeRef, OpenFile, SetAttr};

pub(super) fn mem(subject: Subject, _parent: u64, ino: u64) -> InodeRef {
    Arc::new(Mem { subject, ino })
}

struct Mem {
    subject: Subject,
    ino: u64,
}

impl Mem {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }
}

impl Inode for Mem {
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    fn attr(&self) -> SysResult<Attr> {
        self.subject.attr(self.flavor().attr(FileType::Regular, 0o600, self.ino))
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        set_attr(change)
    }

    /// Stays with the memory of now: after exec it shows nothing.
    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        let live = self.subject.live()?;
        access::check(&live)?;
        let mm = live.mm().map_or_else(Weak::new, |mm| Arc::downgrade(&mm));
        Ok(Arc::new(OpenMem { mm }))
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.flavor().statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct OpenMem {
    mm: Weak<MemoryManager>,
}

impl FileOps for OpenMem {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        match self.mm.upgrade() {
            Some(mm) if !buf.is_empty() => {
                mm.read_forced(UserAddr(offset), buf).map_err(|_| Errno::EIO)
            }
            _ => Ok(0),
        }
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], offset: u64) -> SysResult<usize> {
        match self.mm.upgrade() {
            Some(mm) if !buf.is_empty() => {
                mm.write_forced(UserAddr(offset), buf).map_err(|_| Errno::EIO)
            }
            _ => Ok(0),
        }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
