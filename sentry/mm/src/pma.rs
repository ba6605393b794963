//! What is behind the guest's pages: private memory areas, and file pages mapped directly.

use crate::FileRange;
use crate::ranges::{RangeMap, Segment};
use crate::vma::Vma;
use platform::Prot;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Whose pages they are.
#[derive(Clone)]
pub(crate) enum Source {
    /// Pages of the memory file to which this address space holds a reference.
    Private,
    /// Pages of the memory file that belong to a mapped file, which holds the reference.
    File,
    /// Pages of a host file.
    Host(Arc<OwnedFd>),
}

/// A range of pages that is mapped on the host.
#[derive(Clone)]
pub(crate) struct Pma {
    pub source: Source,
    /// Offset of the first byte in the memory file or host file.
    pub offset: u64,
    /// Private, and perhaps shared with another address space since fork: not to be written.
    pub cow: bool,
}

pub(crate) type Pmas = RangeMap<Pma>;

impl Pma {
    pub fn private(offset: u64) -> Pma {
        Pma { source: Source::Private, offset, cow: false }
    }

    pub fn is_private(&self) -> bool {
        matches!(self.source, Source::Private)
    }

    /// Has the page to be copied (or its reference count checked) before a write?
    pub fn needs_copy(&self, vma: &Vma) -> bool {
        !vma.shared() && (self.cow || !self.is_private())
    }

    /// Offset of `addr`, this PMA covering `range`.
    pub fn offset_of(&self, range: &Range<u64>, addr: u64) -> u64 {
        self.offset + (addr - range.start)
    }

    /// The memory-file range to which a reference is held, this PMA covering `range`.
    pub fn owned(&self, range: &Range<u64>) -> Option<FileRange> {
        let len = range.end - range.start;
        self.is_private().then_some(FileRange { start: self.offset, len })
    }

    /// The protection on the host: what the guest is allowed, without writing where a write must
    /// come to us first. On x86 what can be written or executed can be read.
    pub fn host_prot(&self, vma: &Vma) -> Prot {
        let mut prot = vma.prot;
        if prot.intersects(Prot::WRITE | Prot::EXEC) {
            prot |= Prot::READ;
        }
        if self.needs_copy(vma) {
            prot -= Prot::WRITE;
        }
        prot
    }
}

impl Segment for Pma {
    fn advance(&self, by: u64) -> Pma {
        Pma { offset: self.offset + by, ..self.clone() }
    }

    fn continues(&self, len: u64, next: &Pma) -> bool {
        let same_source = match (&self.source, &next.source) {
            (Source::Private, Source::Private) | (Source::File, Source::File) => true,
            (Source::Host(a), Source::Host(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        same_source && self.offset + len == next.offset && self.cow == next.cow
    }
}
