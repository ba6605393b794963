//! Descriptor tables.

use crate::file::OpenFile;
use abi::{Errno, SysResult};
use parking_lot::RwLock;
use std::sync::Arc;

/// A guest's file descriptor number, as it came; may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fd(pub i32);

#[derive(Clone)]
struct Entry {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

/// The descriptors of a process (or of several that share them).
#[derive(Default)]
pub struct FdTable {
    entries: RwLock<Vec<Option<Entry>>>,
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
        Arc::new(FdTable { entries: RwLock::new(self.entries.read().clone()) })
    }

    /// EBADF where it is not open.
    pub fn get(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        let index = index(fd)?;
        let entries = self.entries.read();
        let entry = entries.get(index).and_then(Option::as_ref).ok_or(Errno::EBADF)?;
        Ok(entry.file.clone())
    }

    /// As [`FdTable::get`], but EBADF for an O_PATH descriptor too: most calls want that.
    pub fn get_io(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        let file = self.get(fd)?;
        if file.flags().contains(abi::file::OpenFlags::PATH) { Err(Errno::EBADF) } else { Ok(file) }
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
        let free = (min..entries.len()).find(|at| entries[*at].is_none());
        let at = free.unwrap_or(entries.len().max(min));
        if at >= limit {
            return Err(Errno::EMFILE);
        }
        if at >= entries.len() {
            entries.resize(at + 1, None);
        }
        entries[at] = Some(Entry { file, close_on_exec });
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
        let mut entries = self.entries.write();
        if at >= entries.len() {
            entries.resize(at + 1, None);
        }
        Ok(entries[at].replace(Entry { file, close_on_exec }).map(|entry| entry.file))
    }

    /// Takes the descriptor out of the table.
    pub fn remove(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        let index = index(fd)?;
        let mut entries = self.entries.write();
        let entry = entries.get_mut(index).and_then(Option::take).ok_or(Errno::EBADF)?;
        Ok(entry.file)
    }

    /// FD_CLOEXEC of the descriptor.
    pub fn close_on_exec(&self, fd: Fd) -> SysResult<bool> {
        let index = index(fd)?;
        let entries = self.entries.read();
        let entry = entries.get(index).and_then(Option::as_ref).ok_or(Errno::EBADF)?;
        Ok(entry.close_on_exec)
    }

    /// Sets FD_CLOEXEC.
    pub fn set_close_on_exec(&self, fd: Fd, on: bool) -> SysResult<()> {
        let index = index(fd)?;
        let mut entries = self.entries.write();
        let entry = entries.get_mut(index).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
        entry.close_on_exec = on;
        Ok(())
    }

    /// Takes out every descriptor in `first..=last`, for close_range(2).
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Arc<OpenFile>> {
        self.take_if(|at, _| (first as usize..=last as usize).contains(&at))
    }

    /// Sets FD_CLOEXEC on every descriptor in `first..=last`.
    pub fn set_close_on_exec_range(&self, first: u32, last: u32) {
        let mut entries = self.entries.write();
        let end = entries.len().min((last as usize).saturating_add(1));
        for entry in entries.get_mut(first as usize..end).unwrap_or_default().iter_mut().flatten() {
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
        for (at, slot) in entries.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|entry| which(at, entry)) {
                taken.extend(slot.take().map(|entry| entry.file));
            }
        }
        taken
    }

    /// The open descriptors, in order, for /proc/PID/fd.
    pub fn list(&self) -> Vec<(Fd, Arc<OpenFile>, bool)> {
        let entries = self.entries.read();
        let open = entries.iter().enumerate().filter_map(|(at, slot)| {
            slot.as_ref().map(|entry| (Fd(at as i32), entry.file.clone(), entry.close_on_exec))
        });
        open.collect()
    }
}
