//! Mappings which a case makes for itself, and accesses that may fault.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use crate::sys;

use super::{Delivery, SysResult, fork, handle};

/// The page size of x86_64.
pub const PAGE: usize = 4096;

/// Reads one byte at `address`; faults (SIGSEGV, SIGBUS) if the address space says so.
pub fn load8(address: usize) -> u8 {
    // SAFETY: the address is in a mapping which the case made, or the fault is what it tests; a
    // volatile byte access has no alignment or validity requirement.
    unsafe { std::ptr::with_exposed_provenance::<u8>(address).read_volatile() }
}

/// Writes one byte at `address`; faults as [`load8`] does.
pub fn store8(address: usize, value: u8) {
    // SAFETY: as for `load8`; the byte belongs to a mapping which the case made, so no Rust object
    // lives there.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(value) }
}

/// A mapping made by the case. Not unmapped on drop: cases cut holes into their mappings, and the
/// process is short.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First address.
    pub base: usize,
    /// Length in bytes.
    pub len: usize,
}

impl Region {
    /// `mmap` with all its arguments.
    pub fn map(
        address: usize,
        len: usize,
        prot: i32,
        flags: i32,
        fd: i32,
        offset: i64,
    ) -> SysResult<Region> {
        let base = sys!(SYS_mmap, address, len, prot, flags, fd, offset)?;
        Ok(Region { base, len })
    }

    /// Private anonymous memory, readable and writable.
    pub fn private(len: usize) -> SysResult<Region> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        Region::map(0, len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    }

    /// Shared anonymous memory: children forked later see the same bytes.
    pub fn shared(len: usize) -> SysResult<Region> {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        Region::map(0, len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    }

    /// Reads the byte at `offset`.
    pub fn get(&self, offset: usize) -> u8 {
        load8(self.base + offset)
    }

    /// Writes the byte at `offset`.
    pub fn set(&self, offset: usize, value: u8) {
        store8(self.base + offset, value);
    }

    /// The word at `offset`, shared with other threads and processes.
    pub fn word(&self, offset: usize) -> &'static AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.len, "word outside the region");
        // SAFETY: aligned and inside the mapping; the mapping stays until the process ends unless
        // the case unmaps it, and such cases do not use the word afterwards.
        unsafe { &*std::ptr::with_exposed_provenance::<AtomicU32>(self.base + offset) }
    }

    /// The 64-bit word at `offset`.
    pub fn word64(&self, offset: usize) -> &'static AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "word outside the region");
        // SAFETY: as for `word`.
        unsafe { &*std::ptr::with_exposed_provenance::<AtomicU64>(self.base + offset) }
    }

    /// The byte after the last one.
    pub fn end(&self) -> usize {
        self.base + self.len
    }
}

/// How an access faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// SIGSEGV or SIGBUS.
    pub signal: i32,
    /// `si_code`, e.g. SEGV_MAPERR.
    pub code: i32,
    /// `si_addr`.
    pub address: usize,
}

static REPORT: AtomicI32 = AtomicI32::new(-1);

/// Three words: signal, code, address.
fn report_fault(delivery: &Delivery) {
    let words = [delivery.signal as i64, i64::from(delivery.code), delivery.address as i64];
    let _ = sys!(SYS_write, REPORT.load(Ordering::SeqCst), &words, 24);
    let _ = sys!(SYS_exit_group, 77);
}

/// Runs `access` in a child process and says how it faulted, if it did.
///
/// The report comes through a pipe: a new mapping could land just where the case made its hole.
pub fn fault_of(access: impl FnOnce()) -> SysResult<Option<Fault>> {
    let mut pipe = [0i32; 2];
    sys!(SYS_pipe2, &mut pipe, 0)?;
    REPORT.store(pipe[1], Ordering::SeqCst);
    let pid = fork(|| {
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            if handle(signal, libc::SA_SIGINFO, report_fault).is_err() {
                return 1;
            }
        }
        access();
        0
    })?;
    sys!(SYS_close, pipe[1])?;
    let mut words = [0i64; 3];
    sys!(SYS_read, pipe[0], &mut words, 24)?;
    sys!(SYS_close, pipe[0])?;
    let mut status = 0i32;
    sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    if status == 0 {
        return Ok(None);
    }
    Ok(Some(Fault {
        // A child killed outright is told apart by a negative number.
        signal: if words[0] == 0 { -(status & 0x7f) } else { words[0] as i32 },
        code: words[1] as i32,
        address: words[2] as usize,
    }))
}

/// How a read of the byte at `address` faults, if it does.
pub fn fault_of_read(address: usize) -> SysResult<Option<Fault>> {
    fault_of(|| {
        load8(address);
    })
}
