//! eventfd(2), timerfd_create(2), pipe(2).

use crate::args::Flags;
use abi::file::OpenFlags;
use abi::time::Itimerspec;
use abi::{Errno, SysResult, UserAddr};
use fs::eventfd::EventFd;
use fs::timerfd::{Clock, TimerFd};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::{Fd, FileOps, OpenFile};

const NONBLOCK: u32 = OpenFlags::NONBLOCK.bits();
const CLOEXEC: u32 = OpenFlags::CLOEXEC.bits();

/// Installs a file of the kind `class`; of `flags`, O_NONBLOCK and O_CLOEXEC count.
pub(super) fn install(
    cx: &TaskContext<'_>,
    class: &str,
    ops: Arc<dyn FileOps>,
    flags: u32,
) -> CallResult {
    let status = OpenFlags::from_bits_truncate(flags & NONBLOCK) | OpenFlags::RDWR;
    let file = fs::anon::open_file(class, ops, status);
    Ok(cx.install(file, flags & CLOEXEC != 0)?.0 as u64)
}

/// eventfd(2).
pub(crate) fn eventfd(cx: &mut TaskContext<'_>, initial: u32) -> CallResult {
    eventfd2(cx, initial, Flags(0))
}

/// eventfd2(2).
pub(crate) fn eventfd2(cx: &mut TaskContext<'_>, initial: u32, flags: Flags) -> CallResult {
    const SEMAPHORE: u32 = libc::EFD_SEMAPHORE as u32;
    if flags.0 & !(SEMAPHORE | NONBLOCK | CLOEXEC) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let event = EventFd::new(initial, flags.0 & SEMAPHORE != 0);
    install(cx, "eventfd", event, flags.0)
}

/// timerfd_create(2).
pub(crate) fn timerfd_create(cx: &mut TaskContext<'_>, clock: i32, flags: Flags) -> CallResult {
    const CAP_WAKE_ALARM: u32 = 35;
    if flags.0 & !(NONBLOCK | CLOEXEC) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let is_alarm = clock == libc::CLOCK_REALTIME_ALARM || clock == libc::CLOCK_BOOTTIME_ALARM;
    let timer = TimerFd::new(Clock::from_id(clock)?, &cx.kernel().timers);
    if is_alarm && !cx.cred().has_cap(CAP_WAKE_ALARM) {
        return Err(Errno::EPERM.into());
    }
    install(cx, "timerfd", timer, flags.0)
}

fn timer(file: &OpenFile) -> SysResult<&TimerFd> {
    file.ops_as::<TimerFd>().ok_or(Errno::EINVAL)
}

/// timerfd_settime(2).
pub(crate) fn timerfd_settime(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    flags: Flags,
    new: UserAddr,
    old: UserAddr,
) -> CallResult {
    let new: Itimerspec = cx.read(new)?;
    let known = fs::timerfd::TFD_TIMER_ABSTIME | fs::timerfd::TFD_TIMER_CANCEL_ON_SET;
    if flags.0 & !known != 0 || !new.value.is_valid() || !new.interval.is_valid() {
        return Err(Errno::EINVAL.into());
    }
    let file = cx.file(fd)?;
    let before = timer(&file)?.set_time(flags.0, new)?;
    if let Some(addr) = old.non_null() {
        cx.write(addr, &before)?;
    }
    Ok(0)
}

/// timerfd_gettime(2).
pub(crate) fn timerfd_gettime(cx: &mut TaskContext<'_>, fd: Fd, now: UserAddr) -> CallResult {
    let file = cx.file(fd)?;
    cx.write(now, &timer(&file)?.time())?;
    Ok(0)
}

/// pipe(2).
pub(crate) fn pipe(cx: &mut TaskContext<'_>, fds: UserAddr) -> CallResult {
    pipe2(cx, fds, Flags(0))
}

/// pipe2(2).
pub(crate) fn pipe2(cx: &mut TaskContext<'_>, fds: UserAddr, flags: Flags) -> CallResult {
    let known = OpenFlags::NONBLOCK | OpenFlags::CLOEXEC | OpenFlags::DIRECT;
    let flags = OpenFlags::from_bits(flags.0).filter(|flags| known.contains(*flags));
    let flags = flags.ok_or(Errno::EINVAL)?;
    let cred = cx.cred();
    let (reader, writer) = fs::pipe::open_pair(cred.fsuid, cred.fsgid, flags)?;
    install_pair(cx, reader, writer, flags.contains(OpenFlags::CLOEXEC), fds)
}

/// Installs two files and writes their numbers to `addr`; both or none.
pub(super) fn install_pair(
    cx: &TaskContext<'_>,
    first: Arc<OpenFile>,
    second: Arc<OpenFile>,
    close_on_exec: bool,
    addr: UserAddr,
) -> CallResult {
    let files = cx.files();
    let first = cx.install(first, close_on_exec)?;
    let second = cx.install(second, close_on_exec).inspect_err(|_| drop(files.remove(first)))?;
    if let Err(errno) = cx.write(addr, &[first.0, second.0]) {
        drop(files.remove(first));
        drop(files.remove(second));
        return Err(errno.into());
    }
    Ok(0)
}
