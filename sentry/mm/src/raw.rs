//! The one place that touches guest memory: the mapping of the memory file, and copies from and to
//! it that survive a fault.
//!
//! A page of the memory file that cannot be had (the tmpfs is full) raises SIGBUS in whoever
//! touches it. The few instructions that touch the mapping are therefore written in assembly, with
//! known addresses; the signal handler moves a thread that faulted there to a fixup, which reports
//! the failure. A fault anywhere else is a bug of ours and kills the process as usual.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Once;

// mm_raw_copy(dst, src, len) -> bytes not copied.
// mm_raw_load_u32(ptr) -> value, or 1 << 32 after a fault.
// mm_raw_cas_u32(ptr, old, new) -> value found, or 1 << 32 after a fault.
//
// None of them has a stack frame, so a fixup may simply return. `rep movsb` keeps its progress in
// rcx, rsi and rdi when it faults.
core::arch::global_asm!(
    ".pushsection .text.mm_raw, \"ax\", @progbits",
    ".hidden mm_raw_copy, mm_raw_copy_at, mm_raw_copy_end",
    ".hidden mm_raw_load_u32, mm_raw_load_u32_at",
    ".hidden mm_raw_cas_u32, mm_raw_cas_u32_at, mm_raw_word_failed",
    ".globl mm_raw_copy, mm_raw_copy_at, mm_raw_copy_end",
    ".globl mm_raw_load_u32, mm_raw_load_u32_at",
    ".globl mm_raw_cas_u32, mm_raw_cas_u32_at, mm_raw_word_failed",
    ".p2align 4",
    "mm_raw_copy:",
    "    mov rcx, rdx",
    "mm_raw_copy_at:",
    "    rep movsb",
    "mm_raw_copy_end:",
    "    mov rax, rcx",
    "    ret",
    ".p2align 4",
    "mm_raw_load_u32:",
    "mm_raw_load_u32_at:",
    "    mov eax, dword ptr [rdi]",
    "    ret",
    ".p2align 4",
    "mm_raw_cas_u32:",
    "    mov eax, esi",
    "mm_raw_cas_u32_at:",
    "    lock cmpxchg dword ptr [rdi], edx",
    "    ret",
    "mm_raw_word_failed:",
    "    mov eax, 1",
    "    shl rax, 32",
    "    ret",
    ".popsection",
);

// SAFETY: these are the symbols defined above, with the signatures of their comments; the labels
// are declared as bytes because only their addresses are used.
unsafe extern "C" {
    fn mm_raw_copy(dst: *mut u8, src: *const u8, len: usize) -> usize;
    fn mm_raw_load_u32(ptr: *const u32) -> u64;
    fn mm_raw_cas_u32(ptr: *mut u32, old: u32, new: u32) -> u64;
    static mm_raw_copy_at: u8;
    static mm_raw_copy_end: u8;
    static mm_raw_load_u32_at: u8;
    static mm_raw_cas_u32_at: u8;
    static mm_raw_word_failed: u8;
}

/// The result of a word routine whose access faulted.
const WORD_FAILED: u64 = 1 << 32;

/// Where a thread that faulted at `rip` goes on, if it faulted in one of the routines.
fn fixup(rip: usize) -> Option<usize> {
    let table = [
        (&raw const mm_raw_copy_at, &raw const mm_raw_copy_end),
        (&raw const mm_raw_load_u32_at, &raw const mm_raw_word_failed),
        (&raw const mm_raw_cas_u32_at, &raw const mm_raw_word_failed),
    ];
    table.iter().find(|(at, _)| at.addr() == rip).map(|(_, to)| to.addr())
}

extern "C" fn on_fault(
    signal: libc::c_int,
    _info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a handler installed with SA_SIGINFO a valid `ucontext_t`, which is
    // this handler's alone until it returns.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let rip = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if let Some(to) = fixup(*rip as usize) {
        *rip = to as i64;
        return;
    }
    // Not ours: the instruction runs again, faults again, and the default action ends the process
    // with the right signal and core. (Should the seccomp filter refuse this call, that ends it.)
    // SAFETY: an all-zero sigaction is valid: SIG_DFL, no flags, empty mask. sigaction is
    // async-signal-safe.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &default, std::ptr::null_mut());
    }
}

/// Installs the handler for SIGBUS and SIGSEGV that makes copies from and to guest memory fault
/// tolerant. Idempotent; call once at boot, before system calls are restricted. No thread that
/// uses the memory file may block the two signals.
pub fn install_fault_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [libc::SIGBUS, libc::SIGSEGV] {
            // SAFETY: the structure is zeroed, hence valid, before its fields are set; `on_fault`
            // has the signature that SA_SIGINFO asks for, and calls nothing but
            // async-signal-safe functions. SA_ONSTACK is harmless where no stack was set.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_fault as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
    });
}

/// The memory file, mapped whole, MAP_SHARED. Offsets are checked against its length here.
pub(crate) struct Mapping {
    base: *mut u8,
    len: u64,
}

// SAFETY: `base` is only an address, fixed for the life of the value. What is behind it is shared
// with other processes anyway and is only touched by the routines above, which tolerate any
// concurrent change because nothing is derived from reading a byte twice.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of the file, reserving address space only.
    pub fn new(fd: BorrowedFd<'_>, len: u64) -> io::Result<Mapping> {
        install_fault_handler();
        let size = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at a place the kernel chooses: no memory in use changes. The
        // result is checked.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: advice about the mapping just made; guest memory must not end in our core dumps.
        unsafe { libc::madvise(base, size, libc::MADV_DONTDUMP) };
        Ok(Mapping { base: base.cast(), len })
    }

    /// Bytes mapped.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The address of `len` bytes at `offset`; None outside the mapping.
    fn at(&self, offset: u64, len: u64) -> Option<*mut u8> {
        let end = offset.checked_add(len)?;
        (end <= self.len).then(|| self.base.wrapping_add(offset as usize))
    }

    /// Copies out; false if a page could not be had (part of `buf` is written then) or the range
    /// is outside.
    #[must_use]
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> bool {
        let Some(src) = self.at(offset, buf.len() as u64) else { return false };
        // SAFETY: `src` has `buf.len()` bytes inside our mapping, which is never unmapped while
        // `self` lives; a page that cannot be had is handled by the fixup. `dst` is ours, and no
        // reference to the source exists.
        unsafe { mm_raw_copy(buf.as_mut_ptr(), src, buf.len()) == 0 }
    }

    /// Copies in; false as for `read`.
    #[must_use]
    pub fn write(&self, offset: u64, buf: &[u8]) -> bool {
        let Some(dst) = self.at(offset, buf.len() as u64) else { return false };
        // SAFETY: as in `read`, with the roles exchanged.
        unsafe { mm_raw_copy(dst, buf.as_ptr(), buf.len()) == 0 }
    }

    /// Writes `len` bytes at `from` to offset `to` of the file `fd` by pwrite(2), which costs no
    /// page fault at the destination. Bytes written.
    pub fn write_to(&self, from: u64, len: u64, fd: BorrowedFd<'_>, to: u64) -> io::Result<u64> {
        let Some(src) = self.at(from, len) else { return Err(io::ErrorKind::InvalidInput.into()) };
        // SAFETY: the kernel reads `len` bytes inside our mapping and gives EFAULT for a page that
        // cannot be had.
        let n = unsafe { libc::pwrite(fd.as_raw_fd(), src.cast(), len as usize, to as i64) };
        u64::try_from(n).map_err(|_| io::Error::last_os_error())
    }

    /// Loads the naturally aligned word at `offset`.
    pub fn load_u32(&self, offset: u64) -> Option<u32> {
        let ptr = self.word(offset)?;
        // SAFETY: `ptr` is aligned and inside our mapping; a fault is handled by the fixup. An
        // aligned load is atomic on this machine, and ordered (acquire) by its memory model.
        let value = unsafe { mm_raw_load_u32(ptr) };
        (value != WORD_FAILED).then_some(value as u32)
    }

    /// `lock cmpxchg` on the naturally aligned word at `offset`: the value found, which is `old`
    /// if and only if `new` was stored.
    pub fn compare_exchange_u32(&self, offset: u64, old: u32, new: u32) -> Option<u32> {
        let ptr = self.word(offset)?;
        // SAFETY: as in `load_u32`.
        let value = unsafe { mm_raw_cas_u32(ptr, old, new) };
        (value != WORD_FAILED).then_some(value as u32)
    }

    fn word(&self, offset: u64) -> Option<*mut u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        self.at(offset, 4).map(|ptr| ptr.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped, and no pointer into it outlives `self`.
        unsafe { libc::munmap(self.base.cast(), self.len as usize) };
    }
}
