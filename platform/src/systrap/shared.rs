//! Memory that the sentry shares with stubs: pages of orders, which they only read, and areas of
//! threads, which hostile guest code may write at any time.
//!
//! Access is by single words only, each an atomic operation; a value that must not change under us
//! is read once.

use super::layout::AREA_LEN;
use crate::host::memory;
use parking_lot::Mutex;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// A memory file made of blocks of equal length, mapped whole. Sparse: what is never used costs
/// addresses only.
pub(super) struct Blocks {
    file: File,
    base: NonNull<u8>,
    block_len: usize,
    count: usize,
    free: Mutex<Free>,
}

/// Blocks that are free.
struct Free {
    returned: Vec<u32>,
    /// The first that was never used.
    unused: u32,
}

// SAFETY: the mapping lives as long as the value, belongs to no thread, and is accessed by atomic
// operations only.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// Makes the file. `block_len` is a power of two, at least a page.
    pub(super) fn new(name: &CStr, block_len: usize, count: usize) -> io::Result<Arc<Blocks>> {
        let file = File::from(memory::memfd(name)?);
        let len = block_len * count;
        file.set_len(len as u64)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let null = std::ptr::null_mut();
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(null, len, access, flags, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let free = Mutex::new(Free { returned: Vec::new(), unused: 0 });
        Ok(Arc::new(Blocks { file, base, block_len, count, free }))
    }

    /// The file, to be mapped in stubs.
    pub(super) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// A free block, of zeros. EAGAIN where there is none.
    pub(super) fn take(self: &Arc<Self>) -> io::Result<OwnedBlock> {
        let mut free = self.free.lock();
        let index = match free.returned.pop() {
            Some(index) => index,
            None if free.unused as usize == self.count => {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            None => {
                free.unused += 1;
                free.unused - 1
            }
        };
        Ok(OwnedBlock { blocks: self.clone(), index })
    }
}

/// A block that is nobody else's. When it is dropped its memory is given back; so that must not
/// be before the stubs that map it have ended.
pub(super) struct OwnedBlock {
    blocks: Arc<Blocks>,
    index: u32,
}

impl OwnedBlock {
    /// Where it lies in the file.
    pub(super) fn offset(&self) -> u64 {
        u64::from(self.index) * self.blocks.block_len as u64
    }

    /// Its words.
    pub(super) fn block(&self) -> Block<'_> {
        let index = self.index as usize % self.blocks.count;
        Block { blocks: &self.blocks, start: index * self.blocks.block_len }
    }
}

impl Drop for OwnedBlock {
    /// The next owner must not see what this one left there.
    fn drop(&mut self) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (offset, len) = (self.offset() as i64, self.blocks.block_len);
        // SAFETY: numbers; the pages of the mapping stay valid, and become zero.
        if unsafe { libc::fallocate(self.blocks.fd(), mode, offset, len as i64) } != 0 {
            for at in (0..len).step_by(8) {
                self.block().set64(at, 0);
            }
        }
        self.blocks.free.lock().returned.push(self.index);
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; no reference into it outlives the value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.block_len * self.count) };
    }
}

/// One block. Offsets are taken modulo its length and rounded down to a multiple of the word's
/// size, so that no value can lead out of it.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    blocks: &'a Blocks,
    start: usize,
}

impl<'a> Block<'a> {
    fn at(self, offset: usize, size: usize) -> *mut u8 {
        let offset = self.start + (offset & (self.blocks.block_len - 1) & !(size - 1));
        self.blocks.base.as_ptr().wrapping_add(offset)
    }

    /// A 32-bit word.
    pub(super) fn word(self, offset: usize) -> &'a AtomicU32 {
        // SAFETY: aligned and within the mapping (see `at`), which outlives the reference; the
        // other processes' accesses are as those of other threads: single machine words.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    fn word64(self, offset: usize) -> &'a AtomicU64 {
        // SAFETY: as `word`.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    /// Reads 64 bits.
    pub(super) fn get64(self, offset: usize) -> u64 {
        self.word64(offset).load(Relaxed)
    }

    /// Writes 64 bits.
    pub(super) fn set64(self, offset: usize, value: u64) {
        self.word64(offset).store(value, Relaxed);
    }

    /// Copies `len` bytes, a multiple of 8, out.
    pub(super) fn read(self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        for at in (offset..offset + len).step_by(8) {
            bytes.extend_from_slice(&self.get64(at).to_le_bytes());
        }
        bytes
    }

    /// Copies bytes in; a last incomplete word is filled up with zeros.
    pub(super) fn write(self, offset: usize, bytes: &[u8]) {
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.set64(offset + index * 8, u64::from_le_bytes(word));
        }
    }
}

/// Stores a word and wakes all who wait for it to change.
pub(super) fn store_and_wake(word: &AtomicU32, value: u32) {
    word.store(value, Release);
    wake(word);
}

/// Replaces one value of a word by another, and wakes all who wait for it to change, in any case.
pub(super) fn replace_and_wake(word: &AtomicU32, old: u32, new: u32) {
    let _ = word.compare_exchange(old, new, AcqRel, Relaxed);
    wake(word);
}

fn wake(word: &AtomicU32) {
    // SAFETY: FUTEX_WAKE takes the address of a live word, and numbers.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Sleeps while the word has this value; what it has then. May return too early.
pub(super) fn wait_while(word: &AtomicU32, value: u32, at_most: Option<Duration>) -> u32 {
    let now = word.load(Acquire);
    if now != value {
        return now;
    }
    let timeout = at_most.map(|time| libc::timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: FUTEX_WAIT takes the address of a live word, a number, and null or the address of a
    // live timespec.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, timeout) };
    word.load(Acquire)
}

/// What [`Block`] relies on.
const _: () = assert!(AREA_LEN.is_power_of_two());
