//! futex(2), its successors, and the robust list.

use crate::args::Flags;
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::futex::{MATCH_ANY, Word};
use kernel::time::{RestartBlock, deadline_at, deadline_in, monotonic, realtime};
use kernel::{CallResult, Interrupted, Restart, SysError, TaskContext};
use std::time::Instant;

const CLOCK_REALTIME: u32 = libc::FUTEX_CLOCK_REALTIME as u32;
const PRIVATE: u32 = libc::FUTEX_PRIVATE_FLAG as u32;

/// futex(2).
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
    let may_choose_clock = matches!(
        command,
        libc::FUTEX_WAIT_BITSET
            | libc::FUTEX_WAIT
            | libc::FUTEX_WAIT_REQUEUE_PI
            | libc::FUTEX_LOCK_PI2
    );
    if realtime_clock && !may_choose_clock {
        return Err(Errno::ENOSYS.into());
    }
    let task = cx.task;
    let mm = cx.mm();
    let futexes = &cx.kernel().futexes;
    let (word, word2) = (Word { addr, private }, Word { addr: addr2, private });
    let clock = if realtime_clock { realtime } else { monotonic };
    // Waking nobody, or a negative number, wakes one.
    let wakes = u32::try_from(value as i32).unwrap_or(1).max(1);
    // For requeue, negative numbers are refused.
    let signed = |value: u64| u32::try_from(value as i32).map_err(|_| Errno::EINVAL);
    match command {
        libc::FUTEX_WAIT => {
            let timeout = read_timeout(cx, UserAddr(timeout))?;
            let deadline = timeout.and_then(|time| deadline_in(time.to_duration()?));
            wait_until(cx, addr, private, value, MATCH_ANY, deadline.filter(|_| timeout.is_some()))
        }
        libc::FUTEX_WAIT_BITSET => {
            let deadline = absolute_deadline(cx, UserAddr(timeout), clock)?;
            match task.futex_wait(addr, private, value, value3, deadline)? {
                Ok(()) => Ok(0),
                // An absolute deadline needs no restart block.
                Err(why) => Err(why.or(Restart::IfAllowed, Errno::ETIMEDOUT)),
            }
        }
        libc::FUTEX_WAKE => Ok(futexes.wake(&mm, addr, private, wakes, MATCH_ANY)?.into()),
        libc::FUTEX_WAKE_BITSET => Ok(futexes.wake(&mm, addr, private, wakes, value3)?.into()),
        libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE => {
            let expected = (command == libc::FUTEX_CMP_REQUEUE).then_some(value3);
            let (wake, limit) = (signed(value.into())?, signed(timeout)?);
            let (woken, moved) = futexes.requeue(&mm, word, word2, wake, limit, expected)?;
            Ok(u64::from(woken) + if expected.is_some() { u64::from(moved) } else { 0 })
        }
        libc::FUTEX_WAKE_OP => {
            let count2 = timeout as u32;
            Ok(futexes.wake_op(&mm, addr, addr2, private, value, count2, value3)?.into())
        }
        libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2 => {
            let clock = if command == libc::FUTEX_LOCK_PI { realtime } else { clock };
            let deadline = absolute_deadline(cx, UserAddr(timeout), clock)?;
            task.futex_lock_pi(word, deadline, true)?;
            Ok(0)
        }
        libc::FUTEX_TRYLOCK_PI => {
            task.futex_lock_pi(word, None, false)?;
            Ok(0)
        }
        libc::FUTEX_UNLOCK_PI => {
            task.futex_unlock_pi(word)?;
            Ok(0)
        }
        libc::FUTEX_WAIT_REQUEUE_PI => {
            let deadline = absolute_deadline(cx, UserAddr(timeout), clock)?;
            task.futex_wait_requeue_pi(word, value, word2, deadline)?;
            Ok(0)
        }
        libc::FUTEX_CMP_REQUEUE_PI => {
            let limit = signed(timeout)?;
            if value != 1 {
                return Err(Errno::EINVAL.into());
            }
            Ok(futexes.requeue_pi(task, word, word2, limit, value3)?.into())
        }
        _ => Err(Errno::ENOSYS.into()),
    }
}

/// The moment at which `clock` will show the time at `addr`; None for no time.
fn absolute_deadline(
    cx: &TaskContext<'_>,
    addr: UserAddr,
    clock: fn() -> Timespec,
) -> SysResult<Option<Instant>> {
    let timeout = read_timeout(cx, addr)?;
    Ok(timeout.and_then(|time| deadline_at(clock(), time)))
}

pub(super) fn read_timeout(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<Option<Timespec>> {
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
pub(crate) fn set_robust_list(cx: &mut TaskContext<'_>, head: UserAddr, size: usize) -> CallResult {
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
    super::credentials::check_inspect(cx, &task)?;
    cx.write(size, &(ROBUST_HEAD_SIZE as u64))?;
    cx.write(head, &task.robust_list())?;
    Ok(0)
}
