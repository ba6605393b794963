//! One set of semaphores, and the operations on it.

use super::{MAX_VALUE, Totals, UndoList};
use crate::perm::{Perm, READ, WRITE, now};
use crate::slot::Slot;
use abi::ipc::{SemBuf, SemidDs};
use abi::{Errno, SysResult};
use parking_lot::{Mutex, MutexGuard};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::Credentials;

const IPC_NOWAIT: i16 = libc::IPC_NOWAIT as i16;
const SEM_UNDO: i16 = libc::SEM_UNDO as i16;

/// A set.
pub struct SemSet {
    id: i32,
    len: usize,
    state: Mutex<State>,
    totals: Arc<Totals>,
}

struct State {
    perm: Perm,
    removed: bool,
    sems: Vec<Sem>,
    otime: i64,
    ctime: i64,
    /// In the order in which they came.
    pending: VecDeque<Pending>,
    /// By the id of the [`UndoList`], then by semaphore.
    undo: HashMap<u64, BTreeMap<u16, i16>>,
}

#[derive(Clone, Copy, Default)]
struct Sem {
    value: i32,
    /// Who changed it last.
    pid: i32,
}

/// An operation that waits.
struct Pending {
    call: Call,
    /// Which of its parts cannot be done.
    blocking: SemBuf,
    slot: Arc<Slot<SysResult<()>>>,
}

/// One call of semop(2).
struct Call {
    ops: Vec<SemBuf>,
    pid: i32,
    undo: Option<u64>,
}

impl Call {
    fn alters(&self) -> bool {
        self.ops.iter().any(|op| op.op != 0)
    }
}

/// How an operation went.
pub enum Outcome {
    /// Done.
    Done,
    /// It has to wait.
    Wait(Waiting),
}

/// An operation that waits in a set; dropped, it is given up.
pub struct Waiting {
    set: Arc<SemSet>,
    slot: Arc<Slot<SysResult<()>>>,
}

impl Waiting {
    /// Where the result comes.
    pub fn slot(&self) -> &Slot<SysResult<()>> {
        &self.slot
    }

    /// Gives it up, unless it was done meanwhile: then the result.
    pub fn cancel(self) -> Option<SysResult<()>> {
        self.withdraw();
        self.slot.take()
    }

    fn withdraw(&self) {
        self.set.state.lock().pending.retain(|other| !Arc::ptr_eq(&other.slot, &self.slot));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Whether a call can be done now.
enum Attempt {
    Done,
    Blocked(SemBuf),
    Failed(Errno),
}

impl SemSet {
    pub(super) fn new(
        key: i32,
        id: i32,
        len: usize,
        flags: i32,
        cred: &Credentials,
        totals: &Arc<Totals>,
    ) -> Arc<SemSet> {
        totals.semaphores.fetch_add(len, Ordering::Relaxed);
        let state = State {
            perm: Perm::new(key, id, flags, cred),
            removed: false,
            sems: vec![Sem::default(); len],
            otime: 0,
            ctime: now(),
            pending: VecDeque::new(),
            undo: HashMap::new(),
        };
        Arc::new(SemSet { id, len, state: Mutex::new(state), totals: totals.clone() })
    }

    /// The identifier.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// How many semaphores it has.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.len
    }

    pub(super) fn check(&self, cred: &Credentials, wanted: u32) -> SysResult<()> {
        self.state.lock().perm.check(cred, wanted)
    }

    pub(super) fn check_owner(&self, cred: &Credentials) -> SysResult<()> {
        self.state.lock().perm.check_owner(cred)
    }

    /// Locked, with permission to do so. EACCES, EIDRM.
    fn access(&self, cred: &Credentials, wanted: u32) -> SysResult<MutexGuard<'_, State>> {
        let state = self.state.lock();
        state.perm.check(cred, wanted)?;
        if state.removed { Err(Errno::EIDRM) } else { Ok(state) }
    }

    /// semop(2). `undo`: the caller's list, for SEM_UNDO. EFBIG, EACCES, EIDRM, EAGAIN, ERANGE.
    pub fn operate(
        self: &Arc<SemSet>,
        ops: Vec<SemBuf>,
        undo: Option<&UndoList>,
        cred: &Credentials,
        pid: i32,
    ) -> SysResult<Outcome> {
        if ops.iter().any(|op| usize::from(op.num) >= self.len) {
            return Err(Errno::EFBIG);
        }
        let wanted = if ops.iter().any(|op| op.op != 0) { WRITE } else { READ };
        let mut state = self.access(cred, wanted)?;
        if let Some(undo) = undo {
            undo.note(self);
        }
        let call = Call { ops, pid, undo: undo.map(UndoList::id) };
        match state.attempt(&call, &self.totals) {
            Attempt::Failed(errno) => Err(errno),
            Attempt::Done => {
                state.otime = now();
                if call.alters() {
                    state.advance(&self.totals);
                }
                Ok(Outcome::Done)
            }
            Attempt::Blocked(op) if op.flags & IPC_NOWAIT != 0 => Err(Errno::EAGAIN),
            Attempt::Blocked(blocking) => {
                let slot = Slot::new();
                state.pending.push_back(Pending { call, blocking, slot: slot.clone() });
                Ok(Outcome::Wait(Waiting { set: self.clone(), slot }))
            }
        }
    }

    /// The end of those who had the list.
    pub(super) fn undo(&self, list: u64, pid: i32) {
        let mut state = self.state.lock();
        let Some(adjustments) = state.undo.remove(&list) else { return };
        self.totals.release_adjustments(adjustments.len());
        for (num, adjustment) in adjustments {
            if let Some(sem) = state.sems.get_mut(usize::from(num))
                && adjustment != 0
            {
                sem.value = (sem.value + i32::from(adjustment)).clamp(0, MAX_VALUE);
                sem.pid = pid;
            }
        }
        state.otime = now();
        state.advance(&self.totals);
    }

    /// IPC_RMID, after it was taken out of the table.
    pub(super) fn remove(&self) {
        let mut state = self.state.lock();
        state.removed = true;
        for pending in std::mem::take(&mut state.pending) {
            pending.slot.give(Err(Errno::EIDRM));
        }
        let undo = std::mem::take(&mut state.undo);
        self.totals.release_adjustments(undo.values().map(BTreeMap::len).sum());
    }

    /// IPC_STAT, SEM_STAT; SEM_STAT_ANY without credentials.
    pub fn stat(&self, cred: Option<&Credentials>) -> SysResult<SemidDs> {
        let state = match cred {
            Some(cred) => self.access(cred, READ)?,
            None => self.state.lock(),
        };
        Ok(SemidDs {
            perm: state.perm.to_user(),
            otime: state.otime,
            ctime: state.ctime,
            nsems: self.len as u64,
            ..SemidDs::default()
        })
    }

    /// IPC_SET.
    pub fn set(&self, new: &SemidDs, cred: &Credentials) -> SysResult<()> {
        let mut state = self.state.lock();
        state.perm.check_owner(cred)?;
        state.perm.set(&new.perm)?;
        state.ctime = now();
        Ok(())
    }

    fn sem<R>(
        &self,
        num: i32,
        cred: &Credentials,
        get: impl FnOnce(&State, u16) -> R,
    ) -> SysResult<R> {
        let state = self.access(cred, READ)?;
        let num = u16::try_from(num).ok().filter(|&num| usize::from(num) < self.len);
        Ok(get(&state, num.ok_or(Errno::EINVAL)?))
    }

    /// GETVAL.
    pub fn value(&self, num: i32, cred: &Credentials) -> SysResult<i32> {
        self.sem(num, cred, |state, num| state.sem(num).value)
    }

    /// GETPID.
    pub fn pid(&self, num: i32, cred: &Credentials) -> SysResult<i32> {
        self.sem(num, cred, |state, num| state.sem(num).pid)
    }

    /// GETNCNT, and GETZCNT (`zero`): how many wait for this semaphore to grow, or to be zero.
    pub fn waiting(&self, num: i32, zero: bool, cred: &Credentials) -> SysResult<usize> {
        self.sem(num, cred, |state, num| {
            let counts = |op: &SemBuf| op.num == num && (op.op == 0) == zero;
            state.pending.iter().filter(|pending| counts(&pending.blocking)).count()
        })
    }

    /// GETALL.
    pub fn values(&self, cred: &Credentials) -> SysResult<Vec<u16>> {
        let state = self.access(cred, READ)?;
        Ok(state.sems.iter().map(|sem| sem.value as u16).collect())
    }

    /// May the user call SETALL? EACCES, EIDRM: before the values are read.
    pub fn may_set(&self, cred: &Credentials) -> SysResult<()> {
        self.access(cred, WRITE).map(drop)
    }

    /// SETVAL. ERANGE, EINVAL.
    pub fn set_value(&self, num: i32, value: i32, cred: &Credentials, pid: i32) -> SysResult<()> {
        if !(0..=MAX_VALUE).contains(&value) {
            return Err(Errno::ERANGE);
        }
        let num = u16::try_from(num).ok().filter(|&num| usize::from(num) < self.len);
        let num = num.ok_or(Errno::EINVAL)?;
        let mut state = self.access(cred, WRITE)?;
        for adjustments in state.undo.values_mut() {
            let gone = adjustments.remove(&num).is_some();
            self.totals.release_adjustments(usize::from(gone));
        }
        state.assign(usize::from(num), value, pid);
        state.ctime = now();
        state.advance(&self.totals);
        Ok(())
    }

    /// SETALL. ERANGE.
    pub fn set_values(&self, values: &[u16], cred: &Credentials, pid: i32) -> SysResult<()> {
        if values.iter().any(|&value| i32::from(value) > MAX_VALUE) {
            return Err(Errno::ERANGE);
        }
        let mut state = self.access(cred, WRITE)?;
        let undo = std::mem::take(&mut state.undo);
        self.totals.release_adjustments(undo.values().map(BTreeMap::len).sum());
        for (num, &value) in values.iter().enumerate() {
            state.assign(num, value.into(), pid);
        }
        state.ctime = now();
        state.advance(&self.totals);
        Ok(())
    }
}

impl Drop for SemSet {
    fn drop(&mut self) {
        self.totals.semaphores.fetch_sub(self.len, Ordering::Relaxed);
    }
}

impl State {
    fn sem(&self, num: u16) -> Sem {
        self.sems.get(usize::from(num)).copied().unwrap_or_default()
    }

    fn assign(&mut self, num: usize, value: i32, pid: i32) {
        if let Some(sem) = self.sems.get_mut(num) {
            *sem = Sem { value, pid };
        }
    }

    /// Does all parts of a call, or none.
    fn attempt(&mut self, call: &Call, totals: &Totals) -> Attempt {
        let mut done = 0;
        let mut result = Attempt::Done;
        for op in &call.ops {
            match self.step(op, call.undo, totals) {
                Attempt::Done => done += 1,
                other => {
                    result = other;
                    break;
                }
            }
        }
        if let Attempt::Done = result {
            for op in &call.ops {
                if let Some(sem) = self.sems.get_mut(usize::from(op.num)) {
                    sem.pid = call.pid;
                }
            }
            return result;
        }
        for op in call.ops.get(..done).unwrap_or_default().iter().rev() {
            if let Some(sem) = self.sems.get_mut(usize::from(op.num)) {
                sem.value -= i32::from(op.op);
            }
            if let Some(adjustment) = self.adjustment(op, call.undo) {
                *adjustment += op.op;
            }
        }
        result
    }

    /// One part.
    fn step(&mut self, op: &SemBuf, undo: Option<u64>, totals: &Totals) -> Attempt {
        let value = self.sem(op.num).value + i32::from(op.op);
        if op.op == 0 && value != 0 || value < 0 {
            return Attempt::Blocked(*op);
        }
        if value > MAX_VALUE {
            return Attempt::Failed(Errno::ERANGE);
        }
        if op.flags & SEM_UNDO != 0
            && op.op != 0
            && let Some(list) = undo
        {
            let adjustments = self.undo.entry(list).or_default();
            let adjustment = match adjustments.entry(op.num) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => match totals.take_adjustment() {
                    Ok(()) => entry.insert(0),
                    Err(errno) => return Attempt::Failed(errno),
                },
            };
            let sum = i32::from(*adjustment) - i32::from(op.op);
            // SEMAEM, and one more below.
            match i16::try_from(sum) {
                Ok(sum) => *adjustment = sum,
                Err(_) => return Attempt::Failed(Errno::ERANGE),
            }
        }
        if let Some(sem) = self.sems.get_mut(usize::from(op.num)) {
            sem.value = value;
        }
        Attempt::Done
    }

    fn adjustment(&mut self, op: &SemBuf, undo: Option<u64>) -> Option<&mut i16> {
        if op.flags & SEM_UNDO == 0 || op.op == 0 {
            return None;
        }
        self.undo.get_mut(&undo?)?.get_mut(&op.num)
    }

    /// Values have changed: does what can be done of what waits.
    fn advance(&mut self, totals: &Totals) {
        while self.advance_once(false, totals) || self.advance_once(true, totals) {}
    }

    /// Goes through those that alter nothing, or through the others until one has altered
    /// something: then true, for the rest may be different now.
    fn advance_once(&mut self, alter: bool, totals: &Totals) -> bool {
        let mut at = 0;
        while let Some(pending) = self.pending.get(at) {
            if pending.call.alters() != alter {
                at += 1;
                continue;
            }
            let Some(mut pending) = self.pending.remove(at) else { return false };
            match self.attempt(&pending.call, totals) {
                Attempt::Blocked(blocking) if blocking.flags & IPC_NOWAIT == 0 => {
                    pending.blocking = blocking;
                    self.pending.insert(at, pending);
                    at += 1;
                }
                Attempt::Blocked(_) => pending.slot.give(Err(Errno::EAGAIN)),
                Attempt::Failed(errno) => pending.slot.give(Err(errno)),
                Attempt::Done => {
                    self.otime = now();
                    pending.slot.give(Ok(()));
                    if alter {
                        return true;
                    }
                }
            }
        }
        false
    }
}
