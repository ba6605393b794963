//! fork(2).

use crate::batch::Batch;
use crate::state::LAZY;
use crate::vma::VmaFlags;
use crate::*;
use abi::SysResult;
use std::sync::Arc;

impl MemoryManager {
    /// A copy of the address space. Private memory is shared until one side writes it. Areas with
    /// MADV_DONTFORK are left out, those with MADV_WIPEONFORK are empty; locks are not inherited.
    pub fn fork(&self) -> SysResult<Arc<MemoryManager>> {
        let child = MemoryManager::new(self.platform(), &self.memory)?;
        // Dropped after both locks, and by that freed, should anything fail.
        let result = self.change(|parent, parent_batch| {
            let mut batch = Batch::default();
            let mut state = child.state.write();
            state.limits = parent.limits;
            state.layout = parent.layout;
            state.brk = parent.brk;
            state.mmap_base = parent.mmap_base;
            let areas: Vec<_> =
                parent.vmas.iter().map(|(range, vma)| (range, vma.clone())).collect();
            for (area, vma) in areas {
                if vma.flags.contains(VmaFlags::DONT_FORK) {
                    continue;
                }
                let mut copy = vma.clone();
                copy.flags -= VmaFlags::LOCKED;
                state.add_vma(area.clone(), copy);
                if vma.flags.contains(VmaFlags::WIPE_ON_FORK) {
                    if vma.accessible() && area.end - area.start <= LAZY {
                        state.fill(area, &vma, &mut batch)?;
                    }
                    continue;
                }
                for (range, mut pma) in parent.pmas.pieces(area) {
                    if let Some(memory) = pma.owned(&range) {
                        self.memory.inc_ref(memory);
                        let before = pma.host_prot(&vma);
                        pma.cow = true;
                        if pma.host_prot(&vma) != before {
                            parent_batch.protect(range.clone(), pma.host_prot(&vma));
                        }
                        parent.pmas.update(range.clone(), |_, pma| pma.cow = true);
                    }
                    state.put_pma(range, &vma, pma, &mut batch);
                }
            }
            // The parent first: from here on nothing is written to what both have.
            let protected = self.apply(parent, parent_batch);
            let mapped = child.apply(&mut state, &mut batch);
            protected.and(mapped)
        });
        result.map(|()| child)
    }
}
