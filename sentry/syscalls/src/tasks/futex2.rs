//! futex_waitv(2), futex_wake(2), futex_wait(2), futex_requeue(2): the calls that give each word
//! its own flags.

use super::futex::read_timeout;
use crate::args::Flags;
use abi::{Errno, SysResult, UserAddr};
use kernel::futex::Word;
use kernel::time::{deadline_at, monotonic, realtime};
use kernel::{CallResult, Restart, TaskContext};
use std::time::Instant;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct futex_waitv`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
pub(crate) struct WaitEntry {
    value: u64,
    addr: u64,
    flags: u32,
    reserved: u32,
}

/// FUTEX_WAITV_MAX.
const MAX_WORDS: u32 = 128;

/// FUTEX2_SIZE_U32, the only size that there is, and FUTEX2_PRIVATE. Words of a NUMA node or a
/// memory policy (4 and 8) are refused, as by kernels without them.
const SIZE_U32: u32 = 2;
const PRIVATE: u32 = 128;

/// The word that flags describe. EINVAL for what is not there.
fn word(addr: u64, flags: u32) -> SysResult<Word> {
    if flags & !PRIVATE != SIZE_U32 {
        return Err(Errno::EINVAL);
    }
    Ok(Word { addr: UserAddr(addr), private: flags & PRIVATE != 0 })
}

/// A value (or a mask) for a word of 32 bits.
fn narrow(value: u64) -> SysResult<u32> {
    u32::try_from(value).map_err(|_| Errno::EINVAL)
}

impl WaitEntry {
    fn parse(&self) -> SysResult<(Word, u32)> {
        if self.reserved != 0 {
            return Err(Errno::EINVAL);
        }
        Ok((word(self.addr, self.flags)?, narrow(self.value)?))
    }
}

fn read_entries(
    cx: &TaskContext<'_>,
    entries: UserAddr,
    count: u32,
) -> SysResult<Vec<(Word, u32)>> {
    let at = |index: u32| entries.offset(u64::from(index) * size_of::<WaitEntry>() as u64);
    (0..count).map(|index| cx.read::<WaitEntry>(at(index))?.parse()).collect()
}

/// The absolute timeout, by CLOCK_MONOTONIC or CLOCK_REALTIME.
fn deadline(cx: &TaskContext<'_>, timeout: UserAddr, clock: i32) -> SysResult<Option<Instant>> {
    if timeout.is_null() {
        return Ok(None);
    }
    let now = match clock {
        libc::CLOCK_MONOTONIC => monotonic,
        libc::CLOCK_REALTIME => realtime,
        _ => return Err(Errno::EINVAL),
    };
    Ok(read_timeout(cx, timeout)?.and_then(|time| deadline_at(now(), time)))
}

/// futex_waitv(2).
pub(crate) fn futex_waitv(
    cx: &mut TaskContext<'_>,
    entries: UserAddr,
    count: u32,
    flags: Flags,
    timeout: UserAddr,
    clock: i32,
) -> CallResult {
    if flags.0 != 0 || count == 0 || count > MAX_WORDS || entries.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let deadline = deadline(cx, timeout, clock)?;
    let words = read_entries(cx, entries, count)?;
    match cx.task.futex_waitv(&words, deadline)? {
        Ok(woken) => Ok(woken as u64),
        Err(why) => Err(why.or(Restart::IfAllowed, Errno::ETIMEDOUT)),
    }
}

/// futex_wake(2).
pub(crate) fn futex_wake(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    mask: u64,
    count: i32,
    flags: Flags,
) -> CallResult {
    let word = word(addr.0, flags.0)?;
    let mask = narrow(mask)?;
    if mask == 0 {
        return Err(Errno::EINVAL.into());
    }
    // Unlike futex(2), none is none; a negative number is still one.
    let count = if count < 0 { 1 } else { count as u32 };
    Ok(cx.kernel().futexes.wake(&cx.mm(), word.addr, word.private, count, mask)?.into())
}

/// futex_wait(2).
pub(crate) fn futex_wait(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    value: u64,
    mask: u64,
    flags: Flags,
    timeout: UserAddr,
    clock: i32,
) -> CallResult {
    let word = word(addr.0, flags.0)?;
    let (value, mask) = (narrow(value)?, narrow(mask)?);
    let deadline = deadline(cx, timeout, clock)?;
    match cx.task.futex_wait(word.addr, word.private, value, mask, deadline)? {
        Ok(()) => Ok(0),
        Err(why) => Err(why.or(Restart::IfAllowed, Errno::ETIMEDOUT)),
    }
}

/// futex_requeue(2).
pub(crate) fn futex_requeue(
    cx: &mut TaskContext<'_>,
    entries: UserAddr,
    flags: Flags,
    wake: i32,
    limit: i32,
) -> CallResult {
    if flags.0 != 0 || entries.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let words = read_entries(cx, entries, 2)?;
    let [(from, expected), (to, _)] = words[..] else { return Err(Errno::EINVAL.into()) };
    let count = |number: i32| u32::try_from(number).map_err(|_| Errno::EINVAL);
    let (wake, limit) = (count(wake)?, count(limit)?);
    let futexes = &cx.kernel().futexes;
    let (woken, moved) = futexes.requeue(&cx.mm(), from, to, wake, limit, Some(expected))?;
    Ok(u64::from(woken) + u64::from(moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_32_bits() {
        let entry = WaitEntry { value: 7, addr: 64, flags: SIZE_U32 | PRIVATE, reserved: 0 };
        let (word, value) = entry.parse().unwrap();
        assert_eq!((word.addr.0, word.private, value), (64, true, 7));
        for flags in [0, 1, 3, SIZE_U32 | 4, SIZE_U32 | 8, SIZE_U32 | 256] {
            assert_eq!(WaitEntry { flags, ..entry }.parse().map(drop), Err(Errno::EINVAL));
        }
        let wide = WaitEntry { value: 1 << 32, ..entry };
        assert_eq!(wide.parse().map(drop), Err(Errno::EINVAL));
        let reserved = WaitEntry { reserved: 1, ..entry };
        assert_eq!(reserved.parse().map(drop), Err(Errno::EINVAL));
    }
}
