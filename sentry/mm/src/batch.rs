//! Changes on their way to the host, and what may be freed once they are in force.

use crate::pma::{Pma, Source};
use crate::vma::Vma;
use crate::{FileRange, MappedFile, MemoryFile};
use platform::{MapOp, Prot};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Collected while the state changes, applied once by `MemoryManager::commit`.
#[derive(Default)]
pub(crate) struct Batch {
    pub ops: Vec<MapOp>,
    /// References to drop, only after the host no longer maps the pages: otherwise the guest could
    /// reach them after they were given to somebody else.
    pub release: Vec<FileRange>,
    /// Files of areas that are gone. The last reference frees the file's pages, so the same holds.
    pub files: Vec<Arc<MappedFile>>,
}

impl Batch {
    /// Frees what the changes took away. They are in force, and no lock is held.
    pub fn finish(self, memory: &MemoryFile) {
        for range in self.release {
            memory.dec_ref(range);
        }
    }

    /// The changes may not be in force: the guest may still reach those pages, so nobody else may
    /// ever get them.
    pub fn leak(&mut self) {
        self.release.clear();
        std::mem::forget(std::mem::take(&mut self.files));
    }

    /// Maps a PMA (both for exactly `range`).
    pub fn map(&mut self, range: Range<u64>, vma: &Vma, pma: &Pma, memory: &Arc<OwnedFd>) {
        // One replaced by the other: no moment without either.
        if let Some(MapOp::Unmap { addr, len }) = self.ops.last()
            && range.start <= *addr
            && addr + len <= range.end
        {
            self.ops.pop();
        }
        let prot = pma.host_prot(vma);
        let (file, shared) = match &pma.source {
            Source::Host(file) => (file, vma.shared()),
            Source::Private | Source::File => (memory, true),
        };
        if let Some(MapOp::Map { addr, len, prot: p, file: f, offset, shared: s }) =
            self.ops.last_mut()
            && *addr + *len == range.start
            && *offset + *len == pma.offset
            && (*p, *s) == (prot, shared)
            && Arc::ptr_eq(f, file)
        {
            *len += range.end - range.start;
            return;
        }
        self.ops.push(MapOp::Map {
            addr: range.start,
            len: range.end - range.start,
            prot,
            file: file.clone(),
            offset: pma.offset,
            shared,
        });
    }

    pub fn unmap(&mut self, range: Range<u64>) {
        if let Some(MapOp::Unmap { addr, len }) = self.ops.last_mut()
            && *addr + *len == range.start
        {
            *len += range.end - range.start;
            return;
        }
        self.ops.push(MapOp::Unmap { addr: range.start, len: range.end - range.start });
    }

    pub fn protect(&mut self, range: Range<u64>, prot: Prot) {
        if let Some(MapOp::Protect { addr, len, prot: p }) = self.ops.last_mut()
            && *addr + *len == range.start
            && *p == prot
        {
            *len += range.end - range.start;
            return;
        }
        let len = range.end - range.start;
        self.ops.push(MapOp::Protect { addr: range.start, len, prot });
    }
}
