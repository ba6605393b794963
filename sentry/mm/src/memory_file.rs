//! The memory file.

use crate::FileRange;
use abi::{Errno, SysResult};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The sparse file that holds all guest memory and tmpfs data of a sandbox.
pub struct MemoryFile {
    fd: Arc<OwnedFd>,
}

#[allow(missing_docs)]
impl MemoryFile {
    pub fn new(file: OwnedFd) -> io::Result<Arc<MemoryFile>> {
        Ok(Arc::new(MemoryFile { fd: Arc::new(file) }))
    }
    /// A memory file in a memfd, where there is no private tmpfs (and for tests).
    pub fn new_memfd() -> io::Result<Arc<MemoryFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }
    pub fn allocate(&self, _len: u64) -> SysResult<FileRange> {
        Err(Errno::ENOSYS)
    }
    pub fn inc_ref(&self, _r: FileRange) {}
    pub fn dec_ref(&self, _r: FileRange) {}
    pub fn is_shared(&self, _r: FileRange) -> bool {
        false
    }
    pub fn read(&self, _offset: u64, _buf: &mut [u8]) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn write(&self, _offset: u64, _buf: &[u8]) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn zero(&self, _r: FileRange) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn copy(&self, _from: u64, _to: u64, _len: u64) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn used_bytes(&self) -> u64 {
        0
    }
}
