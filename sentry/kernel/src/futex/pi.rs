//! PI futexes: FUTEX_LOCK_PI and its relatives.
//!
//! The word holds the owner's tid, and FUTEX_WAITERS while the kernel must be asked. For each lock
//! with waiters the kernel knows the owner, and the waiters in the order of their coming: there
//! are no priorities to inherit, so the longest waiting is next. A lock is given, never merely
//! released: whoever unlocks (or dies) writes the next owner into the word.
//!
//! Locks: the table of PI locks comes after the futex buckets, and before `mm`.

use super::{Bucket, FutexWaiter, Futexes, MATCH_ANY, OWNER_DIED, TID_MASK, WAITERS, Word};
use crate::error::{CallResult, Interrupted, Restart};
use crate::process::Pid;
use crate::task::Task;
use abi::{Errno, SysResult, UserAddr};
use mm::{FutexKey, MemoryManager};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use wait::Wake;

/// The locks that somebody waits for.
#[derive(Default)]
pub(crate) struct PiLocks {
    table: Mutex<Table>,
    /// How many there are: spares others the look into the table.
    count: AtomicUsize,
}

#[derive(Default)]
struct Table {
    locks: HashMap<FutexKey, PiLock>,
    /// Which lock a blocked thread waits for.
    waiting: HashMap<Pid, FutexKey>,
}

struct PiLock {
    owner: Arc<Task>,
    /// Never empty.
    waiters: VecDeque<Arc<PiWaiter>>,
}

/// Who wants a lock.
pub(super) struct PiWaiter {
    task: Arc<Task>,
    mm: Arc<MemoryManager>,
    addr: UserAddr,
    pub key: FutexKey,
    /// Set when it has got the lock, or cannot get it any more. Changed with the table locked.
    outcome: Mutex<Option<SysResult<()>>>,
}

/// What a task knows of itself as an owner.
#[derive(Default)]
pub(crate) struct PiOwner {
    /// Somebody has waited for a lock of this task.
    contended: AtomicBool,
    /// The task has given all of its locks away, and can own none any more.
    closed: AtomicBool,
}

/// What came of trying to get a lock.
enum Attempt {
    Taken,
    Queued,
    /// The word changed meanwhile.
    Again,
}

/// The kernel's max_lock_depth: a longer chain of owners who wait counts as a deadlock.
const MAX_DEPTH: usize = 1024;

/// How often a word that the guest changes all the time is tried.
const TRIES: usize = 1000;

impl PiWaiter {
    fn new(task: &Arc<Task>, mm: &Arc<MemoryManager>, word: Word) -> SysResult<Arc<PiWaiter>> {
        Ok(Arc::new(PiWaiter {
            task: task.clone(),
            mm: mm.clone(),
            addr: word.addr,
            key: word.key(mm)?,
            outcome: Mutex::new(None),
        }))
    }

    fn outcome(&self) -> Option<SysResult<()>> {
        *self.outcome.lock()
    }

    fn end(&self, outcome: SysResult<()>) {
        *self.outcome.lock() = Some(outcome);
        self.task.waiter.wake(0);
    }

    fn tid(&self) -> u32 {
        self.task.tid() as u32
    }
}

impl Table {
    /// Gets the lock for `waiter`, or puts it into the queue. `owner` is the task of the tid
    /// `named`, which the word held a moment ago.
    fn attempt(
        &mut self,
        waiter: &Arc<PiWaiter>,
        named: u32,
        owner: Option<&Arc<Task>>,
        may_queue: bool,
    ) -> SysResult<Attempt> {
        let mm = &waiter.mm;
        let value = mm.load_u32(waiter.addr)?;
        if value & TID_MASK != named {
            return Ok(Attempt::Again);
        }
        if named == waiter.tid() {
            return Err(Errno::EDEADLK);
        }
        let owner = match self.locks.get(&waiter.key) {
            // The word must agree with what we know, but for an owner who is dying.
            Some(lock) if named == lock.owner.tid() as u32 => lock.owner.clone(),
            Some(lock) if named == 0 && value & OWNER_DIED != 0 => lock.owner.clone(),
            Some(_) => return Err(Errno::EINVAL),
            None if named == 0 => {
                let new = value & OWNER_DIED | waiter.tid();
                return Ok(match mm.compare_exchange_u32(waiter.addr, value, new)? {
                    Ok(_) => Attempt::Taken,
                    Err(_) => Attempt::Again,
                });
            }
            None => owner.cloned().ok_or(Errno::ESRCH)?,
        };
        if !may_queue {
            return Err(Errno::EAGAIN);
        }
        if self.would_deadlock(&owner, &waiter.task) {
            return Err(Errno::EDEADLK);
        }
        owner.pi_owner.contended.store(true, Ordering::SeqCst);
        if owner.pi_owner.closed.load(Ordering::SeqCst) && !self.locks.contains_key(&waiter.key) {
            // It has gone, and left the word as it is.
            return Err(Errno::ESRCH);
        }
        if value & WAITERS == 0
            && mm.compare_exchange_u32(waiter.addr, value, value | WAITERS)?.is_err()
        {
            return Ok(Attempt::Again);
        }
        self.waiting.insert(waiter.task.tid(), waiter.key);
        let lock = self.locks.entry(waiter.key);
        let lock = lock.or_insert_with(|| PiLock { owner, waiters: VecDeque::new() });
        lock.waiters.push_back(waiter.clone());
        Ok(Attempt::Queued)
    }

    /// Does `owner` wait, through however many others, for something that `task` owns?
    fn would_deadlock(&self, owner: &Arc<Task>, task: &Arc<Task>) -> bool {
        let mut at = owner;
        for _ in 0..MAX_DEPTH {
            if Arc::ptr_eq(at, task) {
                return true;
            }
            let waits_for = self.waiting.get(&at.tid()).and_then(|key| self.locks.get(key));
            let Some(lock) = waits_for else { return false };
            at = &lock.owner;
        }
        true
    }

    /// The first in the queue is the owner now, or learns that it cannot be.
    fn give(&mut self, key: &FutexKey, outcome: SysResult<()>) {
        let Some(lock) = self.locks.get_mut(key) else { return };
        if let Some(next) = lock.waiters.pop_front() {
            self.waiting.remove(&next.task.tid());
            if outcome.is_ok() {
                lock.owner = next.task.clone();
                // It owns a lock with waiters, perhaps.
                next.task.pi_owner.contended.store(true, Ordering::SeqCst);
            }
            next.end(outcome);
        }
        if lock.waiters.is_empty() {
            self.locks.remove(key);
        }
    }

    /// `waiter` gives up. Its outcome, if it has one already.
    fn leave(&mut self, waiter: &Arc<PiWaiter>) -> Option<SysResult<()>> {
        if let Some(outcome) = waiter.outcome() {
            return Some(outcome);
        }
        if let Some(lock) = self.locks.get_mut(&waiter.key) {
            lock.waiters.retain(|other| !Arc::ptr_eq(other, waiter));
            if lock.waiters.is_empty() {
                self.locks.remove(&waiter.key);
            }
            self.waiting.remove(&waiter.task.tid());
        }
        None
    }

    /// The owner of a lock dies with it: the next one gets it, and is told by FUTEX_OWNER_DIED.
    fn inherit(&mut self, key: &FutexKey) {
        // Each round takes one out of the queue.
        while let Some(next) = self.locks.get(key).and_then(|lock| lock.waiters.front()) {
            let new = WAITERS | OWNER_DIED | next.tid();
            // Through the heir's own memory: the dying one may have unmapped the word.
            let written = next.mm.fetch_update_u32(next.addr, |_| new).map(drop);
            self.give(key, written);
            if written.is_ok() {
                return;
            }
        }
    }
}

impl PiLocks {
    fn with<R>(&self, f: impl FnOnce(&mut Table) -> R) -> R {
        let mut table = self.table.lock();
        let result = f(&mut table);
        self.count.store(table.locks.len(), Ordering::SeqCst);
        result
    }

    /// Does somebody wait for this word as a PI lock?
    pub fn holds(&self, key: &FutexKey) -> bool {
        self.count.load(Ordering::SeqCst) != 0 && self.table.lock().locks.contains_key(key)
    }

    /// The thread exits (`ends`) or calls exec: its locks go to those who wait for them.
    pub fn owner_leaves(&self, task: &Arc<Task>, ends: bool) {
        if ends {
            // Whoever comes to wait marks the owner as contended first, and looks here then.
            task.pi_owner.closed.store(true, Ordering::SeqCst);
        }
        if !task.pi_owner.contended.load(Ordering::SeqCst) {
            return;
        }
        self.with(|table| {
            let owned = table.locks.iter().filter(|(_, lock)| Arc::ptr_eq(&lock.owner, task));
            let owned: Vec<FutexKey> = owned.map(|(key, _)| *key).collect();
            owned.iter().for_each(|key| table.inherit(key));
        });
    }
}

impl Futexes {
    /// FUTEX_CMP_REQUEUE_PI: those who wait on `from` for `to` (at most `limit`, and the one who
    /// gets the lock at once) wait for the lock now. Returns how many.
    pub fn requeue_pi(
        &self,
        task: &Arc<Task>,
        from: Word,
        to: Word,
        limit: u32,
        expected: u32,
    ) -> SysResult<u32> {
        let mm = task.mm();
        let (from_key, to_key) = (from.key(&mm)?, to.key(&mm)?);
        if from_key == to_key {
            return Err(Errno::EINVAL);
        }
        let mut moved = 0;
        for _ in 0..TRIES {
            let (mut named, mut owner) = task.named_owner(&mm, to.addr)?;
            let mut bucket = self.bucket(&from_key);
            if mm.load_u32(from.addr)? != expected {
                return Err(Errno::EAGAIN);
            }
            let mut changed = false;
            while moved <= limit && !changed {
                let Some(waiter) = first_for(&bucket, &from_key, &to_key)? else { break };
                match self.pi.with(|table| table.attempt(&waiter, named, owner.as_ref(), true))? {
                    Attempt::Again => {
                        changed = true;
                        continue;
                    }
                    Attempt::Taken => {
                        (named, owner) = (waiter.tid(), Some(waiter.task.clone()));
                        waiter.end(Ok(()));
                    }
                    Attempt::Queued => {}
                }
                remove_first(&mut bucket, &from_key);
                moved += 1;
            }
            if !changed {
                return Ok(moved);
            }
        }
        Err(Errno::EAGAIN)
    }
}

/// The first who waits on `key`. EINVAL if it does not wait there for the lock `target`.
fn first_for(
    bucket: &Bucket,
    key: &FutexKey,
    target: &FutexKey,
) -> SysResult<Option<Arc<PiWaiter>>> {
    let Some(first) = bucket.get(key).and_then(VecDeque::front) else { return Ok(None) };
    match &first.target {
        Some(waiter) if waiter.key == *target => Ok(Some(waiter.clone())),
        _ => Err(Errno::EINVAL),
    }
}

fn remove_first(bucket: &mut Bucket, key: &FutexKey) {
    if let Some(queue) = bucket.get_mut(key) {
        if let Some(first) = queue.pop_front() {
            first.woken.store(true, Ordering::SeqCst);
        }
        if queue.is_empty() {
            bucket.remove(key);
        }
    }
}

impl Task {
    /// Whom the word names as the owner, and the task of that id.
    fn named_owner(
        &self,
        mm: &MemoryManager,
        addr: UserAddr,
    ) -> SysResult<(u32, Option<Arc<Task>>)> {
        let named = mm.load_u32(addr)? & TID_MASK;
        let owner = self.kernel().processes.lock().task(named as Pid).cloned();
        Ok((named, owner))
    }

    /// FUTEX_LOCK_PI, and with `may_wait` false FUTEX_TRYLOCK_PI. EDEADLK where that would never
    /// end; ESRCH where the owner is gone; EINVAL where the word is not used as a PI futex.
    pub fn futex_lock_pi(
        self: &Arc<Task>,
        word: Word,
        deadline: Option<Instant>,
        may_wait: bool,
    ) -> CallResult<()> {
        let mm = self.mm();
        let futexes = &self.kernel().futexes;
        let waiter = PiWaiter::new(self, &mm, word)?;
        loop {
            let (named, owner) = self.named_owner(&mm, word.addr)?;
            let bucket = futexes.bucket(&waiter.key);
            if bucket.contains_key(&waiter.key) {
                return Err(Errno::EINVAL.into());
            }
            let attempt =
                futexes.pi.with(|table| table.attempt(&waiter, named, owner.as_ref(), may_wait));
            drop(bucket);
            match attempt? {
                Attempt::Taken => return Ok(()),
                Attempt::Queued => break,
                Attempt::Again if self.has_interruption() => {
                    return Err(crate::SysError::Restart(Restart::Always));
                }
                Attempt::Again => {}
            }
        }
        // The deadline is an absolute one, so that the call can be made again as it was.
        match self.wait_for_lock(&waiter, deadline) {
            Ok(outcome) => Ok(outcome?),
            Err(why) => Err(why.or(Restart::Always, Errno::ETIMEDOUT)),
        }
    }

    fn wait_for_lock(
        self: &Arc<Task>,
        waiter: &Arc<PiWaiter>,
        deadline: Option<Instant>,
    ) -> Result<SysResult<()>, Interrupted> {
        let result = self.block_registered(deadline, || waiter.outcome());
        // Given the lock and interrupted at once counts as given.
        result.or_else(|why| self.kernel().futexes.pi.with(|table| table.leave(waiter)).ok_or(why))
    }

    /// FUTEX_UNLOCK_PI. EPERM where the caller does not own the lock.
    pub fn futex_unlock_pi(self: &Arc<Task>, word: Word) -> SysResult<()> {
        let mm = self.mm();
        let tid = self.tid() as u32;
        for _ in 0..TRIES {
            let value = mm.load_u32(word.addr)?;
            if value & TID_MASK != tid {
                return Err(Errno::EPERM);
            }
            let key = word.key(&mm)?;
            let unlocked = self.kernel().futexes.pi.with(|table| {
                let Some(lock) = table.locks.get(&key) else {
                    return match mm.compare_exchange_u32(word.addr, value, 0)? {
                        Ok(_) => Ok(true),
                        Err(_) => Err(Errno::EAGAIN),
                    };
                };
                let next = lock.waiters.front().filter(|_| Arc::ptr_eq(&lock.owner, self));
                let new = WAITERS | next.ok_or(Errno::EINVAL)?.tid();
                match mm.compare_exchange_u32(word.addr, value, new)? {
                    Ok(_) => table.give(&key, Ok(())),
                    Err(found) if found & TID_MASK == tid => return Ok(false),
                    Err(_) => return Err(Errno::EINVAL),
                }
                Ok(true)
            })?;
            if unlocked {
                return Ok(());
            }
        }
        Err(Errno::EAGAIN)
    }

    /// FUTEX_WAIT_REQUEUE_PI: waits on `from` as FUTEX_WAIT does, until FUTEX_CMP_REQUEUE_PI, and
    /// then for the lock `to`.
    pub fn futex_wait_requeue_pi(
        self: &Arc<Task>,
        from: Word,
        value: u32,
        to: Word,
        deadline: Option<Instant>,
    ) -> CallResult<()> {
        let mm = self.mm();
        let key = from.key(&mm)?;
        let target = PiWaiter::new(self, &mm, to)?;
        if key == target.key {
            return Err(Errno::EINVAL.into());
        }
        let own = FutexWaiter::new(self, key, MATCH_ANY, Some(target.clone()));
        let futexes = &self.kernel().futexes;
        futexes.enqueue(&mm, from.addr, value, &own)?;
        let why = match self.block_registered(deadline, || target.outcome()) {
            Ok(outcome) => return Ok(outcome?),
            Err(why) => why,
        };
        if futexes.leave(&own) {
            return Err(why.or(Restart::Always, Errno::ETIMEDOUT));
        }
        // It waits for the lock already. Made again, the call would find another value.
        match futexes.pi.with(|table| table.leave(&target)) {
            Some(outcome) => Ok(outcome?),
            None if why == Interrupted::TimedOut => Err(Errno::ETIMEDOUT.into()),
            None => Err(Errno::EAGAIN.into()),
        }
    }
}
