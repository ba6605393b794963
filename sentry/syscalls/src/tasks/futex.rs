//! futex(2) and the robust list.

use crate::args::Flags;
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::futex::MATCH_ANY;
use kernel::time::{RestartBlock, deadline_at, deadline_in, monotonic, realtime};
use kernel::{CallResult, Interrupted, Restart, SysError, TaskContext};
use std::time::Instant;

const CLOCK_REALTIME: u32 = libc::FUTEX_CLOCK_REALTIME as u32;
const PRIVATE: u32 = libc::FUTEX_PRIVATE_FLAG as u32;

/// futex(2). The PI operations are not there.
pub(crate) fn futex(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    op: Flags,
    value: u32,
    timeout: u64,
    addr2: UserAddr,
    value3: u32,
) -> CallResult {
    let command = (op.0 & !(PRIVATE | CLOCK_REALTIME)) as i32;
    let private = op.0 & PRIVATE != 0;
    let realtime_clock = op.0 & CLOCK_REALTIME != 0;
    if realtime_clock && !matches!(command, libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT) {
        return Err(Errno::ENOSYS.into());
    }
    let task = cx.task;
    let mm = cx.mm();
    let futexes = &cx.kernel().futexes;
    // Negative counts are huge ones on Linux; for requeue they are refused.
    let signed = |value: u64| u32::try_from(value as i32).map_err(|_| Errno::EINVAL);
    match command {
        libc::FUTEX_WAIT => {
            let timeout = read_timeout(cx, UserAddr(timeout))?;
            let deadline = timeout.and_then(|time| deadline_in(time.to_duration()?));
            wait_until(cx, addr, private, value, MATCH_ANY, deadline.filter(|_| timeout.is_some()))
        }
        libc::FUTEX_WAIT_BITSET => {
            let timeout = read_timeout(cx, UserAddr(timeout))?;
            let now = if realtime_clock { realtime() } else { monotonic() };
            let deadline = timeout.and_then(|time| deadline_at(now, time));
            match task.futex_wait(addr, private, value, value3, deadline)? {
                Ok(()) => Ok(0),
                // An absolute deadline needs no restart block.
                Err(why) => Err(why.or(Restart::IfAllowed, Errno::ETIMEDOUT)),
            }
        }
        libc::FUTEX_WAKE => Ok(futexes.wake(&mm, addr, private, value.max(1), MATCH_ANY)?.into()),
        libc::FUTEX_WAKE_BITSET => {
            Ok(futexes.wake(&mm, addr, private, value.max(1), value3)?.into())
        }
        libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE => {
            let expected = (command == libc::FUTEX_CMP_REQUEUE).then_some(value3);
            let (wake, limit) = (signed(value.into())?, signed(timeout)?);
            let (woken, moved) =
                futexes.requeue(&mm, addr, addr2, private, wake, limit, expected)?;
            Ok(u64::from(woken) + if expected.is_some() { u64::from(moved) } else { 0 })
        }
        libc::FUTEX_WAKE_OP => {
            let count2 = timeout as u32;
            Ok(futexes.wake_op(&mm, addr, addr2, private, value, count2, value3)?.into())
        }
        _ => Err(Errno::ENOSYS.into()),
    }
}

fn read_timeout(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<Option<Timespec>> {
    let Some(addr) = addr.non_null() else { return Ok(None) };
    let time: Timespec = cx.read(addr)?;
    if time.is_valid() { Ok(Some(time)) } else { Err(Errno::EINVAL) }
}

/// FUTEX_WAIT with its relative timeout already turned into a moment.
pub(crate) fn wait_until(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    private: bool,
    value: u32,
    bitset: u32,
    deadline: Option<Instant>,
) -> CallResult {
    match cx.task.futex_wait(addr, private, value, bitset, deadline)? {
        Ok(()) => Ok(0),
        Err(Interrupted::TimedOut) => Err(Errno::ETIMEDOUT.into()),
        Err(Interrupted::Signal) if deadline.is_none() => {
            Err(SysError::Restart(Restart::IfAllowed))
        }
        Err(Interrupted::Signal) => {
            let block = RestartBlock::FutexWait { addr, value, bitset, private, deadline };
            cx.task.set_restart_block(block);
            Err(SysError::Restart(Restart::Block))
        }
    }
}

/// `sizeof(struct robust_list_head)`.
const ROBUST_HEAD_SIZE: usize = 24;

/// set_robust_list(2).
pub(crate) fn set_robust_list(
    cx: &mut TaskContext<'_>,
    head: UserAddr,
    size: usize,
) -> CallResult {
    if size != ROBUST_HEAD_SIZE {
        return Err(Errno::EINVAL.into());
    }
    cx.task.set_robust_list(head.0);
    Ok(0)
}

/// get_robust_list(2).
pub(crate) fn get_robust_list(
    cx: &mut TaskContext<'_>,
    tid: i32,
    head: UserAddr,
    size: UserAddr,
) -> CallResult {
    let task = match tid {
        0 => cx.task.clone(),
        tid => cx.kernel().processes.lock().task(tid).cloned().ok_or(Errno::ESRCH)?,
    };
    if !super::credentials::may_inspect(&cx.cred(), &task) {
        return Err(Errno::EPERM.into());
    }
    cx.write(size, &(ROBUST_HEAD_SIZE as u64))?;
    cx.write(head, &task.robust_list())?;
    Ok(0)
}
