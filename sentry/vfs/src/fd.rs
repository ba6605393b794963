//! Descriptor tables.

use crate::file::OpenFile;
use crate::locks;
use abi::{Errno, SysResult};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A guest's file descriptor number, as it came; may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fd(pub i32);

#[derive(Clone)]
struct Entry {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

/// The descriptors of a process (or of several that share them).
pub struct FdTable {
    /// Never used again: whom record locks belong to.
    id: u64,
    entries: RwLock<Entries>,
}

#[derive(Clone, Default)]
struct Entries {
    list: Vec<Option<Entry>>,
    /// No number below is free.
    first_free: usize,
}

impl Entries {
    fn lowest_free(&self, min: usize) -> usize {
        let from = min.max(self.first_free);
        let free = (from..self.list.len()).find(|at| self.list[*at].is_none());
        free.unwrap_or(self.list.len().max(from))
    }

    fn put(&mut self, at: usize, entry: Entry) -> Option<Entry> {
        if at >= self.list.len() {
            self.list.resize(at + 1, None);
        }
        self.list[at].replace(entry)
    }
}

impl Default for FdTable {
    fn default() -> FdTable {
        FdTable::with(Entries::default())
    }
}

/// No table grows beyond this, whatever RLIMIT_NOFILE says (fs.nr_open).
pub const NR_OPEN: u64 = 1 << 20;

fn index(fd: Fd) -> SysResult<usize> {
    usize::try_from(fd.0).map_err(|_| Errno::EBADF)
}

impl FdTable {
    /// An empty table.
    pub fn new() -> Arc<FdTable> {
        Arc::default()
    }

    /// A copy, for fork(2) and unshare(2).
    pub fn fork(&self) -> Arc<FdTable> {
        Arc::new(FdTable::with(self.entries.read().clone()))
    }

    fn with(entries: Entries) -> FdTable {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        FdTable { id: NEXT.fetch_add(1, Ordering::Relaxed), entries: RwLock::new(entries) }
    }

    /// What identifies it as the owner of record locks.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What close(2) does with a description that was taken out: each close releases the process's
    /// record locks on the file, and tells the file system.
    pub fn closed(&self, file: &OpenFile) {
        if !file.flags().contains(abi::file::OpenFlags::PATH) {
            file.ops().flush(file);
            locks::release_process(file.path().inode(), self.id);
        }
    }

    /// How many descriptors there is room for without growing, as Linux would have it: where
    /// select(2) stops to look.
    pub fn capacity(&self) -> usize {
        match self.entries.read().list.len() {
            0..=64 => 64,
            len => len.next_power_of_two().max(256),
        }
    }

    /// EBADF where it is not open.
    pub fn get(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        let index = index(fd)?;
        let entries = self.entries.read();
        let entry = entries.list.get(index).and_then(Option::as_ref).ok_or(Errno::EBADF)?;
        Ok(entry.file.clone())
    }

    /// As [`FdTable::get`], but EBADF for an O_PATH descriptor too: most calls want that.
    pub fn get_io(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        let file = self.get(fd)?;
        if file.flags().contains(abi::file::OpenFlags::PATH) { Err(Errno::EBADF) } else { Ok(file) }
    }

    /// EMFILE where no descriptor is free below `limit`: for calls that must not do anything then.
    pub fn check_room(&self, limit: u64) -> SysResult<()> {
        let limit = limit.min(NR_OPEN) as usize;
        if self.entries.read().lowest_free(0) < limit { Ok(()) } else { Err(Errno::EMFILE) }
    }

    /// Installs `file` at the lowest free number from `min` on. EMFILE at `limit`
    /// (RLIMIT_NOFILE); EINVAL where `min` is not below it.
    pub fn install(
        &self,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        min: u64,
        limit: u64,
    ) -> SysResult<Fd> {
        let limit = limit.min(NR_OPEN) as usize;
        let min = usize::try_from(min).unwrap_or(usize::MAX);
        if min >= limit {
            return Err(if min == 0 { Errno::EMFILE } else { Errno::EINVAL });
        }
        let mut entries = self.entries.write();
        let at = entries.lowest_free(min);
        if at >= limit {
            return Err(Errno::EMFILE);
        }
        if min <= entries.first_free {
            entries.first_free = at + 1;
        }
        entries.put(at, Entry { file, close_on_exec });
        Ok(Fd(at as i32))
    }

    /// Installs `file` at `fd`; what was there is returned for closing. EBADF beyond `limit`.
    pub fn install_at(
        &self,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        fd: Fd,
        limit: u64,
    ) -> SysResult<Option<Arc<OpenFile>>> {
        let at = index(fd)?;
        if at as u64 >= limit.min(NR_OPEN) {
            return Err(Errno::EBADF);
        }
        let old = self.entries.write().put(at, Entry { file, close_on_exec });
        Ok(old.map(|entry| entry.file))
    }

    /// Takes the descriptor out of the table.
    pub fn remove(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        let index = index(fd)?;
        let mut entries = self.entries.write();
        let entry = entries.list.get_mut(index).and_then(Option::take).ok_or(Errno::EBADF)?;
        entries.first_free = entries.first_free.min(index);
        Ok(entry.file)
    }

    /// FD_CLOEXEC of the descriptor.
    pub fn close_on_exec(&self, fd: Fd) -> SysResult<bool> {
        let index = index(fd)?;
        let entries = self.entries.read();
        let entry = entries.list.get(index).and_then(Option::as_ref).ok_or(Errno::EBADF)?;
        Ok(entry.close_on_exec)
    }

    /// Sets FD_CLOEXEC.
    pub fn set_close_on_exec(&self, fd: Fd, on: bool) -> SysResult<()> {
        let index = index(fd)?;
        let mut entries = self.entries.write();
        let entry = entries.list.get_mut(index).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
        entry.close_on_exec = on;
        Ok(())
    }

    /// Takes out every descriptor in `first..=last`, for close_range(2).
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Arc<OpenFile>> {
        self.take_if(|at, _| (first as usize..=last as usize).contains(&at))
    }

    /// Sets FD_CLOEXEC on every descriptor in `first..=last`.
    pub fn set_close_on_exec_range(&self, first: u32, last: u32) {
        let list = &mut self.entries.write().list;
        let end = list.len().min((last as usize).saturating_add(1));
        for entry in list.get_mut(first as usize..end).unwrap_or_default().iter_mut().flatten() {
            entry.close_on_exec = true;
        }
    }

    /// Takes out what execve(2) closes.
    pub fn remove_close_on_exec(&self) -> Vec<Arc<OpenFile>> {
        self.take_if(|_, entry| entry.close_on_exec)
    }

    /// Takes out everything, at the end of the process.
    pub fn remove_all(&self) -> Vec<Arc<OpenFile>> {
        self.take_if(|_, _| true)
    }

    fn take_if(&self, which: impl Fn(usize, &Entry) -> bool) -> Vec<Arc<OpenFile>> {
        let mut entries = self.entries.write();
        let mut taken = Vec::new();
        // Found again by the next search.
        entries.first_free = 0;
        for (at, slot) in entries.list.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|entry| which(at, entry)) {
                taken.extend(slot.take().map(|entry| entry.file));
            }
        }
        taken
    }

    /// The open descriptors, in order, for /proc/PID/fd.
    pub fn list(&self) -> Vec<(Fd, Arc<OpenFile>, bool)> {
        let entries = self.entries.read();
        let open = entries.list.iter().enumerate().filter_map(|(at, slot)| {
            slot.as_ref().map(|entry| (Fd(at as i32), entry.file.clone(), entry.close_on_exec))
        });
        open.collect()
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        for entry in std::mem::take(&mut self.entries.get_mut().list).into_iter().flatten() {
            self.closed(&entry.file);
        }
    }
}
