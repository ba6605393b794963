//! Shared anonymous memory: a file without a name, as in Linux.

use crate::*;
use abi::{Errno, SysResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory that forks share. Freed with the last mapping.
struct SharedAnon {
    memory: Arc<MemoryFile>,
    range: FileRange,
    mappings: MappingSet,
}

/// A new one of `len` bytes, ready to be mapped. ENOMEM.
pub(crate) fn new(memory: &Arc<MemoryFile>, len: u64) -> SysResult<MappedFile> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let range = memory.allocate(len)?;
    let anon = SharedAnon { memory: memory.clone(), range, mappings: MappingSet::new() };
    Ok(MappedFile {
        mappable: Arc::new(anon),
        name: Arc::from(&b"/dev/zero (deleted)"[..]),
        // Linux's internal tmpfs mount: the first anonymous device. No file system visible to the
        // guest may use number 1.
        dev: 1,
        ino: NEXT.fetch_add(1, Ordering::Relaxed),
        may_write: true,
        may_exec: true,
    })
}

impl SharedAnon {
    /// `len` bytes from `offset`, cut at the end; ENXIO beyond.
    fn part(&self, offset: u64, len: u64) -> SysResult<FileRange> {
        let left = self.range.len.checked_sub(offset).filter(|&left| left > 0);
        let len = left.ok_or(Errno::ENXIO)?.min(len);
        Ok(FileRange { start: self.range.start + offset, len })
    }
}

impl Mappable for SharedAnon {
    fn translate(&self, offset: u64, len: u64, _write: bool) -> SysResult<Backing> {
        let FileRange { start, len } = self.part(offset, len)?;
        Ok(Backing::Memory { offset: start, len })
    }

    fn size(&self) -> u64 {
        self.range.len
    }

    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        let Ok(part) = self.part(offset, buf.len() as u64) else { return Ok(0) };
        self.memory.read(part.start, &mut buf[..part.len as usize])?;
        Ok(part.len as usize)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        let Ok(part) = self.part(offset, buf.len() as u64) else { return Ok(0) };
        self.memory.write(part.start, &buf[..part.len as usize])?;
        Ok(part.len as usize)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> SysResult<()> {
        self.memory.zero(self.part(offset, len)?)
    }
}

impl Drop for SharedAnon {
    fn drop(&mut self) {
        self.memory.dec_ref(self.range);
    }
}
