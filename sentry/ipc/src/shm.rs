//! System V shared memory: shmget(2), shmop(2), shmctl(2).
//!
//! A segment is a range of the memory file, and lives as long as somebody needs it: the table, until
//! IPC_RMID, and every mapping. How often it is attached is not counted but found out: it is the
//! number of areas that map it, as in Linux, whatever fork, munmap or exit did to them.

use crate::ids::Table;
use crate::perm::{PRIVATE, Perm, READ, WRITE, now};
use abi::ipc::{ShmInfo, ShmInfo64, ShmidDs};
use abi::mman::MapFlags;
use abi::{Errno, PAGE_SIZE, SysResult, UserAddr};
use mm::{
    Backing, FileRange, Mappable, MappedFile, MappingSet, MemoryFile, MemoryManager, MmapArgs, Prot,
};
use parking_lot::Mutex;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use vfs::Credentials;
use vfs::cred::Caps;

/// SHMMNI: how many segments there can be.
const MAX_SEGMENTS: usize = 4096;
/// SHMMAX and SHMALL.
const UNLIMITED: u64 = u64::MAX - (1 << 24);
/// In the mode: gone when nobody maps it.
const SHM_DEST: u32 = 0o1000;
/// In the mode: locked in memory.
const SHM_LOCKED: u32 = 0o2000;

/// A segment.
pub struct Segment {
    memory: Arc<MemoryFile>,
    range: FileRange,
    /// Bytes, as asked for.
    size: u64,
    /// The key it was made with, for its name.
    key: i32,
    mappings: MappingSet,
    state: Mutex<State>,
    /// Pages in all segments.
    total: Arc<AtomicU64>,
}

struct State {
    perm: Perm,
    atime: i64,
    dtime: i64,
    ctime: i64,
    cpid: i32,
    lpid: i32,
}

/// What the table has of a segment: after IPC_RMID only the mappings keep it.
struct Entry {
    kept: Option<Arc<Segment>>,
    segment: Weak<Segment>,
}

/// The segments of a namespace.
pub struct Shm {
    table: Mutex<Table<Entry>>,
    memory: Arc<MemoryFile>,
    /// A larger segment could never be used.
    memory_limit: u64,
    /// The device of the internal file system they lie on; the inode is the identifier.
    dev: u64,
    total: Arc<AtomicU64>,
}

impl Shm {
    pub(crate) fn new(memory: &Arc<MemoryFile>, memory_limit: u64) -> Shm {
        Shm {
            table: Mutex::new(Table::new(MAX_SEGMENTS)),
            memory: memory.clone(),
            memory_limit,
            dev: vfs::filesystem::anonymous_dev(),
            total: Arc::default(),
        }
    }

    /// shmget(2).
    pub fn get(
        &self,
        key: i32,
        size: u64,
        flags: i32,
        cred: &Credentials,
        pid: i32,
    ) -> SysResult<i32> {
        let mut table = self.lock();
        if key != PRIVATE {
            let found = table.by_key(key).and_then(|entry| entry.segment.upgrade());
            if let Some(segment) = found {
                if flags & libc::IPC_CREAT != 0 && flags & libc::IPC_EXCL != 0 {
                    return Err(Errno::EEXIST);
                }
                if segment.size < size {
                    return Err(Errno::EINVAL);
                }
                let perm = &segment.state.lock().perm;
                perm.check(cred, flags as u32)?;
                return Ok(perm.id);
            }
            if flags & libc::IPC_CREAT == 0 {
                return Err(Errno::ENOENT);
            }
        }
        if size == 0 || size > UNLIMITED {
            return Err(Errno::EINVAL);
        }
        if flags & libc::SHM_HUGETLB != 0 || size > self.memory_limit {
            // Huge pages: like a machine that has none set aside.
            return Err(Errno::ENOMEM);
        }
        if table.len() >= MAX_SEGMENTS {
            return Err(Errno::ENOSPC);
        }
        let range = self.memory.allocate(size)?;
        self.total.fetch_add(range.len / PAGE_SIZE, Ordering::Relaxed);
        table.insert(key, |id| {
            let perm = Perm::new(key, id, flags, cred);
            let (ctime, cpid) = (now(), pid);
            let segment = Arc::new(Segment {
                memory: self.memory.clone(),
                range,
                size,
                key,
                mappings: MappingSet::new(),
                state: Mutex::new(State { perm, atime: 0, dtime: 0, ctime, cpid, lpid: 0 }),
                total: self.total.clone(),
            });
            Entry { segment: Arc::downgrade(&segment), kept: Some(segment) }
        })
    }

    /// The table, without those that went with their last mapping.
    fn lock(&self) -> parking_lot::MutexGuard<'_, Table<Entry>> {
        let mut table = self.table.lock();
        table.retain(|entry| entry.segment.strong_count() > 0);
        table
    }

    fn by_id(&self, id: i32) -> SysResult<Arc<Segment>> {
        self.lock().by_id(id)?.segment.upgrade().ok_or(Errno::EINVAL)
    }

    /// shmat(2). EINVAL, EACCES, ENOMEM.
    pub fn attach(
        &self,
        mm: &MemoryManager,
        id: i32,
        addr: UserAddr,
        flags: i32,
        cred: &Credentials,
        pid: i32,
    ) -> SysResult<UserAddr> {
        let has = |flag: i32| flags & flag != 0;
        if id < 0 || addr.is_null() && has(libc::SHM_REMAP) {
            return Err(Errno::EINVAL);
        }
        let mut place = addr.0;
        let mut map = MapFlags::SHARED;
        if !addr.is_null() {
            if !place.is_multiple_of(PAGE_SIZE) {
                if !has(libc::SHM_RND) {
                    return Err(Errno::EINVAL);
                }
                place -= place % PAGE_SIZE;
                if place == 0 && has(libc::SHM_REMAP) {
                    return Err(Errno::EINVAL);
                }
            }
            let replace = has(libc::SHM_REMAP);
            map |= if replace { MapFlags::FIXED } else { MapFlags::FIXED_NOREPLACE };
        }
        let (mut prot, mut wanted) = (Prot::READ, READ);
        if !has(libc::SHM_RDONLY) {
            prot |= Prot::WRITE;
            wanted |= WRITE;
        }
        if has(libc::SHM_EXEC) {
            prot |= Prot::EXEC;
            wanted |= 0o111;
        }
        let segment = self.by_id(id)?;
        segment.state.lock().perm.check(cred, wanted)?;
        let file = MappedFile {
            mappable: segment.clone(),
            name: format!("/SYSV{:08x} (deleted)", segment.key).into_bytes().into(),
            dev: self.dev,
            ino: id as u64,
            may_write: !has(libc::SHM_RDONLY),
            may_exec: true,
        };
        let args = MmapArgs {
            addr: UserAddr(place),
            len: segment.range.len,
            prot,
            flags: map,
            file: Some(file),
            offset: 0,
        };
        let at = mm.mmap(args).map_err(|errno| match errno {
            Errno::EEXIST => Errno::EINVAL,
            errno => errno,
        })?;
        let mut state = segment.state.lock();
        (state.atime, state.lpid) = (now(), pid);
        Ok(at)
    }

    /// shmdt(2). EINVAL.
    pub fn detach(&self, mm: &MemoryManager, addr: UserAddr, pid: i32) -> SysResult<()> {
        if !addr.0.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let id = mm.detach(addr, self.dev)?;
        if let Ok(segment) = self.by_id(id as i32) {
            segment.note_detached(pid);
        }
        Ok(())
    }

    /// An address space is about to be given up: its mappings of segments are detached.
    pub fn note_exit(&self, mm: &MemoryManager, pid: i32) {
        let segments: Vec<Arc<Segment>> = {
            let table = self.table.lock();
            table.iter().filter_map(|entry| entry.segment.upgrade()).collect()
        };
        for segment in segments {
            if segment.mappings.contains(mm) {
                segment.note_detached(pid);
            }
        }
    }

    /// IPC_STAT. EACCES.
    pub fn stat(&self, id: i32, cred: &Credentials) -> SysResult<ShmidDs> {
        self.by_id(id)?.stat(Some(cred))
    }

    /// SHM_STAT, and SHM_STAT_ANY (without credentials): by index; the identifier too.
    pub fn stat_index(&self, at: i32, cred: Option<&Credentials>) -> SysResult<(i32, ShmidDs)> {
        let segment = self.lock().by_index(at)?.segment.upgrade().ok_or(Errno::EINVAL)?;
        let stat = segment.stat(cred)?;
        let id = segment.state.lock().perm.id;
        Ok((id, stat))
    }

    /// IPC_SET.
    pub fn set(&self, id: i32, new: &ShmidDs, cred: &Credentials) -> SysResult<()> {
        let segment = self.by_id(id)?;
        let mut state = segment.state.lock();
        state.perm.check_owner(cred)?;
        state.perm.set(&new.perm)?;
        state.ctime = now();
        Ok(())
    }

    /// IPC_RMID: it goes with its last mapping.
    pub fn remove(&self, id: i32, cred: &Credentials) -> SysResult<()> {
        let mut table = self.lock();
        let entry = table.by_id_mut(id)?;
        let segment = entry.segment.upgrade().ok_or(Errno::EINVAL)?;
        {
            let mut state = segment.state.lock();
            state.perm.check_owner(cred)?;
            state.perm.mode |= SHM_DEST;
            state.perm.key = PRIVATE;
        }
        let kept = entry.kept.take();
        table.forget_key(id);
        drop(table);
        drop(kept);
        Ok(())
    }

    /// SHM_LOCK and SHM_UNLOCK: the flag only, as guest memory is never swapped by us. `may_lock`:
    /// RLIMIT_MEMLOCK is not 0.
    pub fn lock_memory(
        &self,
        id: i32,
        lock: bool,
        cred: &Credentials,
        may_lock: bool,
    ) -> SysResult<()> {
        let segment = self.by_id(id)?;
        let mut state = segment.state.lock();
        if !cred.has_cap(Caps::IPC_LOCK) {
            let owner = cred.euid == state.perm.uid || cred.euid == state.perm.cuid;
            if !owner || lock && !may_lock {
                return Err(Errno::EPERM);
            }
        }
        state.perm.mode &= !SHM_LOCKED;
        state.perm.mode |= if lock { SHM_LOCKED } else { 0 };
        Ok(())
    }

    /// IPC_INFO, with the highest index in use.
    pub fn limits(&self) -> (ShmInfo64, usize) {
        let info = ShmInfo64 {
            shmmax: UNLIMITED,
            shmmin: 1,
            shmmni: MAX_SEGMENTS as u64,
            shmseg: MAX_SEGMENTS as u64,
            shmall: UNLIMITED,
            ..ShmInfo64::default()
        };
        (info, self.lock().max_index())
    }

    /// SHM_INFO, with the highest index in use. All of it counts as resident.
    pub fn info(&self) -> (ShmInfo, usize) {
        let table = self.lock();
        let total = self.total.load(Ordering::Relaxed);
        let used_ids = table.len() as i32;
        let info = ShmInfo { used_ids, total, resident: total, ..ShmInfo::default() };
        (info, table.max_index())
    }

    /// /proc/sysvipc/shm.
    pub fn proc_table(&self) -> String {
        let mut text = String::from(
            "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  \
             cgid      atime      dtime      ctime                   rss                  swap\n",
        );
        let segments: Vec<Arc<Segment>> =
            self.lock().iter().filter_map(|entry| entry.segment.upgrade()).collect();
        for segment in segments {
            let Ok(stat) = segment.stat(None) else { continue };
            let id = segment.state.lock().perm.id;
            let perm = &stat.perm;
            let _ = writeln!(
                text,
                "{:10} {id:10}  {:4o} {:21} {:5} {:5}  {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10} \
                 {:21} {:21}",
                perm.key,
                perm.mode,
                stat.segsz,
                stat.cpid,
                stat.lpid,
                stat.nattch,
                perm.uid,
                perm.gid,
                perm.cuid,
                perm.cgid,
                stat.atime,
                stat.dtime,
                stat.ctime,
                segment.range.len,
                0,
            );
        }
        text
    }
}

impl Segment {
    fn note_detached(&self, pid: i32) {
        let mut state = self.state.lock();
        (state.dtime, state.lpid) = (now(), pid);
    }

    fn stat(&self, cred: Option<&Credentials>) -> SysResult<ShmidDs> {
        if let Some(cred) = cred {
            self.state.lock().perm.check(cred, READ)?;
        }
        // Asks the address spaces, so without our lock.
        let nattch = self.mappings.areas() as u64;
        let state = self.state.lock();
        Ok(ShmidDs {
            perm: state.perm.to_user(),
            segsz: self.size,
            atime: state.atime,
            dtime: state.dtime,
            ctime: state.ctime,
            cpid: state.cpid,
            lpid: state.lpid,
            nattch,
            ..ShmidDs::default()
        })
    }

    /// `len` bytes from `offset`, cut at the end; ENXIO beyond.
    fn part(&self, offset: u64, len: u64) -> SysResult<FileRange> {
        let left = self.range.len.checked_sub(offset).filter(|&left| left > 0);
        let len = left.ok_or(Errno::ENXIO)?.min(len);
        Ok(FileRange { start: self.range.start + offset, len })
    }
}

impl Mappable for Segment {
    fn translate(&self, offset: u64, len: u64, _write: bool) -> SysResult<Backing> {
        let FileRange { start, len } = self.part(offset, len)?;
        Ok(Backing::Memory { offset: start, len })
    }

    fn size(&self) -> u64 {
        self.range.len
    }

    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        let Ok(part) = self.part(offset, buf.len() as u64) else { return Ok(0) };
        self.memory.read(part.start, &mut buf[..part.len as usize])?;
        Ok(part.len as usize)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        let Ok(part) = self.part(offset, buf.len() as u64) else { return Ok(0) };
        self.memory.write(part.start, &buf[..part.len as usize])?;
        Ok(part.len as usize)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> SysResult<()> {
        self.memory.zero(self.part(offset, len)?)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.total.fetch_sub(self.range.len / PAGE_SIZE, Ordering::Relaxed);
        self.memory.dec_ref(self.range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shm() -> (Shm, Credentials) {
        let memory = MemoryFile::new_memfd().unwrap();
        (Shm::new(&memory, 1 << 30), Credentials::new(5, 5, &[]))
    }

    #[test]
    fn keys() {
        let (shm, cred) = shm();
        assert_eq!(shm.get(7, 1, 0o600, &cred, 1), Err(Errno::ENOENT));
        let create = libc::IPC_CREAT | 0o600;
        assert_eq!(shm.get(7, 0, create, &cred, 1), Err(Errno::EINVAL));
        assert_eq!(shm.get(7, 2 << 30, create, &cred, 1), Err(Errno::ENOMEM));
        let id = shm.get(7, 5000, create, &cred, 1).unwrap();
        assert_eq!(shm.get(7, 5000, 0, &cred, 1), Ok(id));
        assert_eq!(shm.get(7, 5001, 0, &cred, 1), Err(Errno::EINVAL));
        assert_eq!(shm.get(7, 1, create | libc::IPC_EXCL, &cred, 1), Err(Errno::EEXIST));
        let other = Credentials::new(6, 6, &[]);
        assert_eq!(shm.get(7, 1, 0o400, &other, 1), Err(Errno::EACCES));
        assert_eq!(shm.get(7, 1, 0, &other, 1), Ok(id));
        assert_eq!(shm.remove(id, &other), Err(Errno::EPERM));
        assert_eq!(shm.info().0.total, 2);
    }

    #[test]
    fn removal_frees_what_nobody_maps() {
        let (shm, cred) = shm();
        let id = shm.get(7, 4096, libc::IPC_CREAT | 0o600, &cred, 1).unwrap();
        let mapped = shm.by_id(id).unwrap();
        shm.remove(id, &cred).unwrap();
        let stat = shm.stat(id, &cred).unwrap();
        assert_eq!((stat.perm.mode, stat.perm.key), (0o1600, 0));
        assert_eq!(shm.get(7, 1, 0, &cred, 1), Err(Errno::ENOENT));
        drop(mapped);
        assert_eq!(shm.stat(id, &cred).err(), Some(Errno::EINVAL));
        assert_eq!((shm.memory.allocated_bytes(), shm.info().0.used_ids), (0, 0));
    }
}
