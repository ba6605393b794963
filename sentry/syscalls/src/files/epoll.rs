//! epoll(7).

use super::poll::set_mask;
use crate::args::Flags;
use abi::file::{OpenFlags, PollEvents};
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use fs::epoll::{EPOLL_CTL_DEL, Epoll, EpollEvent};
use kernel::time::deadline_in;
use kernel::{CallResult, Interrupted, TaskContext};
use std::time::{Duration, Instant};
use vfs::{Fd, OpenFile};

/// `struct epoll_event` is packed on x86-64.
const EVENT_LEN: usize = 12;

/// The most events of one call: there are more in the next.
const MAX_EVENTS: usize = 4096;

fn to_bytes(event: EpollEvent) -> [u8; EVENT_LEN] {
    let mut bytes = [0; EVENT_LEN];
    bytes[..4].copy_from_slice(&event.events.to_ne_bytes());
    bytes[4..].copy_from_slice(&event.data.to_ne_bytes());
    bytes
}

fn read_event(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<EpollEvent> {
    let words: [u32; 3] = cx.read(addr)?;
    let data = u64::from(words[1]) | u64::from(words[2]) << 32;
    Ok(EpollEvent { events: words[0], data })
}

fn instance(file: &OpenFile) -> SysResult<&Epoll> {
    file.ops_as::<Epoll>().ok_or(Errno::EINVAL)
}

/// epoll_create(2).
pub(crate) fn epoll_create(cx: &mut TaskContext<'_>, size: i32) -> CallResult {
    if size <= 0 {
        return Err(Errno::EINVAL.into());
    }
    epoll_create1(cx, Flags(0))
}

/// epoll_create1(2).
pub(crate) fn epoll_create1(cx: &mut TaskContext<'_>, flags: Flags) -> CallResult {
    if flags.0 & !OpenFlags::CLOEXEC.bits() != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = fs::anon::open_file("eventpoll", Epoll::new(), OpenFlags::RDWR);
    Ok(cx.install(file, flags.0 != 0)?.0 as u64)
}

/// epoll_ctl(2).
pub(crate) fn epoll_ctl(
    cx: &mut TaskContext<'_>,
    epfd: Fd,
    op: i32,
    fd: Fd,
    event: UserAddr,
) -> CallResult {
    let event = match op {
        EPOLL_CTL_DEL => EpollEvent { events: 0, data: 0 },
        _ => read_event(cx, event)?,
    };
    let epoll = cx.file(epfd)?;
    let target = cx.file(fd)?;
    if target.ops().wait_queue().is_none() {
        return Err(Errno::EPERM.into());
    }
    instance(&epoll)?.ctl(op, fd.0, &target, event)?;
    Ok(0)
}

/// epoll_wait(2).
pub(crate) fn epoll_wait(
    cx: &mut TaskContext<'_>,
    epfd: Fd,
    events: UserAddr,
    max: i32,
    timeout: i32,
) -> CallResult {
    wait(cx, epfd, events, max, millis(timeout))
}

/// epoll_pwait(2).
pub(crate) fn epoll_pwait(
    cx: &mut TaskContext<'_>,
    epfd: Fd,
    events: UserAddr,
    max: i32,
    timeout: i32,
    mask: UserAddr,
    mask_size: usize,
) -> CallResult {
    set_mask(cx, mask, mask_size)?;
    let result = wait(cx, epfd, events, max, millis(timeout));
    finish(cx, result)
}

/// epoll_pwait2(2).
pub(crate) fn epoll_pwait2(
    cx: &mut TaskContext<'_>,
    epfd: Fd,
    events: UserAddr,
    max: i32,
    timeout: UserAddr,
    mask: UserAddr,
    mask_size: usize,
) -> CallResult {
    let deadline = match timeout.non_null() {
        Some(addr) => deadline_in(cx.read::<Timespec>(addr)?.to_duration().ok_or(Errno::EINVAL)?),
        None => None,
    };
    set_mask(cx, mask, mask_size)?;
    let result = wait(cx, epfd, events, max, deadline);
    finish(cx, result)
}

/// A deadline from milliseconds; below zero there is none.
fn millis(timeout: i32) -> Option<Instant> {
    u64::try_from(timeout).ok().map(Duration::from_millis).and_then(deadline_in)
}

/// The signal that interrupted is dealt with under the temporary mask.
fn finish(cx: &TaskContext<'_>, result: CallResult) -> CallResult {
    if result != Err(Errno::EINTR.into()) {
        cx.task.restore_mask();
    }
    result
}

fn wait(
    cx: &TaskContext<'_>,
    epfd: Fd,
    events: UserAddr,
    max: i32,
    deadline: Option<Instant>,
) -> CallResult {
    let max = usize::try_from(max).map_err(|_| Errno::EINVAL)?;
    if max == 0 || max > i32::MAX as usize / EVENT_LEN {
        return Err(Errno::EINVAL.into());
    }
    super::buffers::UserBuffers::one(events, max * EVENT_LEN)?;
    let file = cx.file(epfd)?;
    let epoll = instance(&file)?;
    let max = max.min(MAX_EVENTS);
    let collect = || Some(epoll.collect(max)).filter(|found| !found.is_empty());
    let found = match file.ops().wait_queue() {
        Some(queue) => {
            let queue = (queue, PollEvents::IN.bits());
            match cx.task.block_on(&[queue], deadline, collect) {
                Ok(found) => found,
                Err(Interrupted::TimedOut) => return Ok(0),
                // Never made again, whatever SA_RESTART says: signal(7).
                Err(Interrupted::Signal) => return Err(Errno::EINTR.into()),
            }
        }
        None => collect().unwrap_or_default(),
    };
    let bytes: Vec<u8> = found.iter().flat_map(|event| to_bytes(*event)).collect();
    cx.mm().write_bytes(events, &bytes)?;
    Ok(found.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_packed() {
        let bytes = to_bytes(EpollEvent { events: 1, data: 0x0807_0605_0403_0201 });
        assert_eq!(bytes, [1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
