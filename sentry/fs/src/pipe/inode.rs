//! The inode of an unnamed pipe.

use super::Fifo;
use crate::anon::{AnonAttr, pipefs};
use abi::SysResult;
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use std::any::Any;
use std::sync::Arc;
use vfs::{Attr, FileOps, Inode, Path, SetAttr};

/// What fstat(2) shows of a pipe, and what /proc/PID/fd/N opens again.
pub struct PipeInode {
    fifo: Arc<Fifo>,
    attrs: AnonAttr,
}

impl PipeInode {
    pub(super) fn new(fifo: Arc<Fifo>, uid: u32, gid: u32) -> Arc<PipeInode> {
        let mode = FileType::Fifo.mode_bits() | 0o600;
        Arc::new(PipeInode { fifo, attrs: AnonAttr::new(pipefs().dev(), mode, uid, gid) })
    }

    /// "pipe:\[12\]".
    pub fn name(&self) -> String {
        format!("pipe:[{}]", self.attrs.get().ino)
    }

    /// Its place, for open files.
    pub fn path(self: &Arc<PipeInode>) -> Path {
        pipefs().path(self.name().as_bytes(), self.clone())
    }
}

impl Inode for PipeInode {
    fn file_type(&self) -> FileType {
        FileType::Fifo
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.attrs.get())
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        self.attrs.set(change)
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        self.fifo.open_again(flags)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(pipefs().statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
