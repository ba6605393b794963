//! System V semaphores: semget(2), semop(2), semctl(2).
//!
//! An operation that has to wait is left with the set. Whoever changes a semaphore does what can be
//! done by that, in the order in which it came: those that wait for zero first, as in Linux.

mod set;
mod undo;

pub use set::{Outcome, SemSet, Waiting};
pub use undo::UndoList;

use crate::ids::Table;
use crate::perm::PRIVATE;
use abi::ipc::{SemInfo, SemidDs};
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vfs::Credentials;

/// SEMMNI: how many sets there can be.
const MAX_SETS: usize = 32_000;
/// SEMMSL: how many semaphores a set can have.
const MAX_PER_SET: i32 = 32_000;
/// SEMMNS: how many semaphores there can be. Less than Linux's 1024000000, because they take the
/// sentry's own memory.
const MAX_SEMAPHORES: usize = 1 << 20;
/// SEMOPM: how many operations there can be in a call.
pub const MAX_OPERATIONS: usize = 500;
/// SEMVMX: the largest value.
pub const MAX_VALUE: i32 = 32_767;
/// How many adjustments (one for each process and semaphore) there can be, for the same reason.
const MAX_UNDO: usize = 1 << 20;

/// What all sets count together.
#[derive(Default)]
pub(crate) struct Totals {
    semaphores: AtomicUsize,
    adjustments: AtomicUsize,
}

impl Totals {
    /// Room for another adjustment? ENOMEM.
    fn take_adjustment(&self) -> SysResult<()> {
        let more = |count: usize| (count < MAX_UNDO).then_some(count + 1);
        let taken = self.adjustments.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| Errno::ENOMEM)
    }

    fn release_adjustments(&self, count: usize) {
        self.adjustments.fetch_sub(count, Ordering::Relaxed);
    }
}

/// The semaphore sets of a namespace.
pub struct Sems {
    table: Mutex<Table<Arc<SemSet>>>,
    totals: Arc<Totals>,
}

impl Sems {
    pub(crate) fn new() -> Sems {
        Sems { table: Mutex::new(Table::new(MAX_SETS)), totals: Arc::default() }
    }

    /// semget(2).
    pub fn get(&self, key: i32, count: i32, flags: i32, cred: &Credentials) -> SysResult<i32> {
        if !(0..=MAX_PER_SET).contains(&count) {
            return Err(Errno::EINVAL);
        }
        let mut table = self.table.lock();
        if key != PRIVATE {
            if let Some(set) = table.by_key(key) {
                if flags & libc::IPC_CREAT != 0 && flags & libc::IPC_EXCL != 0 {
                    return Err(Errno::EEXIST);
                }
                if count as usize > set.len() {
                    return Err(Errno::EINVAL);
                }
                set.check(cred, flags as u32)?;
                return Ok(set.id());
            }
            if flags & libc::IPC_CREAT == 0 {
                return Err(Errno::ENOENT);
            }
        }
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        let used = self.totals.semaphores.load(Ordering::Relaxed);
        if used + count as usize > MAX_SEMAPHORES {
            return Err(Errno::ENOSPC);
        }
        table.insert(key, |id| SemSet::new(key, id, count as usize, flags, cred, &self.totals))
    }

    /// The set. EINVAL, EIDRM.
    pub fn by_id(&self, id: i32) -> SysResult<Arc<SemSet>> {
        self.table.lock().by_id(id).cloned()
    }

    /// SEM_STAT, and SEM_STAT_ANY (without credentials): by index; the identifier too.
    pub fn stat_index(&self, at: i32, cred: Option<&Credentials>) -> SysResult<(i32, SemidDs)> {
        let set = self.table.lock().by_index(at).cloned()?;
        Ok((set.id(), set.stat(cred)?))
    }

    /// IPC_RMID: who waits gets EIDRM.
    pub fn remove(&self, id: i32, cred: &Credentials) -> SysResult<()> {
        let mut table = self.table.lock();
        table.by_id(id)?.check_owner(cred)?;
        let set = table.remove(id)?;
        drop(table);
        set.remove();
        Ok(())
    }

    /// IPC_INFO, and SEM_INFO (`usage`), with the highest index in use.
    pub fn info(&self, usage: bool) -> (SemInfo, usize) {
        let table = self.table.lock();
        let (semusz, semaem) = match usage {
            true => (table.len() as i32, self.totals.semaphores.load(Ordering::Relaxed) as i32),
            false => (20, MAX_VALUE),
        };
        let info = SemInfo {
            semmap: MAX_SEMAPHORES as i32,
            semmni: MAX_SETS as i32,
            semmns: MAX_SEMAPHORES as i32,
            semmnu: MAX_SEMAPHORES as i32,
            semmsl: MAX_PER_SET,
            semopm: MAX_OPERATIONS as i32,
            semume: MAX_OPERATIONS as i32,
            semusz,
            semvmx: MAX_VALUE,
            semaem,
        };
        (info, table.max_index())
    }

    /// /proc/sysvipc/sem.
    pub fn proc_table(&self) -> String {
        let mut text = String::from(
            "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
        );
        let sets: Vec<Arc<SemSet>> = self.table.lock().iter().cloned().collect();
        for set in sets {
            let Ok(stat) = set.stat(None) else { continue };
            let perm = &stat.perm;
            let _ = writeln!(
                text,
                "{:10} {:10}  {:4o} {:10} {:5} {:5} {:5} {:5} {:10} {:10}",
                perm.key,
                set.id(),
                perm.mode,
                stat.nsems,
                perm.uid,
                perm.gid,
                perm.cuid,
                perm.cgid,
                stat.otime,
                stat.ctime,
            );
        }
        text
    }
}

#[cfg(test)]
mod tests;
