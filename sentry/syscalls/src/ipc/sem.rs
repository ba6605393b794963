//! System V semaphores.

use abi::ipc::SemBuf;
use abi::time::Timespec;
use abi::{Errno, UserAddr};
use ipc::sem::{MAX_OPERATIONS, Outcome};
use kernel::time::deadline_in;
use kernel::{CallResult, Interrupted, TaskContext};
use zerocopy::IntoBytes;

const SEM_STAT: i32 = 18;
const SEM_INFO: i32 = 19;
const SEM_STAT_ANY: i32 = 20;
const GETPID: i32 = 11;
const GETVAL: i32 = 12;
const GETALL: i32 = 13;
const GETNCNT: i32 = 14;
const GETZCNT: i32 = 15;
const SETVAL: i32 = 16;
const SETALL: i32 = 17;

/// semget(2).
pub(crate) fn semget(cx: &mut TaskContext<'_>, key: i32, count: i32, flags: i32) -> CallResult {
    Ok(cx.kernel().ipc.sem.get(key, count, flags, &cx.cred())? as u64)
}

/// semop(2).
pub(crate) fn semop(cx: &mut TaskContext<'_>, id: i32, ops: UserAddr, count: u32) -> CallResult {
    operate(cx, id, ops, count, None)
}

/// semtimedop(2).
pub(crate) fn semtimedop(
    cx: &mut TaskContext<'_>,
    id: i32,
    ops: UserAddr,
    count: u32,
    timeout: UserAddr,
) -> CallResult {
    let timeout = timeout.non_null().map(|addr| cx.read::<Timespec>(addr)).transpose()?;
    operate(cx, id, ops, count, timeout)
}

fn operate(
    cx: &mut TaskContext<'_>,
    id: i32,
    addr: UserAddr,
    count: u32,
    timeout: Option<Timespec>,
) -> CallResult {
    let count = count as usize;
    if count > MAX_OPERATIONS {
        return Err(Errno::E2BIG.into());
    }
    if count == 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut ops = vec![SemBuf::default(); count];
    cx.mm().read_bytes(addr, ops.as_mut_bytes())?;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    let timeout = timeout.map(|time| time.to_duration().ok_or(Errno::EINVAL)).transpose()?;
    let deadline = timeout.and_then(deadline_in);
    let set = cx.kernel().ipc.sem.by_id(id)?;
    let undoes = ops.iter().any(|op| op.flags & libc::SEM_UNDO as i16 != 0);
    let undo = undoes.then(|| cx.task.sem_undo());
    let waiting = match set.operate(ops, undo.as_deref(), &cx.cred(), cx.group().pid())? {
        Outcome::Done => return Ok(0),
        Outcome::Wait(waiting) => waiting,
    };
    let slot = waiting.slot();
    let result = cx.task.block_on(&[(slot.queue(), 1)], deadline, || slot.take());
    // Never restarted, whatever the handler says: signal(7).
    let result = result.or_else(|why| {
        waiting.cancel().ok_or(match why {
            Interrupted::Signal => Errno::EINTR,
            Interrupted::TimedOut => Errno::EAGAIN,
        })
    })?;
    result?;
    Ok(0)
}

/// semctl(2).
pub(crate) fn semctl(
    cx: &mut TaskContext<'_>,
    id: i32,
    num: i32,
    cmd: i32,
    arg: u64,
) -> CallResult {
    let (cred, pid) = (cx.cred(), cx.group().pid());
    let sem = &cx.kernel().ipc.sem;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    let addr = UserAddr(arg);
    let value = match cmd {
        libc::IPC_INFO | SEM_INFO => {
            let (info, max) = sem.info(cmd == SEM_INFO);
            cx.write(addr, &info)?;
            max as u64
        }
        libc::IPC_STAT => {
            cx.write(addr, &sem.by_id(id)?.stat(Some(&cred))?)?;
            0
        }
        SEM_STAT | SEM_STAT_ANY => {
            let (id, stat) = sem.stat_index(id, (cmd == SEM_STAT).then_some(&*cred))?;
            cx.write(addr, &stat)?;
            id as u64
        }
        libc::IPC_SET => {
            let new = cx.read(addr)?;
            sem.by_id(id)?.set(&new, &cred)?;
            0
        }
        libc::IPC_RMID => {
            sem.remove(id, &cred)?;
            0
        }
        GETALL => {
            let values = sem.by_id(id)?.values(&cred)?;
            cx.mm().write_bytes(addr, values.as_bytes())?;
            0
        }
        SETALL => {
            let set = sem.by_id(id)?;
            set.may_set(&cred)?;
            let mut values = vec![0u16; set.len()];
            cx.mm().read_bytes(addr, values.as_mut_bytes())?;
            set.set_values(&values, &cred, pid)?;
            0
        }
        SETVAL => {
            // The union's int; a bad value is noticed before a bad set.
            let value = arg as i32;
            if !(0..=ipc::sem::MAX_VALUE).contains(&value) {
                return Err(Errno::ERANGE.into());
            }
            sem.by_id(id)?.set_value(num, value, &cred, pid)?;
            0
        }
        GETVAL => sem.by_id(id)?.value(num, &cred)? as u64,
        GETPID => sem.by_id(id)?.pid(num, &cred)? as u64,
        GETNCNT | GETZCNT => sem.by_id(id)?.waiting(num, cmd == GETZCNT, &cred)? as u64,
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(value)
}
