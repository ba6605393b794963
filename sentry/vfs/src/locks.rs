//! Record locks (fcntl(2), of processes and of open file descriptions) and flock(2).
//!
//! One table for all files, as locks are rare: a close looks at a counter first, and only where
//! there are locks at all takes the table's. A file is in the table while it is locked or waited
//! for, and kept alive by that. Which tasks wait is not known here: a [`Waiting`] is tried again
//! each time its queue is notified.
//!
//! Lock order: the table's lock is a leaf, but for the wait queues notified under it.

use crate::file::OpenFile;
use crate::inode::InodeRef;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use wait::WaitQueue;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A process, by its descriptor table: [`crate::FdTable::id`].
    Process(u64),
    /// An open file description, by its address: it releases its locks when it is dropped.
    File(usize),
}

impl Owner {
    /// The description itself: for F_OFD_ locks.
    pub fn of_file(file: &OpenFile) -> Owner {
        Owner::File(std::ptr::from_ref(file) as usize)
    }
}

/// A lock on the bytes `start..=end`; `end` is `i64::MAX` for one that reaches to the end of the
/// file, wherever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RecordLock {
    pub owner: Owner,
    /// What F_GETLK shows; -1 for an open file description.
    pub pid: i32,
    pub exclusive: bool,
    pub start: u64,
    pub end: u64,
}

impl RecordLock {
    fn overlaps(&self, other: &RecordLock) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    fn conflicts(&self, other: &RecordLock) -> bool {
        self.owner != other.owner && (self.exclusive || other.exclusive) && self.overlaps(other)
    }
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Record(RecordLock),
    Flock { owner: Owner, exclusive: bool },
}

/// Locks of all files together: beyond it, ENOLCK. A guest's records cost the sentry memory.
const MAX_LOCKS: usize = 1 << 16;

/// How many processes a chain of waits is followed through, as in Linux.
const MAX_CHAIN: usize = 10;

/// The locks of one file.
struct FileLocks {
    /// Keeps the address, which is the key, from being used again.
    _inode: InodeRef,
    /// By start; those of one owner do not overlap.
    records: Vec<RecordLock>,
    flocks: Vec<(Owner, bool)>,
    queue: WaitQueue,
    waiters: usize,
}

#[derive(Default)]
struct Table {
    files: HashMap<usize, FileLocks>,
    /// The record locks that are waited for, by the waiter's number, each with its file's key.
    waits: HashMap<u64, (usize, RecordLock)>,
    next_wait: u64,
    count: usize,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);
/// Files in the table: lets a close skip it.
static FILES: AtomicUsize = AtomicUsize::new(0);

fn key(inode: &InodeRef) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

impl Table {
    fn file(&mut self, inode: &InodeRef) -> &mut FileLocks {
        self.files.entry(key(inode)).or_insert_with(|| FileLocks {
            _inode: inode.clone(),
            records: Vec::new(),
            flocks: Vec::new(),
            queue: WaitQueue::new(),
            waiters: 0,
        })
    }

    /// Changes the locks of a file, and forgets the file if there is nothing left to know. Returns
    /// the inode that goes with it, to be dropped unlocked.
    fn change<R>(
        &mut self,
        inode: &InodeRef,
        change: impl FnOnce(&mut FileLocks) -> R,
    ) -> (R, Option<FileLocks>) {
        let file = self.file(inode);
        let before = file.records.len() + file.flocks.len();
        let result = change(file);
        let after = file.records.len() + file.flocks.len();
        let unused = after == 0 && file.waiters == 0;
        self.count = self.count + after - before;
        let gone = if unused { self.files.remove(&key(inode)) } else { None };
        FILES.store(self.files.len(), Ordering::SeqCst);
        (result, gone)
    }

    /// Whom a process waits for now, in one of its threads.
    fn blocker_of(&self, owner: Owner) -> Option<Owner> {
        let waits = self.waits.values().filter(|(_, lock)| lock.owner == owner);
        // Looked up anew: who was in the way may have gone, and the waiter not know it yet.
        waits.filter_map(|(key, lock)| self.files.get(key)?.blocker(lock)).next()
    }

    /// Would `owner`, waiting for `blocker`, close a circle of processes that wait for each other?
    fn is_deadlock(&self, owner: Owner, mut blocker: Owner) -> bool {
        for _ in 0..MAX_CHAIN {
            if blocker == owner {
                return true;
            }
            match self.blocker_of(blocker) {
                Some(next) => blocker = next,
                None => return false,
            }
        }
        false
    }
}

impl FileLocks {
    fn blocker(&self, lock: &RecordLock) -> Option<Owner> {
        self.records.iter().find(|other| other.conflicts(lock)).map(|other| other.owner)
    }

    /// Replaces what the owner has in the range. `exclusive` None: unlocks.
    fn set(&mut self, new: RecordLock, lock: bool) {
        let mut kept = Vec::with_capacity(self.records.len() + 2);
        let mut merged = new;
        for old in self.records.drain(..) {
            if old.owner != new.owner {
                kept.push(old);
                continue;
            }
            let touches =
                old.start <= new.end.saturating_add(1) && new.start <= old.end.saturating_add(1);
            if lock && touches && old.exclusive == new.exclusive {
                merged.start = merged.start.min(old.start);
                merged.end = merged.end.max(old.end);
                continue;
            }
            if !old.overlaps(&new) {
                kept.push(old);
                continue;
            }
            if old.start < new.start {
                kept.push(RecordLock { end: new.start - 1, ..old });
            }
            if old.end > new.end {
                kept.push(RecordLock { start: new.end + 1, ..old });
            }
        }
        if lock {
            kept.push(merged);
        }
        kept.sort_by_key(|lock| lock.start);
        self.records = kept;
    }

    /// Takes the lock, or says who is in the way.
    fn attempt(&mut self, request: &Request) -> Result<(), Owner> {
        match *request {
            Request::Record(lock) => {
                if let Some(owner) = self.blocker(&lock) {
                    return Err(owner);
                }
                let shrinks = self.records.iter().any(|old| {
                    old.owner == lock.owner
                        && old.exclusive
                        && !lock.exclusive
                        && old.overlaps(&lock)
                });
                self.set(lock, true);
                if shrinks {
                    self.queue.notify(1);
                }
                Ok(())
            }
            Request::Flock { owner, exclusive } => {
                let own = self.flocks.iter().position(|(holder, _)| *holder == owner);
                if let Some(at) = own {
                    if self.flocks[at].1 == exclusive {
                        return Ok(());
                    }
                    // A change is no atomic one: the old lock is gone, as flock(2) says.
                    self.flocks.swap_remove(at);
                    self.queue.notify(1);
                }
                match self.flocks.iter().find(|(_, other)| exclusive || *other) {
                    Some((holder, _)) => Err(*holder),
                    None => {
                        self.flocks.push((owner, exclusive));
                        Ok(())
                    }
                }
            }
        }
    }
}

/// F_GETLK: a lock in the way of this one.
pub fn conflict(inode: &InodeRef, lock: &RecordLock) -> Option<RecordLock> {
    let table = TABLE.lock();
    let file = table.files.get(&key(inode))?;
    file.records.iter().find(|other| other.conflicts(lock)).copied()
}

/// Unlocks the bytes of `lock` that its owner holds. ENOLCK where a range cannot be split.
pub fn unlock(inode: &InodeRef, lock: &RecordLock) -> SysResult<()> {
    release(inode, |file| file.set(*lock, false))
}

/// LOCK_UN of flock(2).
pub fn unlock_flock(file: &OpenFile) {
    let owner = Owner::of_file(file);
    let _ =
        release(file.path().inode(), |locks| locks.flocks.retain(|(holder, _)| *holder != owner));
}

fn release(inode: &InodeRef, change: impl FnOnce(&mut FileLocks)) -> SysResult<()> {
    let gone = {
        let mut table = TABLE.lock();
        if !table.files.contains_key(&key(inode)) {
            return Ok(());
        }
        // Unlocking the middle of a range needs one more.
        if table.count >= 2 * MAX_LOCKS {
            return Err(Errno::ENOLCK);
        }
        let ((), gone) = table.change(inode, |file| {
            change(file);
            file.queue.notify(1);
        });
        gone
    };
    drop(gone);
    Ok(())
}

/// A process closes a descriptor of the file: all its record locks go, whichever descriptor they
/// were made with.
pub fn release_process(inode: &InodeRef, table_id: u64) {
    release_owner(inode, Owner::Process(table_id));
}

/// An open file description is dropped.
pub(crate) fn release_file(file: &OpenFile) {
    release_owner(file.path().inode(), Owner::of_file(file));
}

fn release_owner(inode: &InodeRef, owner: Owner) {
    if FILES.load(Ordering::SeqCst) == 0 {
        return;
    }
    let gone = {
        let mut table = TABLE.lock();
        if !table.files.contains_key(&key(inode)) {
            return;
        }
        let ((), gone) = table.change(inode, |file| {
            let before = file.records.len() + file.flocks.len();
            file.records.retain(|lock| lock.owner != owner);
            file.flocks.retain(|(holder, _)| *holder != owner);
            if file.records.len() + file.flocks.len() != before {
                file.queue.notify(1);
            }
        });
        gone
    };
    drop(gone);
}

/// A request for a lock, until it is granted or given up.
pub struct Waiting {
    inode: InodeRef,
    request: Request,
    id: u64,
    queue: WaitQueue,
}

impl Waiting {
    /// A request for a record lock.
    pub fn for_record(inode: &InodeRef, lock: RecordLock) -> Waiting {
        Waiting::new(inode, Request::Record(lock))
    }

    /// A request for the lock of flock(2).
    pub fn for_flock(file: &OpenFile, exclusive: bool) -> Waiting {
        let owner = Owner::of_file(file);
        Waiting::new(file.path().inode(), Request::Flock { owner, exclusive })
    }

    fn new(inode: &InodeRef, request: Request) -> Waiting {
        let mut table = TABLE.lock();
        let id = table.next_wait;
        table.next_wait += 1;
        let (queue, _) = table.change(inode, |file| {
            file.waiters += 1;
            file.queue.clone()
        });
        Waiting { inode: inode.clone(), request, id, queue }
    }

    /// Notified (with event 1) when it may be worth another try.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// Takes the lock. EAGAIN while somebody is in the way; ENOLCK where there are too many.
    pub fn attempt(&self) -> SysResult<()> {
        let result = self.attempt_in(&mut TABLE.lock());
        result.map_err(|blocker| blocker.map_or(Errno::ENOLCK, |_| Errno::EAGAIN))
    }

    /// As [`Waiting::attempt`], by somebody who will wait: None is "not yet", and a wait of
    /// processes for each other is EDEADLK.
    pub fn attempt_waiting(&self) -> Option<SysResult<()>> {
        let mut table = TABLE.lock();
        let blocker = match self.attempt_in(&mut table) {
            Ok(()) => return Some(Ok(())),
            Err(None) => return Some(Err(Errno::ENOLCK)),
            Err(Some(blocker)) => blocker,
        };
        // As in Linux, neither flock nor the locks of open files are looked through for circles.
        let Request::Record(lock) = self.request else { return None };
        if matches!(lock.owner, Owner::Process(_)) && table.is_deadlock(lock.owner, blocker) {
            return Some(Err(Errno::EDEADLK));
        }
        table.waits.insert(self.id, (key(&self.inode), lock));
        None
    }

    /// Err: who is in the way, or None where there are too many locks.
    fn attempt_in(&self, table: &mut Table) -> Result<(), Option<Owner>> {
        if table.count >= MAX_LOCKS {
            return Err(None);
        }
        let (result, _) = table.change(&self.inode, |file| file.attempt(&self.request));
        if result.is_ok() {
            table.waits.remove(&self.id);
        }
        result.map_err(Some)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let gone = {
            let mut table = TABLE.lock();
            table.waits.remove(&self.id);
            table.change(&self.inode, |file| file.waiters = file.waiters.saturating_sub(1)).1
        };
        drop(gone);
    }
}

#[cfg(test)]
mod tests;
