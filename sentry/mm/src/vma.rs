//! What the guest sees: virtual memory areas.

use crate::MappedFile;
use crate::ranges::{RangeMap, Segment};
use platform::Prot;
use std::sync::Arc;

bitflags::bitflags! {
    /// Attributes of a VMA beside its protection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct VmaFlags: u32 {
        /// MAP_SHARED.
        const SHARED = 1;
        /// MAP_GROWSDOWN: a stack.
        const GROWS_DOWN = 2;
        /// MADV_DONTFORK.
        const DONT_FORK = 4;
        /// MADV_WIPEONFORK.
        const WIPE_ON_FORK = 8;
        /// MADV_DONTDUMP.
        const DONT_DUMP = 16;
        /// mlock(2).
        const LOCKED = 32;
    }
}

/// One area: a range of addresses with the same attributes.
#[derive(Clone)]
pub(crate) struct Vma {
    pub prot: Prot,
    pub flags: VmaFlags,
    /// None: private anonymous memory. (Shared anonymous memory is a file of its own.)
    pub file: Option<Arc<MappedFile>>,
    /// Offset in the file of the first byte.
    pub offset: u64,
    /// PR_SET_VMA_ANON_NAME.
    pub name: Option<Arc<[u8]>>,
}

pub(crate) type Vmas = RangeMap<Vma>;

impl Vma {
    /// MAP_SHARED?
    pub fn shared(&self) -> bool {
        self.flags.contains(VmaFlags::SHARED)
    }

    /// Private memory without a file?
    pub fn anonymous(&self) -> bool {
        self.file.is_none()
    }

    /// Can the guest reach it at all?
    pub fn accessible(&self) -> bool {
        !self.prot.is_empty()
    }

    /// Offset in the file `by` bytes into the area.
    pub fn advance_offset(&self, by: u64) -> u64 {
        self.offset.wrapping_add(by)
    }

    /// Does it count for RLIMIT_DATA?
    pub fn is_data(&self) -> bool {
        self.prot.contains(Prot::WRITE)
            && !self.flags.intersects(VmaFlags::SHARED | VmaFlags::GROWS_DOWN)
    }
}

impl Segment for Vma {
    fn advance(&self, by: u64) -> Vma {
        let offset = if self.file.is_some() { self.offset.wrapping_add(by) } else { 0 };
        Vma { offset, ..self.clone() }
    }

    fn continues(&self, len: u64, next: &Vma) -> bool {
        let same_file = match (&self.file, &next.file) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                self.offset.wrapping_add(len) == next.offset && (Arc::ptr_eq(a, b) || same(a, b))
            }
            _ => false,
        };
        same_file && self.prot == next.prot && self.flags == next.flags && self.name == next.name
    }
}

/// Two mmap calls of the same file under the same name and rights.
fn same(a: &MappedFile, b: &MappedFile) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(&a.mappable), Arc::as_ptr(&b.mappable))
        && (a.may_write, a.may_exec) == (b.may_write, b.may_exec)
        && a.name == b.name
}
