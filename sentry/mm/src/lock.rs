//! mlock(2) and its family: limits and state are kept; guest memory is never swapped by us anyway.

use crate::state::{State, advice_range};
use crate::vma::VmaFlags;
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use std::ops::Range;

impl MemoryManager {
    /// mlock(2), and mlock2 with any flags. EPERM without any RLIMIT_MEMLOCK.
    pub fn mlock(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        self.lock_range(addr, len, true)
    }

    /// munlock(2).
    pub fn munlock(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        self.lock_range(addr, len, false)
    }

    fn lock_range(&self, addr: UserAddr, len: u64, lock: bool) -> SysResult<()> {
        // Here Linux rounds instead of refusing an address that is not aligned.
        let start = state::page_down(addr.0);
        let len = len.checked_add(addr.0 - start).ok_or(Errno::EINVAL)?;
        let range = advice_range(start, len, Errno::EINVAL)?;
        self.change(|state, _| {
            if lock {
                if state.limits.memlock == 0 {
                    return Err(Errno::EPERM);
                }
                let already: u64 = locked_parts(state, range.clone());
                let more = (range.end - range.start).saturating_sub(already);
                if state.locked.saturating_add(more) > state.limits.memlock {
                    return Err(Errno::ENOMEM);
                }
            }
            if range.is_empty() {
                return Ok(());
            }
            state.check_split(&range)?;
            state.set_locked(range.clone(), lock);
            if state.covered(range) { Ok(()) } else { Err(Errno::ENOMEM) }
        })
    }

    /// mlockall(2).
    pub fn mlockall(&self, flags: i32) -> SysResult<()> {
        let all = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
        if flags == 0 || flags & !all != 0 || flags == libc::MCL_ONFAULT {
            return Err(Errno::EINVAL);
        }
        self.change(|state, _| {
            if state.limits.memlock == 0 {
                return Err(Errno::EPERM);
            }
            if flags & libc::MCL_CURRENT != 0 {
                if state.total > state.limits.memlock {
                    return Err(Errno::ENOMEM);
                }
                state.set_locked(0..u64::MAX, true);
            }
            state.lock_future = flags & libc::MCL_FUTURE != 0;
            Ok(())
        })
    }

    /// munlockall(2).
    pub fn munlockall(&self) {
        let mut state = self.state.write();
        state.lock_future = false;
        state.set_locked(0..u64::MAX, false);
    }
}

fn locked_parts(state: &State, range: Range<u64>) -> u64 {
    let parts = state.vmas.pieces(range);
    let locked = parts.iter().filter(|(_, vma)| vma.flags.contains(VmaFlags::LOCKED));
    locked.map(|(range, _)| range.end - range.start).sum()
}

impl State {
    fn set_locked(&mut self, range: Range<u64>, lock: bool) {
        self.locked -= locked_parts(self, range.clone());
        self.vmas.update(range.clone(), |_, vma| vma.flags.set(VmaFlags::LOCKED, lock));
        self.locked += locked_parts(self, range);
    }
}
