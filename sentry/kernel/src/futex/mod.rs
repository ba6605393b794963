//! Futexes: futex(2), futex_waitv(2), and what exiting threads do about them.
//!
//! A waiter sits in the bucket of its key's hash. Comparing the word and queueing happen under the
//! bucket's lock, and so does waking; so no wake is lost. PI futexes have a table of their own:
//! `pi.rs`.

pub(crate) mod pi;
mod robust;
mod waitv;

use crate::error::{CallResult, Interrupted};
use crate::task::Task;
use abi::{Errno, SysResult, UserAddr};
use mm::{FutexKey, MemoryManager};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use wait::{Waiter, Wake};

use pi::{PiLocks, PiWaiter};

/// FUTEX_BITSET_MATCH_ANY.
pub const MATCH_ANY: u32 = u32::MAX;

/// FUTEX_WAITERS, FUTEX_OWNER_DIED, FUTEX_TID_MASK.
const WAITERS: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;

/// The kernel's ROBUST_LIST_LIMIT.
const ROBUST_LIST_LIMIT: usize = 2048;

const BUCKETS: usize = 64;

type Bucket = HashMap<FutexKey, VecDeque<Arc<FutexWaiter>>>;

/// All who wait on a futex.
pub struct Futexes {
    buckets: [Mutex<Bucket>; BUCKETS],
    pub(crate) pi: PiLocks,
    hasher: RandomState,
}

struct FutexWaiter {
    bitset: u32,
    woken: AtomicBool,
    /// Where it waits now; a requeue changes it. Changed with the bucket (both buckets) locked.
    key: Mutex<FutexKey>,
    /// FUTEX_WAIT_REQUEUE_PI: the lock that it wants in the end. Such a one is never woken by
    /// FUTEX_WAKE.
    target: Option<Arc<PiWaiter>>,
    waiter: Arc<Waiter>,
}

impl FutexWaiter {
    fn new(
        task: &Task,
        key: FutexKey,
        bitset: u32,
        target: Option<Arc<PiWaiter>>,
    ) -> Arc<FutexWaiter> {
        Arc::new(FutexWaiter {
            bitset,
            woken: AtomicBool::new(false),
            key: Mutex::new(key),
            target,
            waiter: task.waiter.clone(),
        })
    }
}

/// A futex as a call names it.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Where it is.
    pub addr: UserAddr,
    /// FUTEX_PRIVATE_FLAG: of this address space only.
    pub private: bool,
}

impl Word {
    /// What identifies it. EINVAL if it is not aligned; EFAULT.
    fn key(&self, mm: &MemoryManager) -> SysResult<FutexKey> {
        check_address(self.addr)?;
        mm.futex_key(self.addr, self.private)
    }
}

impl Default for Futexes {
    fn default() -> Futexes {
        Futexes {
            buckets: std::array::from_fn(|_| Mutex::default()),
            pi: PiLocks::default(),
            hasher: RandomState::new(),
        }
    }
}

impl Futexes {
    fn index(&self, key: &FutexKey) -> usize {
        self.hasher.hash_one(key) as usize % BUCKETS
    }

    fn bucket(&self, key: &FutexKey) -> MutexGuard<'_, Bucket> {
        self.buckets[self.index(key)].lock()
    }

    /// Wakes up to `count` of those who wait on `addr` and listen to `bitset`.
    pub fn wake(
        &self,
        mm: &MemoryManager,
        addr: UserAddr,
        private: bool,
        count: u32,
        bitset: u32,
    ) -> SysResult<u32> {
        check_address(addr)?;
        if bitset == 0 {
            return Err(Errno::EINVAL);
        }
        let key = mm.futex_key(addr, private)?;
        if self.pi.holds(&key) {
            return Err(Errno::EINVAL);
        }
        wake_in(&mut self.bucket(&key), &key, count, bitset)
    }

    /// Wakes one waiter of either kind: what the kernel itself does at thread exit.
    pub(crate) fn wake_at(&self, mm: &MemoryManager, addr: UserAddr) {
        let _ = self.wake(mm, addr, false, 1, MATCH_ANY);
        let _ = self.wake(mm, addr, true, 1, MATCH_ANY);
    }

    /// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes `wake`, moves up to `limit` others to `to`.
    /// Returns how many were woken and moved. EAGAIN where the word is not `expected`.
    pub fn requeue(
        &self,
        mm: &MemoryManager,
        from: Word,
        to: Word,
        wake: u32,
        limit: u32,
        expected: Option<u32>,
    ) -> SysResult<(u32, u32)> {
        let (from_key, to_key) = (from.key(mm)?, to.key(mm)?);
        if self.pi.holds(&from_key) {
            return Err(Errno::EINVAL);
        }
        let (a, b) = (self.index(&from_key), self.index(&to_key));
        // Two buckets are locked in order of their place.
        let mut first = self.buckets[a.min(b)].lock();
        let mut second = (a != b).then(|| self.buckets[a.max(b)].lock());
        if let Some(expected) = expected
            && mm.load_u32(from.addr)? != expected
        {
            return Err(Errno::EAGAIN);
        }
        let from_is_first = a <= b;
        let woken = {
            let bucket = match (&mut second, from_is_first) {
                (Some(second), false) => &mut **second,
                _ => &mut *first,
            };
            wake_in(bucket, &from_key, wake, MATCH_ANY)?
        };
        if from_key == to_key {
            let waiting = first.get(&from_key).map_or(0, VecDeque::len);
            return Ok((woken, waiting.min(limit as usize) as u32));
        }
        let mut moved = Vec::new();
        {
            let bucket = match (&mut second, from_is_first) {
                (Some(second), false) => &mut **second,
                _ => &mut *first,
            };
            if let Some(queue) = bucket.get_mut(&from_key) {
                let count = queue.len().min(limit as usize);
                if queue.iter().take(count).any(|waiter| waiter.target.is_some()) {
                    return Err(Errno::EINVAL);
                }
                moved.extend(queue.drain(..count));
                if queue.is_empty() {
                    bucket.remove(&from_key);
                }
            }
        }
        let count = moved.len() as u32;
        if count > 0 {
            let bucket = match (&mut second, from_is_first) {
                (Some(second), true) => &mut **second,
                _ => &mut *first,
            };
            let queue = bucket.entry(to_key).or_default();
            for waiter in moved {
                *waiter.key.lock() = to_key;
                queue.push_back(waiter);
            }
        }
        Ok((woken, count))
    }

    /// FUTEX_WAKE_OP: changes the word at `second` as `op` says, wakes `count` on `first` and, if
    /// the old value passes the comparison, `count2` on `second`.
    #[allow(clippy::too_many_arguments)] // they are the call's
    pub fn wake_op(
        &self,
        mm: &MemoryManager,
        first: UserAddr,
        second: UserAddr,
        private: bool,
        count: u32,
        count2: u32,
        op: u32,
    ) -> SysResult<u32> {
        check_address(first)?;
        check_address(second)?;
        let sign_extend = |field: u32| (field << 20) as i32 >> 20;
        let mut operand = sign_extend(op >> 12 & 0xfff) as u32;
        let compared = sign_extend(op & 0xfff);
        if op & 0x8000_0000 != 0 {
            operand = 1u32.wrapping_shl(operand & 31);
        }
        let change = |old: u32| match op >> 28 & 7 {
            0 => Some(operand),
            1 => Some(old.wrapping_add(operand)),
            2 => Some(old | operand),
            3 => Some(old & !operand),
            4 => Some(old ^ operand),
            _ => None,
        };
        change(0).ok_or(Errno::ENOSYS)?;
        let old = loop {
            let old = mm.load_u32(second)?;
            let new = change(old).ok_or(Errno::ENOSYS)?;
            if mm.compare_exchange_u32(second, old, new)?.is_ok() {
                break old as i32;
            }
        };
        let mut woken = self.wake(mm, first, private, count, MATCH_ANY)?;
        let passes = match op >> 24 & 0xf {
            0 => old == compared,
            1 => old != compared,
            2 => old < compared,
            3 => old <= compared,
            4 => old > compared,
            5 => old >= compared,
            _ => return Err(Errno::ENOSYS),
        };
        if passes {
            woken += self.wake(mm, second, private, count2, MATCH_ANY)?;
        }
        Ok(woken)
    }

    /// Puts the waiter into its queue, if the word holds `value`; else EAGAIN.
    fn enqueue(
        &self,
        mm: &MemoryManager,
        addr: UserAddr,
        value: u32,
        own: &Arc<FutexWaiter>,
    ) -> SysResult<()> {
        let key = *own.key.lock();
        let mut bucket = self.bucket(&key);
        if mm.load_u32(addr)? != value {
            return Err(Errno::EAGAIN);
        }
        bucket.entry(key).or_default().push_back(own.clone());
        Ok(())
    }

    /// Takes the waiter out of its queue. False: it had been woken.
    fn leave(&self, waiter: &Arc<FutexWaiter>) -> bool {
        loop {
            let key = *waiter.key.lock();
            let mut bucket = self.bucket(&key);
            if *waiter.key.lock() != key {
                continue; // requeued meanwhile
            }
            if waiter.woken.load(Ordering::SeqCst) {
                return false;
            }
            if let Some(queue) = bucket.get_mut(&key) {
                queue.retain(|other| !Arc::ptr_eq(other, waiter));
                if queue.is_empty() {
                    bucket.remove(&key);
                }
            }
            return true;
        }
    }
}

fn check_address(addr: UserAddr) -> SysResult<()> {
    if addr.0.is_multiple_of(4) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// EINVAL at one who waits for FUTEX_CMP_REQUEUE_PI.
fn wake_in(bucket: &mut Bucket, key: &FutexKey, count: u32, bitset: u32) -> SysResult<u32> {
    let Some(queue) = bucket.get_mut(key) else { return Ok(0) };
    let mut woken = 0;
    let mut at = 0;
    while woken < count && at < queue.len() {
        if queue[at].target.is_some() {
            return Err(Errno::EINVAL);
        }
        if queue[at].bitset & bitset == 0 {
            at += 1;
            continue;
        }
        if let Some(waiter) = queue.remove(at) {
            waiter.woken.store(true, Ordering::SeqCst);
            waiter.waiter.wake(1);
            woken += 1;
        }
    }
    if queue.is_empty() {
        bucket.remove(key);
    }
    Ok(woken)
}

impl Task {
    /// FUTEX_WAIT: sleeps while the word holds `value`, until woken. EAGAIN where it holds
    /// something else already.
    pub fn futex_wait(
        self: &Arc<Task>,
        addr: UserAddr,
        private: bool,
        value: u32,
        bitset: u32,
        deadline: Option<Instant>,
    ) -> CallResult<Result<(), Interrupted>> {
        check_address(addr)?;
        if bitset == 0 {
            return Err(Errno::EINVAL.into());
        }
        let mm = self.mm();
        let futexes = &self.kernel().futexes;
        let key = mm.futex_key(addr, private)?;
        let own = FutexWaiter::new(self, key, bitset, None);
        futexes.enqueue(&mm, addr, value, &own)?;
        let result =
            self.block_registered(deadline, || own.woken.load(Ordering::SeqCst).then_some(()));
        // Woken and interrupted at once counts as woken.
        match result {
            Err(_) if !futexes.leave(&own) => Ok(Ok(())),
            other => Ok(other),
        }
    }
}
