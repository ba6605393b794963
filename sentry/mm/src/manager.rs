//! One address space.

use crate::*;
use abi::{Errno, SysResult, UserAddr};
use platform::{AddressSpace, Platform};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// One guest address space.
pub struct MemoryManager {
    address_space: Arc<dyn AddressSpace>,
}

#[allow(missing_docs, unused_variables)]
impl MemoryManager {
    pub fn new(
        platform: &Arc<dyn Platform>,
        file: &Arc<MemoryFile>,
    ) -> SysResult<Arc<MemoryManager>> {
        Ok(Arc::new(MemoryManager { address_space: platform.new_address_space()? }))
    }
    pub fn id(&self) -> u64 {
        0
    }
    pub fn address_space(&self) -> &Arc<dyn AddressSpace> {
        &self.address_space
    }
    pub fn fork(&self) -> SysResult<Arc<MemoryManager>> {
        Err(Errno::ENOSYS)
    }
    pub fn clear(&self) {}
    pub fn mmap(&self, args: MmapArgs) -> SysResult<UserAddr> {
        Err(Errno::ENOSYS)
    }
    pub fn munmap(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    /// `prot` as the guest gave it (PROT_GROWSDOWN and unknown bits included).
    pub fn mprotect(&self, addr: UserAddr, len: u64, prot: u64) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn mremap(
        &self,
        old: UserAddr,
        old_len: u64,
        new_len: u64,
        flags: u64,
        new_addr: UserAddr,
    ) -> SysResult<UserAddr> {
        Err(Errno::ENOSYS)
    }
    pub fn brk(&self, addr: UserAddr) -> UserAddr {
        addr
    }
    pub fn madvise(&self, addr: UserAddr, len: u64, advice: i32) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    /// Writes one byte a page to `vec` in guest memory.
    pub fn mincore(&self, addr: UserAddr, len: u64, vec: UserAddr) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn msync(&self, addr: UserAddr, len: u64, flags: i32) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn mlock(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn munlock(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn mlockall(&self, flags: i32) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn munlockall(&self) {}
    /// PR_SET_VMA_ANON_NAME.
    pub fn set_anon_name(&self, addr: UserAddr, len: u64, name: Option<&[u8]>) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn handle_fault(&self, addr: u64, access: Access, bus: bool) -> Result<(), Fault> {
        Ok(())
    }
    pub fn read_bytes(&self, addr: UserAddr, buf: &mut [u8]) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn write_bytes(&self, addr: UserAddr, buf: &[u8]) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn read_partial(&self, addr: UserAddr, buf: &mut [u8]) -> SysResult<usize> {
        Err(Errno::ENOSYS)
    }
    pub fn write_partial(&self, addr: UserAddr, buf: &[u8]) -> SysResult<usize> {
        Err(Errno::ENOSYS)
    }
    /// ptrace(2), /proc/PID/mem: without regard to the protection. Bytes done; EFAULT if none.
    pub fn read_forced(&self, addr: UserAddr, buf: &mut [u8]) -> SysResult<usize> {
        Err(Errno::ENOSYS)
    }
    /// The same for writing: a private page that is not writable is copied.
    pub fn write_forced(&self, addr: UserAddr, buf: &[u8]) -> SysResult<usize> {
        Err(Errno::ENOSYS)
    }
    pub fn zero_bytes(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    pub fn read<T: FromBytes + IntoBytes>(&self, addr: UserAddr) -> SysResult<T> {
        Err(Errno::ENOSYS)
    }
    pub fn write<T: IntoBytes + Immutable + ?Sized>(
        &self,
        addr: UserAddr,
        value: &T,
    ) -> SysResult<()> {
        Err(Errno::ENOSYS)
    }
    /// EINVAL if `count` is more than `max`.
    pub fn read_array<T: FromBytes + IntoBytes>(
        &self,
        addr: UserAddr,
        count: u64,
        max: usize,
    ) -> SysResult<Vec<T>> {
        Err(Errno::ENOSYS)
    }
    /// Without the NUL. ENAMETOOLONG if there is none in the first `max_len` bytes.
    pub fn read_cstr(&self, addr: UserAddr, max_len: usize) -> SysResult<Vec<u8>> {
        Err(Errno::ENOSYS)
    }
    pub fn load_u32(&self, addr: UserAddr) -> SysResult<u32> {
        Err(Errno::ENOSYS)
    }
    pub fn compare_exchange_u32(
        &self,
        addr: UserAddr,
        old: u32,
        new: u32,
    ) -> SysResult<Result<u32, u32>> {
        Err(Errno::ENOSYS)
    }
    /// FUTEX_WAKE_OP: atomically replaces the word by `f` of it; returns the old value.
    pub fn fetch_update_u32(&self, addr: UserAddr, f: impl FnMut(u32) -> u32) -> SysResult<u32> {
        Err(Errno::ENOSYS)
    }
    pub fn futex_key(&self, addr: UserAddr, private: bool) -> SysResult<FutexKey> {
        Err(Errno::ENOSYS)
    }
    pub fn maps(&self) -> Vec<MapEntry> {
        Vec::new()
    }
    pub fn usage(&self) -> Usage {
        Usage::default()
    }
    pub fn layout(&self) -> ImageLayout {
        ImageLayout::default()
    }
    pub fn set_layout(&self, layout: ImageLayout) {}
    pub fn set_brk_start(&self, addr: UserAddr) {}
    pub fn set_mmap_base(&self, addr: UserAddr) {}
    pub fn mmap_base(&self) -> UserAddr {
        UserAddr::NULL
    }
    /// A free range, as mmap without a hint would choose it.
    pub fn find_free(&self, len: u64) -> SysResult<UserAddr> {
        Err(Errno::ENOSYS)
    }
    pub fn set_limits(&self, limits: Limits) {}
    pub fn limits(&self) -> Limits {
        Limits::default()
    }
}
