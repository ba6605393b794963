//! The bytes of a regular file: sparse, in extents of the memory file.

use super::extent::{Extent, extent_at};
use super::super_block::SuperBlock;
use abi::{Errno, PAGE_SIZE, SysResult};
use mm::FileRange;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The largest size of a file (MAX_LFS_FILESIZE).
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

/// Zeroes for partial pages.
const ZEROES: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];

/// The rest of a truncation: done after mappings of the pages are gone.
#[must_use]
#[derive(Default)]
pub(super) struct Truncated {
    /// Memory of whole extents, to be given back.
    pub freed: Vec<FileRange>,
    /// Pages of extents that stay, to be made zero.
    pub zeroed: Vec<FileRange>,
}

/// The contents of one file.
pub(super) struct Data {
    limits: Arc<SuperBlock>,
    size: u64,
    /// By first offset.
    extents: BTreeMap<u64, Extent>,
    /// Pages counted against the size limit.
    charged: u64,
    /// Some page was mapped writable, so bytes beyond the end may not be zero.
    exposed: bool,
}

impl Data {
    pub fn new(limits: Arc<SuperBlock>) -> Data {
        Data { limits, size: 0, extents: BTreeMap::new(), charged: 0, exposed: false }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pages that `st_blocks` counts.
    pub fn pages(&self) -> u64 {
        self.charged
    }

    /// Reads at `offset`; less than asked at the end.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        let available = self.size.saturating_sub(offset);
        let count = buf.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        let mut rest = &mut buf[..count];
        let mut at = offset;
        while !rest.is_empty() {
            let (has_data, end) = self.run(at, at + rest.len() as u64);
            let (piece, next) = rest.split_at_mut((end - at) as usize);
            match has_data {
                Some(memory) => self.limits.memory.read(memory, piece)?,
                None => piece.fill(0),
            }
            rest = next;
            at = end;
        }
        Ok(count)
    }

    /// From `at`, the longest run (ending at `limit` or before) within one extent that is all data
    /// or all hole: where it lies in the memory file if data, and its end.
    fn run(&self, at: u64, limit: u64) -> (Option<u64>, u64) {
        let place = extent_at(at);
        let limit = limit.min(place.end);
        let Some(extent) = self.extents.get(&place.start) else { return (None, limit) };
        let has_data = |offset: u64| extent.data.contains(page_of(offset, &place));
        let data = has_data(at);
        let mut end = next_page(at);
        while end < limit && has_data(end) == data {
            end += PAGE_SIZE;
        }
        (data.then(|| extent.memory.start + (at - place.start)), end.min(limit))
    }

    /// Writes, growing the file. Less than asked (but not nothing) where the limit is reached in
    /// between. The caller has checked the offsets against [`MAX_SIZE`].
    pub fn write(&mut self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.clear_tail(offset)?;
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let place = extent_at(at);
            let end = place.end.min(offset + buf.len() as u64);
            let granted = match self.reserve(at..end) {
                Ok(granted) => granted,
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            };
            let Some(extent) = self.extents.get(&place.start) else { break };
            let count = (granted - at) as usize;
            let memory = extent.memory.start + (at - place.start);
            match self.limits.memory.write(memory, &buf[done..done + count]) {
                Ok(()) => done += count,
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
            if granted < end {
                break;
            }
        }
        self.size = self.size.max(offset + done as u64);
        Ok(done)
    }

    /// Gives a range within one extent pages that are counted and hold data; how far it came
    /// before the limit. ENOSPC where that is nowhere.
    fn reserve(&mut self, range: Range<u64>) -> SysResult<u64> {
        let limits = self.limits.clone();
        let place = extent_at(range.start);
        let extent = self.extent_mut(range.start)?;
        let mut at = range.start;
        let mut charged = 0;
        while at < range.end {
            let page = page_of(at, &place);
            if !extent.charged.contains(page) {
                if limits.charge_pages(1).is_err() {
                    break;
                }
                extent.charged.insert(page);
                charged += 1;
            }
            extent.data.insert(page);
            at = next_page(at);
        }
        self.charged += charged;
        if at == range.start { Err(Errno::ENOSPC) } else { Ok(at.min(range.end)) }
    }

    /// The extent with this offset, made where there is none.
    fn extent_mut(&mut self, offset: u64) -> SysResult<&mut Extent> {
        let place = extent_at(offset);
        match self.extents.entry(place.start) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let memory = self.limits.memory.allocate(place.end - place.start)?;
                Ok(entry.insert(Extent::new(memory)))
            }
        }
    }

    /// Before the file grows to reach `offset`: what a mapping wrote beyond the end is not part of
    /// the file.
    fn clear_tail(&mut self, offset: u64) -> SysResult<()> {
        if !self.exposed || offset <= self.size || self.size.is_multiple_of(PAGE_SIZE) {
            return Ok(());
        }
        self.zero_within_page(self.size..next_page(self.size))
    }

    /// Zeroes a part of one page.
    fn zero_within_page(&self, range: Range<u64>) -> SysResult<()> {
        match self.run(range.start, range.end) {
            (Some(memory), end) => {
                let zeroes = ZEROES.get(..(end - range.start) as usize).unwrap_or(&ZEROES);
                self.limits.memory.write(memory, zeroes)
            }
            (None, _) => Ok(()),
        }
    }

    /// Changes the size.
    pub fn truncate(&mut self, size: u64) -> SysResult<Truncated> {
        self.clear_tail(size)?;
        if size < self.size && !size.is_multiple_of(PAGE_SIZE) {
            self.zero_within_page(size..next_page(size))?;
        }
        self.size = size;
        // Beyond the end there may be pages even so: FALLOC_FL_KEEP_SIZE.
        let mut rest = Truncated::default();
        let first = size.next_multiple_of(PAGE_SIZE);
        if let Some((&start, _)) = self.extents.range(..=first).next_back()
            && start < first
            && first < extent_at(start).end
        {
            rest.zeroed = self.forget(first..extent_at(start).end);
        }
        for (_, extent) in self.extents.split_off(&first) {
            self.charged -= extent.charged.count();
            self.limits.release_pages(extent.charged.count());
            rest.freed.push(extent.memory);
        }
        Ok(rest)
    }

    /// Makes whole pages within one extent count as holes; they still have to be zeroed.
    fn forget(&mut self, range: Range<u64>) -> Vec<FileRange> {
        let place = extent_at(range.start);
        let Some(extent) = self.extents.get_mut(&place.start) else { return Vec::new() };
        let mut released = 0;
        let mut dirty = false;
        for page in page_of(range.start, &place)..page_of(range.end, &place) {
            released += u64::from(extent.charged.remove(page));
            dirty |= extent.data.remove(page);
        }
        self.charged -= released;
        self.limits.release_pages(released);
        let memory = extent.memory.start + (range.start - place.start);
        let len = range.end - range.start;
        if dirty { vec![FileRange { start: memory, len }] } else { Vec::new() }
    }

    /// FALLOC_FL_PUNCH_HOLE: the range reads as zero and costs nothing.
    pub fn punch(&mut self, range: Range<u64>) -> SysResult<()> {
        let first = range.start.next_multiple_of(PAGE_SIZE);
        let last = range.end & !(PAGE_SIZE - 1);
        if range.start < first {
            self.zero_within_page(range.start..first.min(range.end))?;
        }
        if last >= first && last < range.end {
            self.zero_within_page(last..range.end)?;
        }
        if first >= last {
            return Ok(());
        }
        let from = extent_at(first).start;
        let starts: Vec<u64> = self.extents.range(from..last).map(|(start, _)| *start).collect();
        for start in starts {
            let piece = start.max(first)..extent_at(start).end.min(last);
            for memory in self.forget(piece) {
                self.limits.memory.zero(memory)?;
            }
        }
        Ok(())
    }

    /// Gives every page of the range a place. All or nothing: ENOSPC.
    pub fn allocate(&mut self, range: Range<u64>, keep_size: bool) -> SysResult<()> {
        let first = range.start & !(PAGE_SIZE - 1);
        let last = range.end.next_multiple_of(PAGE_SIZE);
        // Before anything is made: the limit bounds how many extents there can be.
        let needed = (last - first) / PAGE_SIZE - self.charged_within(first..last);
        self.limits.charge_pages(needed)?;
        self.limits.release_pages(needed);
        let mut at = first;
        while at < last {
            let end = extent_at(at).end.min(last);
            if self.reserve(at..end)? < end {
                return Err(Errno::ENOSPC);
            }
            at = end;
        }
        if !keep_size && range.end > self.size {
            self.clear_tail(range.end)?;
            self.size = range.end;
        }
        Ok(())
    }

    fn charged_within(&self, range: Range<u64>) -> u64 {
        let from = extent_at(range.start).start;
        let mut count = 0;
        for (&start, extent) in self.extents.range(from..range.end) {
            let place = extent_at(start);
            let piece = start.max(range.start)..place.end.min(range.end);
            let pages = page_of(piece.start, &place)..page_of(piece.end, &place);
            count += pages.filter(|page| extent.charged.contains(*page)).count() as u64;
        }
        count
    }

    /// SEEK_DATA and SEEK_HOLE.
    pub fn seek(&self, offset: u64, hole: bool) -> SysResult<u64> {
        if offset >= self.size {
            return Err(Errno::ENXIO);
        }
        let mut at = offset;
        while at < self.size {
            let (data, end) = self.run(at, self.size);
            if data.is_none() == hole {
                return Ok(at);
            }
            at = end;
            if !hole && !self.extents.contains_key(&extent_at(at).start) {
                // Holes can be huge: go on at the next extent there is.
                match self.extents.range(at..).next() {
                    Some((&start, _)) => at = start,
                    None => break,
                }
            }
        }
        if hole { Ok(self.size) } else { Err(Errno::ENXIO) }
    }

    /// Where `offset` is in the memory file if that is known, for mappings: place and length.
    pub fn translate(&self, offset: u64, len: u64) -> SysResult<Option<(u64, u64)>> {
        let end = self.size.next_multiple_of(PAGE_SIZE);
        if offset >= end {
            return Err(Errno::ENXIO);
        }
        let place = extent_at(offset);
        let Some(extent) = self.extents.get(&place.start) else { return Ok(None) };
        let len = len.min(place.end - offset).min(end - offset);
        Ok(Some((extent.memory.start + (offset - place.start), len)))
    }

    /// The same, making a place. With `write`, the pages will be written to without our hearing of
    /// it: from now on they may hold data. They are not counted against the size limit, or mapping
    /// a large sparse file would exhaust it; the sandbox's memory limit counts them when touched.
    pub fn translate_mut(&mut self, offset: u64, len: u64, write: bool) -> SysResult<(u64, u64)> {
        // EOF is checked before an extent is made.
        self.translate(offset, len)?;
        let place = extent_at(offset);
        let extent = self.extent_mut(offset)?;
        if write {
            let end = offset.saturating_add(len).min(place.end);
            for page in page_of(offset, &place)..page_of(end, &place) {
                extent.data.insert(page);
            }
            self.exposed = true;
        }
        self.translate(offset, len)?.ok_or(Errno::ENXIO)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        self.limits.release_pages(self.charged);
        for extent in self.extents.values() {
            self.limits.memory.dec_ref(extent.memory);
        }
    }
}

/// The number of the page with `offset`, within its extent.
fn page_of(offset: u64, place: &Range<u64>) -> usize {
    ((offset - place.start) / PAGE_SIZE) as usize
}

/// The first page boundary after `offset`.
fn next_page(offset: u64) -> u64 {
    (offset & !(PAGE_SIZE - 1)) + PAGE_SIZE
}
