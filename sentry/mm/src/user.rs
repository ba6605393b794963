//! The kernel's access to user memory: copies, never references.

use crate::batch::Batch;
use crate::state::{State, page_up};
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use pma::Source;
use std::ops::Range;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Which access, and whether protections count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    pub write: bool,
    /// ptrace(2): any page of the process may be read, and written if it is private.
    pub force: bool,
}

pub(crate) const READ: Mode = Mode { write: false, force: false };
pub(crate) const WRITE: Mode = Mode { write: true, force: false };

/// Where some bytes of user memory are.
pub(crate) enum Place<'a> {
    /// In the memory file.
    Memory { offset: u64, len: u64 },
    /// In a host file.
    File { mappable: &'a dyn Mappable, offset: u64, len: u64 },
    /// Untouched anonymous memory.
    Zero { len: u64 },
}

impl Place<'_> {
    fn len(&self) -> u64 {
        let (Place::Memory { len, .. } | Place::File { len, .. } | Place::Zero { len }) = self;
        *len
    }

    /// Copies out; how many bytes could be.
    fn read(&self, memory: &MemoryFile, buf: &mut [u8]) -> usize {
        match self {
            Place::Memory { offset, .. } => {
                if memory.read(*offset, buf).is_ok() {
                    buf.len()
                } else {
                    0
                }
            }
            Place::Zero { .. } => {
                buf.fill(0);
                buf.len()
            }
            Place::File { mappable, offset, .. } => {
                // Up to the end of the page in which the file ends; the rest of it is zero.
                let end = page_up(mappable.size()).unwrap_or(u64::MAX);
                let can = end.saturating_sub(*offset).min(buf.len() as u64) as usize;
                let mut done = 0;
                while done < can {
                    match mappable.read_at(offset + done as u64, &mut buf[done..can]) {
                        Ok(0) => break,
                        Ok(n) => done += n.min(can - done),
                        Err(_) => return done,
                    }
                }
                buf[done..can].fill(0);
                can
            }
        }
    }

    fn write(&self, memory: &MemoryFile, buf: &[u8]) -> usize {
        match self {
            Place::Memory { offset, .. } => {
                if memory.write(*offset, buf).is_ok() {
                    buf.len()
                } else {
                    0
                }
            }
            Place::Zero { .. } => 0,
            Place::File { mappable, offset, .. } => {
                let size = mappable.size();
                let end = page_up(size).unwrap_or(u64::MAX);
                let can = end.saturating_sub(*offset).min(buf.len() as u64) as usize;
                // What lies behind the end of the file is lost, as in a page.
                let keep = size.saturating_sub(*offset).min(can as u64) as usize;
                let mut done = 0;
                while done < keep {
                    match mappable.write_at(offset + done as u64, &buf[done..keep]) {
                        Ok(n) if n > 0 => done += n.min(keep - done),
                        _ => return done,
                    }
                }
                can
            }
        }
    }
}

/// How far a walk came.
#[derive(PartialEq, Eq)]
enum Stop {
    Done,
    /// The next page may be accessible after a fault.
    Missing,
    Failed,
}

impl State {
    /// Where the bytes from `addr` are, if they can be accessed now. Err: the page is missing.
    fn locate(&self, addr: u64, mode: Mode) -> Result<Place<'_>, Stop> {
        let (area, vma) = self.vmas.get(addr).ok_or(Stop::Missing)?;
        let allowed = match mode {
            Mode { write: true, force } => vma.prot.contains(Prot::WRITE) || force && !vma.shared(),
            Mode { write: false, force } => vma.accessible() || force,
        };
        if !allowed {
            return Err(Stop::Failed);
        }
        let Some((range, pma)) = self.pmas.get(addr) else {
            if !vma.anonymous() || mode.write {
                return Err(Stop::Missing);
            }
            let end = self.pmas.from(addr).map_or(area.end, |(next, _)| next.start.min(area.end));
            return Ok(Place::Zero { len: end - addr });
        };
        if mode.write && pma.needs_copy(vma) {
            return Err(Stop::Missing);
        }
        let len = range.end.min(area.end) - addr;
        match (&pma.source, &vma.file) {
            (Source::Host(_), Some(file)) => Ok(Place::File {
                mappable: &*file.mappable,
                offset: vma.advance_offset(addr - area.start),
                len,
            }),
            _ => Ok(Place::Memory { offset: pma.offset_of(&range, addr), len }),
        }
    }

    /// Calls `step` for each place of the `len` bytes at `addr`, from `done` on. `step` returns
    /// how many bytes it did.
    fn walk(
        &self,
        addr: u64,
        len: usize,
        mode: Mode,
        done: &mut usize,
        step: &mut impl FnMut(&Place<'_>, Range<usize>) -> usize,
    ) -> Stop {
        while *done < len {
            let Some(at) = addr.checked_add(*done as u64) else { return Stop::Failed };
            let place = match self.locate(at, mode) {
                Ok(place) => place,
                Err(stop) => return stop,
            };
            let part = *done..*done + place.len().min((len - *done) as u64) as usize;
            let n = step(&place, part.clone());
            *done += n;
            if n < part.len() {
                return Stop::Failed;
            }
        }
        Stop::Done
    }
}

impl MemoryManager {
    /// Walks user memory, resolving faults on the way. Returns the bytes done.
    pub(crate) fn access(
        &self,
        addr: UserAddr,
        len: usize,
        mode: Mode,
        mut step: impl FnMut(&Place<'_>, Range<usize>) -> usize,
    ) -> usize {
        let mut done = 0;
        // Mostly everything is there; several threads may do this at once.
        match self.state.read().walk(addr.0, len, mode, &mut done, &mut step) {
            Stop::Missing => {}
            Stop::Done | Stop::Failed => return done,
        }
        let mut batch = Batch::default();
        {
            let mut state = self.state.write();
            while state.walk(addr.0, len, mode, &mut done, &mut step) == Stop::Missing {
                let Some(at) = addr.0.checked_add(done as u64) else { break };
                let access = if mode.write { Access::Write } else { Access::Read };
                let resolved = state.resolve(at, access, mode.force, &mut batch);
                let applied = self.apply(&mut state, &mut batch);
                if resolved != Ok(true) || applied.is_err() {
                    break;
                }
            }
        }
        batch.finish(&self.memory);
        done
    }

    /// Reads `buf.len()` bytes. EFAULT.
    pub fn read_bytes(&self, addr: UserAddr, buf: &mut [u8]) -> SysResult<()> {
        let n = self.copy_in(addr, buf, READ);
        if n == buf.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Writes all of `buf`. EFAULT; a part may be written then.
    pub fn write_bytes(&self, addr: UserAddr, buf: &[u8]) -> SysResult<()> {
        let n = self.copy_out(addr, buf, WRITE);
        if n == buf.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Reads as much as there is: the bytes before the first fault. EFAULT if none.
    pub fn read_partial(&self, addr: UserAddr, buf: &mut [u8]) -> SysResult<usize> {
        partial(self.copy_in(addr, buf, READ), buf.len())
    }

    /// Writes as much as is possible: the bytes before the first fault. EFAULT if none.
    pub fn write_partial(&self, addr: UserAddr, buf: &[u8]) -> SysResult<usize> {
        partial(self.copy_out(addr, buf, WRITE), buf.len())
    }

    /// For ptrace(2) and /proc/PID/mem: as `read_partial`, whatever the protection.
    pub fn read_forced(&self, addr: UserAddr, buf: &mut [u8]) -> SysResult<usize> {
        partial(self.copy_in(addr, buf, Mode { force: true, ..READ }), buf.len())
    }

    /// The same for writing: a private page that is not writable is copied, a shared one is
    /// refused.
    pub fn write_forced(&self, addr: UserAddr, buf: &[u8]) -> SysResult<usize> {
        partial(self.copy_out(addr, buf, Mode { force: true, ..WRITE }), buf.len())
    }

    fn copy_in(&self, addr: UserAddr, buf: &mut [u8], mode: Mode) -> usize {
        let len = buf.len();
        self.access(addr, len, mode, |place, part| place.read(&self.memory, &mut buf[part]))
    }

    fn copy_out(&self, addr: UserAddr, buf: &[u8], mode: Mode) -> usize {
        self.access(addr, buf.len(), mode, |place, part| place.write(&self.memory, &buf[part]))
    }

    /// Writes `len` zero bytes. EFAULT.
    pub fn zero_bytes(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut done = 0;
        while done < len {
            let n = (len - done).min(ZEROS.len() as u64);
            let at = addr.checked_add(done).ok_or(Errno::EFAULT)?;
            self.write_bytes(at, &ZEROS[..n as usize])?;
            done += n;
        }
        Ok(())
    }

    /// Reads one value, once. EFAULT.
    pub fn read<T: FromBytes>(&self, addr: UserAddr) -> SysResult<T> {
        // On the stack where it is small, as nearly always.
        let mut small = [0; 256];
        let mut large = Vec::new();
        let buf = match small.get_mut(..size_of::<T>()) {
            Some(buf) => buf,
            None => {
                large.resize(size_of::<T>(), 0);
                &mut large[..]
            }
        };
        self.read_bytes(addr, buf)?;
        T::read_from_bytes(buf).map_err(|_| Errno::EFAULT)
    }

    /// Writes one value. EFAULT.
    pub fn write<T: IntoBytes + Immutable + ?Sized>(
        &self,
        addr: UserAddr,
        value: &T,
    ) -> SysResult<()> {
        self.write_bytes(addr, value.as_bytes())
    }

    /// Reads `count` values. EINVAL if there are more than `max`; EFAULT.
    pub fn read_array<T: FromBytes>(
        &self,
        addr: UserAddr,
        count: u64,
        max: usize,
    ) -> SysResult<Vec<T>> {
        let count = usize::try_from(count).ok().filter(|&count| count <= max);
        let bytes = count.and_then(|count| count.checked_mul(size_of::<T>()));
        let mut buf = vec![0; bytes.ok_or(Errno::EINVAL)?];
        self.read_bytes(addr, &mut buf)?;
        if size_of::<T>() == 0 {
            return Ok(Vec::new());
        }
        buf.chunks_exact(size_of::<T>())
            .map(|chunk| T::read_from_bytes(chunk).map_err(|_| Errno::EFAULT))
            .collect()
    }

    /// Reads a string, without its NUL. ENAMETOOLONG if there is none in the first `max_len`
    /// bytes; EFAULT if memory ends before.
    pub fn read_cstr(&self, addr: UserAddr, max_len: usize) -> SysResult<Vec<u8>> {
        let mut string = Vec::new();
        let mut buf = [0; 256];
        while string.len() < max_len {
            let at = addr.checked_add(string.len() as u64).ok_or(Errno::EFAULT)?;
            let want = buf.len().min(max_len - string.len());
            let n = self.copy_in(at, &mut buf[..want], READ);
            if let Some(end) = buf[..n].iter().position(|&byte| byte == 0) {
                string.extend_from_slice(&buf[..end]);
                return Ok(string);
            }
            if n < want {
                return Err(Errno::EFAULT);
            }
            string.extend_from_slice(&buf[..n]);
        }
        Err(Errno::ENAMETOOLONG)
    }
}

fn partial(done: usize, wanted: usize) -> SysResult<usize> {
    if done == 0 && wanted > 0 { Err(Errno::EFAULT) } else { Ok(done) }
}
