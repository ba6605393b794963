//! The small files: names, ids, settings.

use super::Live;
use abi::{Errno, SysResult};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) fn comm(live: &Live) -> SysResult<Vec<u8>> {
    let mut text = live.comm();
    text.push(b'\n');
    Ok(text)
}

/// Only a process itself may do that (EINVAL), for any of its threads.
pub(super) fn set_comm(live: &Live, data: &[u8]) -> SysResult<()> {
    let caller = kernel::current().ok_or(Errno::EINVAL)?;
    let task = live.task.as_ref().ok_or(Errno::ESRCH)?;
    if !Arc::ptr_eq(caller.group(), &live.group) {
        return Err(Errno::EINVAL);
    }
    task.set_comm(kernel::Comm::new(data));
    Ok(())
}

pub(super) fn personality(live: &Live) -> SysResult<Vec<u8>> {
    let value = live.group.personality.load(Ordering::Relaxed);
    Ok(format!("{value:08x}\n").into_bytes())
}

/// What a blocked thread is in is not known: as a kernel that cannot tell.
pub(super) fn syscall(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"running\n".to_vec())
}

pub(super) fn wchan(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"0".to_vec())
}

pub(super) fn cpuset(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"/\n".to_vec())
}

/// The root of the one (unified) hierarchy.
pub(super) fn cgroup(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"0::/\n".to_vec())
}

/// Not set: also the audit session.
pub(super) fn loginuid(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(u32::MAX.to_string().into_bytes())
}

/// There is no audit that could record it; saying so again is all that can be done.
pub(super) fn set_loginuid(_live: &Live, data: &[u8]) -> SysResult<()> {
    let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    match text.trim().parse::<u32>() {
        Ok(u32::MAX) => Ok(()),
        Ok(_) => Err(Errno::EPERM),
        Err(_) => Err(Errno::EINVAL),
    }
}

/// Linux's default: private and shared anonymous memory, ELF headers, huge pages.
pub(super) fn coredump_filter(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"00000033\n".to_vec())
}

/// Nothing is counted yet.
pub(super) fn io(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n\
         cancelled_write_bytes: 0\n"
        .to_vec())
}

/// All ids of the one user namespace are themselves.
pub(super) fn id_map(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(format!("{:>10} {:>10} {:>10}\n", 0, 0, u32::MAX).into_bytes())
}

pub(super) fn setgroups(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"allow\n".to_vec())
}

/// Timers of timer_create(2).
pub(super) fn timers(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(Vec::new())
}

pub(super) fn timerslack(_live: &Live) -> SysResult<Vec<u8>> {
    Ok(b"50000\n".to_vec())
}

/// A setting that cannot be changed here.
pub(super) fn refuse(_live: &Live, _data: &[u8]) -> SysResult<()> {
    Err(Errno::EPERM)
}
