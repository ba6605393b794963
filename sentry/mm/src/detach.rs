//! What System V shared memory asks of an address space: which areas map a file, and shmdt(2).

use crate::*;
use abi::{Errno, SysResult, UserAddr};
use platform::GUEST_ADDRESS_END;
use std::ops::Range;

impl MemoryManager {
    /// How many areas map the file with this set.
    pub(crate) fn count_areas(&self, set: &MappingSet) -> usize {
        let state = self.state.read();
        let maps_it = |file: &MappedFile| std::ptr::eq(file.mappable.mappings(), set);
        state.vmas.iter().filter(|(_, vma)| vma.file.as_deref().is_some_and(maps_it)).count()
    }

    /// shmdt(2): unmaps the first file of the device `dev` that was mapped as a whole at `addr`, as
    /// far as it is still there. Returns its inode number. EINVAL where there is none.
    pub fn detach(&self, addr: UserAddr, dev: u64) -> SysResult<u64> {
        self.change(|state, batch| {
            let areas = || state.vmas.overlapping(addr.0..GUEST_ADDRESS_END.max(addr.0));
            let part = |area: &Range<u64>, vma: &vma::Vma| {
                let file = vma.file.as_ref().filter(|file| file.dev == dev)?;
                // Its offset says that the file begins at `addr`.
                (area.start.checked_sub(addr.0)? == vma.offset).then(|| file.clone())
            };
            let first = areas().find_map(|(area, vma)| part(&area, vma)).ok_or(Errno::EINVAL)?;
            let (ino, size) = (first.ino, first.mappable.size());
            let found: Vec<Range<u64>> = areas()
                .take_while(|(area, _)| area.start.saturating_sub(addr.0) < size)
                .filter(|(area, vma)| part(area, vma).is_some_and(|file| file.ino == ino))
                .map(|(area, _)| area)
                .collect();
            for area in found {
                state.unmap(area, batch);
            }
            Ok(ino)
        })
    }
}
