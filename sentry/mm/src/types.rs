//! The types of the crate's interface that have no logic.

use crate::MappingSet;
use abi::mman::MapFlags;
use abi::signal::Signal;
use abi::{SysResult, UserAddr};
use platform::Prot;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A range of offsets in the [`crate::MemoryFile`]; start and length are multiples of the page
/// size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// First offset.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
}

impl FileRange {
    /// The range from `start` of `len` bytes.
    pub fn new(start: u64, len: u64) -> FileRange {
        FileRange { start, len }
    }

    /// First offset after the range.
    pub fn end(self) -> u64 {
        self.start + self.len
    }
}

/// Where the bytes of a [`Mappable`] are. `len` is a multiple of the page size and at least one
/// page; the last page may lie partly beyond the end of the file.
#[derive(Clone, Debug)]
pub enum Backing {
    /// In the memory file. The reference stays with the file system: see [`Mappable::translate`].
    Memory {
        /// Offset in the memory file, a multiple of the page size.
        offset: u64,
        /// How many bytes are contiguous there.
        len: u64,
    },
    /// In a host file.
    Host {
        /// The host file, as the gofer gave it.
        file: Arc<OwnedFd>,
        /// Offset in it, a multiple of the page size.
        offset: u64,
        /// How many bytes are contiguous there.
        len: u64,
    },
}

/// A file that can be mapped. Implemented by file systems.
///
/// All methods are called with the lock of a memory manager held: an implementation may take its
/// own locks, and must never call a memory manager (directly, or through
/// [`MappingSet::invalidate`]) with them held.
pub trait Mappable: Send + Sync {
    /// Where the bytes from `offset` are: a prefix of `len` of at least one page. Both are
    /// multiples of the page size. With `write`, the mapping is shared and will be written.
    ///
    /// An error (ENXIO by convention) for a page that begins at or beyond the end of the file; the
    /// guest gets SIGBUS for it.
    ///
    /// The answer holds until the file system calls [`MappingSet::invalidate`]. So a file system
    /// that takes pages away first makes `translate` refuse them, then invalidates, and only then
    /// lets go of its memory-file references.
    fn translate(&self, offset: u64, len: u64, write: bool) -> SysResult<Backing>;

    /// The size of the file in bytes.
    fn size(&self) -> u64;

    /// Who maps the file.
    fn mappings(&self) -> &MappingSet;

    /// Reads from the file, for private copies and where the kernel reads guest memory that is a
    /// page of a host file. Less than asked at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize>;

    /// Writes to the file without growing it, where the kernel writes guest memory that is a
    /// shared page of a host file.
    fn write_at(&self, offset: u64, buf: &[u8]) -> SysResult<usize>;

    /// Frees the pages of the range, which then read as zero (MADV_REMOVE). The file system must
    /// not invalidate mappings here; memory-file pages are zeroed in place.
    fn punch_hole(&self, _offset: u64, _len: u64) -> SysResult<()> {
        Err(abi::Errno::EOPNOTSUPP)
    }

    /// msync(2) with MS_SYNC. Called without any lock held.
    fn sync(&self, _offset: u64, _len: u64) -> SysResult<()> {
        Ok(())
    }
}

/// A file as given to mmap(2), with what the open file and its mount allow.
#[derive(Clone)]
pub struct MappedFile {
    /// The file.
    pub mappable: Arc<dyn Mappable>,
    /// Its path, for /proc/PID/maps.
    pub name: Arc<[u8]>,
    /// Device number. With `ino` it identifies the file, for shared futexes too.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// A shared mapping may be or become writable.
    pub may_write: bool,
    /// The mapping may be or become executable (false on a noexec mount).
    pub may_exec: bool,
}

/// The arguments of mmap(2).
pub struct MmapArgs {
    /// The hint, or with MAP_FIXED the place.
    pub addr: UserAddr,
    /// Length in bytes, any.
    pub len: u64,
    /// Protection; unknown bits are ignored, as Linux does.
    pub prot: Prot,
    /// Flags, unknown bits kept (`from_bits_retain`).
    pub flags: MapFlags,
    /// The file; not looked at with MAP_ANONYMOUS.
    pub file: Option<MappedFile>,
    /// Offset in the file, a multiple of the page size or EINVAL.
    pub offset: u64,
}

impl MmapArgs {
    /// A private anonymous mapping at a place of the kernel's choice.
    pub fn anonymous(len: u64, prot: Prot) -> MmapArgs {
        MmapArgs {
            addr: UserAddr::NULL,
            len,
            prot,
            flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS,
            file: None,
            offset: 0,
        }
    }

    /// The same, at a place of the caller's choice, replacing what is there.
    pub fn at(mut self, addr: UserAddr) -> MmapArgs {
        self.addr = addr;
        self.flags |= MapFlags::FIXED;
        self
    }
}

/// A memory access that the guest was not allowed: the signal it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// SIGSEGV or SIGBUS.
    pub signal: Signal,
    /// SEGV_MAPERR, SEGV_ACCERR or BUS_ADRERR.
    pub code: i32,
    /// The address.
    pub addr: u64,
    /// The sandbox's memory limit is the cause, where Linux would have run its OOM killer.
    pub out_of_memory: bool,
}

/// si_code: address not mapped.
pub const SEGV_MAPERR: i32 = 1;
/// si_code: invalid permissions for the mapping.
pub const SEGV_ACCERR: i32 = 2;
/// si_code: non-existent physical address (past the end of the file).
pub const BUS_ADRERR: i32 = 2;

/// What identifies a futex, see futex(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FutexKey {
    /// A word of one address space.
    Private {
        /// [`crate::MemoryManager::id`].
        mm: u64,
        /// Its address.
        addr: u64,
    },
    /// A word of a shared mapping, wherever it is mapped.
    Shared {
        /// Device of the file.
        dev: u64,
        /// Inode of the file.
        ino: u64,
        /// Offset in the file.
        offset: u64,
    },
}

/// One line of /proc/PID/maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Protection.
    pub prot: Prot,
    /// MAP_SHARED?
    pub shared: bool,
    /// Offset in the file; 0 for anonymous memory.
    pub offset: u64,
    /// Device of the file, or 0.
    pub dev: u64,
    /// Inode of the file, or 0.
    pub ino: u64,
    /// Path, `[heap]`, `[stack]`, or empty.
    pub name: Vec<u8>,
    /// Bytes that may be resident: those with a host mapping behind them. An upper bound.
    pub mapped_bytes: u64,
    /// Locked by mlock(2).
    pub locked: bool,
    /// Grows down (a stack).
    pub grows_down: bool,
    /// MADV_DONTFORK.
    pub dont_fork: bool,
    /// MADV_WIPEONFORK.
    pub wipe_on_fork: bool,
    /// MADV_DONTDUMP.
    pub dont_dump: bool,
}

/// Sizes of an address space in bytes, as /proc/PID/status and statm want them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// VmSize.
    pub virtual_bytes: u64,
    /// VmRSS, approximate.
    pub resident_bytes: u64,
    /// VmData: private writable memory that is not stack.
    pub data: u64,
    /// VmStk.
    pub stack: u64,
    /// VmExe and VmLib: executable, not writable.
    pub text: u64,
    /// VmLck.
    pub locked: u64,
    /// Shared mappings, and private file pages not copied.
    pub shared: u64,
}

/// The resource limits that mm enforces, in bytes; `u64::MAX` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// RLIMIT_AS.
    pub address_space: u64,
    /// RLIMIT_DATA.
    pub data: u64,
    /// RLIMIT_STACK.
    pub stack: u64,
    /// RLIMIT_MEMLOCK (give `u64::MAX` for CAP_IPC_LOCK).
    pub memlock: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20, memlock: 8 << 20 }
    }
}

/// Where exec put things, for /proc/PID/stat, PR_SET_MM and the names of mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // prctl(2), PR_SET_MM, describes them
pub struct ImageLayout {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
}
