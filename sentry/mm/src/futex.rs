//! Words of user memory for futex(2): atomic access, and what identifies them.

use crate::user::{Mode, Place, READ, WRITE};
use crate::*;
use abi::{Errno, SysResult, UserAddr};

/// How often an update is tried again while the guest changes the word all the time.
const TRIES: usize = 128;

impl MemoryManager {
    /// Reads an aligned word, atomically. EINVAL if not aligned; EFAULT.
    pub fn load_u32(&self, addr: UserAddr) -> SysResult<u32> {
        self.word(addr, READ, |place| match place {
            Place::Memory { offset, .. } => self.memory.load_u32(*offset),
            Place::Zero { .. } => Ok(0),
            Place::File { mappable, offset, .. } => load_file(*mappable, *offset),
        })
    }

    /// Stores `new` in an aligned word if it is `old`: `Ok(old)`, or `Err` of what it is instead.
    /// A real atomic operation on guest memory. EINVAL if not aligned; EFAULT.
    pub fn compare_exchange_u32(
        &self,
        addr: UserAddr,
        old: u32,
        new: u32,
    ) -> SysResult<Result<u32, u32>> {
        self.word(addr, WRITE, |place| match place {
            Place::Memory { offset, .. } => self.memory.compare_exchange_u32(*offset, old, new),
            Place::Zero { .. } => Err(Errno::EFAULT),
            // A shared page of a host file, which we do not map: atomic only towards ourselves.
            Place::File { mappable, offset, .. } => {
                let found = load_file(*mappable, *offset)?;
                if found != old {
                    return Ok(Err(found));
                }
                mappable.write_at(*offset, &new.to_ne_bytes())?;
                Ok(Ok(old))
            }
        })
    }

    /// FUTEX_WAKE_OP: replaces the word by `f` of it, atomically; returns the old value. EAGAIN if
    /// the guest never leaves it alone.
    pub fn fetch_update_u32(
        &self,
        addr: UserAddr,
        mut f: impl FnMut(u32) -> u32,
    ) -> SysResult<u32> {
        let mut found = self.load_u32(addr)?;
        for _ in 0..TRIES {
            match self.compare_exchange_u32(addr, found, f(found))? {
                Ok(old) => return Ok(old),
                Err(now) => found = now,
            }
        }
        Err(Errno::EAGAIN)
    }

    fn word<T>(
        &self,
        addr: UserAddr,
        mode: Mode,
        mut f: impl FnMut(&Place<'_>) -> SysResult<T>,
    ) -> SysResult<T> {
        if !addr.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let mut result = Err(Errno::EFAULT);
        self.access(addr, 4, mode, |place, part| {
            // An aligned word never crosses a page, so it comes whole.
            result = f(place).map_err(|_| Errno::EFAULT);
            if result.is_ok() { part.len() } else { 0 }
        });
        result
    }

    /// What identifies the futex at `addr`. `private`: FUTEX_PRIVATE_FLAG. Words in shared
    /// mappings have the same key wherever they are mapped; in private memory the flag makes no
    /// difference. EINVAL if not aligned; EFAULT.
    pub fn futex_key(&self, addr: UserAddr, private: bool) -> SysResult<FutexKey> {
        if !addr.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if addr.0 >= platform::GUEST_ADDRESS_END {
            return Err(Errno::EFAULT);
        }
        let own = FutexKey::Private { mm: self.id(), addr: addr.0 };
        if private {
            return Ok(own);
        }
        let state = self.state.read();
        let (area, vma) = state.vmas.get(addr.0).ok_or(Errno::EFAULT)?;
        if !vma.accessible() {
            return Err(Errno::EFAULT);
        }
        match vma.file.as_ref().filter(|_| vma.shared()) {
            Some(file) => Ok(FutexKey::Shared {
                dev: file.dev,
                ino: file.ino,
                offset: vma.advance_offset(addr.0 - area.start),
            }),
            None => Ok(own),
        }
    }
}

fn load_file(mappable: &dyn Mappable, offset: u64) -> SysResult<u32> {
    if offset >= state::page_up(mappable.size()).unwrap_or(u64::MAX) {
        return Err(Errno::EFAULT);
    }
    let mut word = [0; 4];
    mappable.read_at(offset, &mut word)?;
    Ok(u32::from_ne_bytes(word))
}
