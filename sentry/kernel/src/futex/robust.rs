//! What an exiting thread does about futexes: its robust list
//! (Documentation/locking/robust-futexes.rst), and the PI futexes that it owns.

use super::{OWNER_DIED, ROBUST_LIST_LIMIT, TID_MASK, WAITERS, check_address};
use crate::task::Task;
use abi::{SysResult, UserAddr};
use mm::MemoryManager;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Task {
    /// The robust futexes that the thread holds are marked and their waiters woken; its PI futexes
    /// go to who waits for them. For exit (`ends`) and exec.
    pub(crate) fn release_futexes(self: &Arc<Task>, ends: bool) {
        let head = self.robust_list.swap(0, Ordering::Relaxed);
        if head != 0 {
            // The list is the guest's: whatever is wrong with it is its own problem.
            let _ = self.walk_robust_list(UserAddr(head));
        }
        // After the list: a word that says so by now is handed over as its owner left it.
        self.kernel().futexes.pi.owner_leaves(self, ends);
    }

    fn walk_robust_list(self: &Arc<Task>, head: UserAddr) -> SysResult<()> {
        let mm = self.mm();
        let [first, offset, pending]: [u64; 3] = mm.read(head)?;
        let mut entry = first;
        for _ in 0..ROBUST_LIST_LIMIT {
            let (at, is_pi) = (entry & !1, entry & 1 != 0);
            if at == head.0 {
                break;
            }
            // The next first: the memory of this one may go as soon as it is released.
            let next = mm.read::<u64>(UserAddr(at));
            if at != pending & !1 {
                self.release_robust(&mm, UserAddr(at.wrapping_add(offset)), is_pi, false)?;
            }
            entry = next?;
        }
        if pending & !1 != 0 {
            let word = UserAddr((pending & !1).wrapping_add(offset));
            self.release_robust(&mm, word, pending & 1 != 0, true)?;
        }
        Ok(())
    }

    fn release_robust(
        &self,
        mm: &MemoryManager,
        word: UserAddr,
        is_pi: bool,
        is_pending: bool,
    ) -> SysResult<()> {
        check_address(word)?;
        loop {
            let value = mm.load_u32(word)?;
            if is_pending && value == 0 && !is_pi {
                // Died between releasing the lock and waking: wake in its place.
                self.kernel().futexes.wake_at(mm, word);
                return Ok(());
            }
            if value & TID_MASK != self.tid() as u32 {
                return Ok(());
            }
            let new = value & WAITERS | OWNER_DIED;
            if mm.compare_exchange_u32(word, value, new)?.is_ok() {
                if value & WAITERS != 0 && !is_pi {
                    self.kernel().futexes.wake_at(mm, word);
                }
                return Ok(());
            }
        }
    }
}
