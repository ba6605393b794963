//! mmap(2) flags.

#![allow(missing_docs)] // bitflags' own constants; each is described in its man page

use bitflags::bitflags;

bitflags! {
    /// The flags of mmap(2), the mapping type in the low bits included.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct MapFlags: u32 {
        const SHARED = libc::MAP_SHARED as u32;
        const PRIVATE = libc::MAP_PRIVATE as u32;
        const FIXED = libc::MAP_FIXED as u32;
        const ANONYMOUS = libc::MAP_ANONYMOUS as u32;
        const MAP_32BIT = 0x40;
        const GROWSDOWN = libc::MAP_GROWSDOWN as u32;
        const DENYWRITE = libc::MAP_DENYWRITE as u32;
        const EXECUTABLE = libc::MAP_EXECUTABLE as u32;
        const LOCKED = libc::MAP_LOCKED as u32;
        const NORESERVE = libc::MAP_NORESERVE as u32;
        const POPULATE = libc::MAP_POPULATE as u32;
        const NONBLOCK = libc::MAP_NONBLOCK as u32;
        const STACK = libc::MAP_STACK as u32;
        const HUGETLB = libc::MAP_HUGETLB as u32;
        const SYNC = libc::MAP_SYNC as u32;
        const FIXED_NOREPLACE = libc::MAP_FIXED_NOREPLACE as u32;
    }
}
