//! What /proc/PID says about an address space.

use crate::pma::Source;
use crate::state::State;
use crate::vma::{Vma, VmaFlags};
use crate::*;
use std::ops::Range;

/// How many extents of the memory file are asked for at most; beyond that pages count as resident.
const MAX_EXTENTS: usize = 4096;

impl MemoryManager {
    /// The areas, ascending.
    pub fn maps(&self) -> Vec<MapEntry> {
        let state = self.state.read();
        state.vmas.iter().map(|(range, vma)| state.entry(range, vma)).collect()
    }

    /// Sums over the areas. Goes through all of them, and asks the host for residency.
    pub fn usage(&self) -> Usage {
        let state = self.state.read();
        let mut usage =
            Usage { virtual_bytes: state.total, locked: state.locked, ..Usage::default() };
        for (range, vma) in state.vmas.iter() {
            let len = range.end - range.start;
            if vma.flags.contains(VmaFlags::GROWS_DOWN) {
                usage.stack += len;
            } else if vma.is_data() {
                usage.data += len;
            } else if vma.prot.contains(Prot::EXEC) {
                usage.text += len;
            }
        }
        let mut extents = 0;
        for (range, pma) in state.pmas.iter() {
            let len = range.end - range.start;
            let resident = if matches!(pma.source, Source::Host(_)) || extents >= MAX_EXTENTS {
                len
            } else {
                let data = self.memory.data(pma.offset..pma.offset + len);
                extents += 1;
                data.inspect(|_| extents += 1).map(|data| data.end - data.start).sum()
            };
            usage.resident_bytes += resident;
            if !pma.is_private() {
                usage.shared += resident;
            }
        }
        usage
    }
}

impl State {
    fn entry(&self, range: Range<u64>, vma: &Vma) -> MapEntry {
        let file = vma.file.as_deref();
        let mapped = self.pmas.pieces(range.clone());
        MapEntry {
            start: range.start,
            end: range.end,
            prot: vma.prot,
            shared: vma.shared(),
            offset: vma.offset,
            dev: file.map_or(0, |file| file.dev),
            ino: file.map_or(0, |file| file.ino),
            name: self.name(&range, vma),
            mapped_bytes: mapped.iter().map(|(range, _)| range.end - range.start).sum(),
            locked: vma.flags.contains(VmaFlags::LOCKED),
            grows_down: vma.flags.contains(VmaFlags::GROWS_DOWN),
            dont_fork: vma.flags.contains(VmaFlags::DONT_FORK),
            wipe_on_fork: vma.flags.contains(VmaFlags::WIPE_ON_FORK),
            dont_dump: vma.flags.contains(VmaFlags::DONT_DUMP),
        }
    }

    fn name(&self, range: &Range<u64>, vma: &Vma) -> Vec<u8> {
        let layout = &self.layout;
        match (&vma.file, &vma.name) {
            (Some(file), _) => file.name.to_vec(),
            (None, Some(name)) => [b"[anon:", &name[..], b"]"].concat(),
            _ if range.start < self.brk && range.end > layout.start_brk => b"[heap]".to_vec(),
            _ if range.start <= layout.start_stack && range.end >= layout.start_stack => {
                b"[stack]".to_vec()
            }
            _ => Vec::new(),
        }
    }
}
