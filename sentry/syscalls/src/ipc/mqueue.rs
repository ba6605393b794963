//! POSIX message queues.

use crate::args::{Flags, Mode, UserStr};
use abi::file::{OpenFlags, PollEvents};
use abi::ipc::{MqAttr, SigEvent};
use abi::signal::{SigInfo, Signal};
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use ipc::mqueue::{
    MAX_PRIORITY, Mqueue, MqueueFile, Notification, Notify, OpenRequest, Received, Sent,
};
use kernel::signal::Target;
use kernel::time::{deadline_at, realtime};
use kernel::{CallResult, Interrupted, Resource, Restart, TaskContext};
use std::sync::Arc;
use std::time::Instant;
use vfs::{Fd, OpenFile};

/// mq_open(2).
pub(crate) fn mq_open(
    cx: &mut TaskContext<'_>,
    name: UserStr,
    flags: Flags,
    mode: Mode,
    attr: UserAddr,
) -> CallResult {
    let attr = attr.non_null().map(|addr| cx.read::<MqAttr>(addr)).transpose()?;
    let name = cx.read_path(name.0)?;
    let request = OpenRequest {
        name: &name,
        flags: OpenFlags::from_bits_retain(flags.0),
        mode: mode.0 & 0o7777 & !cx.fs().umask(),
        attr,
        limit: cx.group().limits().get(Resource::Msgqueue).cur,
    };
    let file = cx.kernel().ipc.mqueue.open(&request, &cx.cred())?;
    // Descriptors of queues are always close-on-exec.
    Ok(cx.install(file, true)?.0 as u64)
}

/// mq_unlink(2).
pub(crate) fn mq_unlink(cx: &mut TaskContext<'_>, name: UserStr) -> CallResult {
    let name = cx.read_path(name.0)?;
    cx.kernel().ipc.mqueue.unlink(&name, &cx.cred())?;
    Ok(0)
}

/// The queue behind a descriptor. EBADF for any other file.
fn queue(cx: &TaskContext<'_>, fd: Fd) -> SysResult<(Arc<OpenFile>, Arc<Mqueue>)> {
    let file = cx.file(fd)?;
    let queue = file.ops_as::<MqueueFile>().ok_or(Errno::EBADF)?.queue().clone();
    Ok((file, queue))
}

/// The absolute time until which to wait: None is for ever.
fn deadline(cx: &TaskContext<'_>, timeout: UserAddr) -> SysResult<Option<Instant>> {
    let Some(addr) = timeout.non_null() else { return Ok(None) };
    let at: Timespec = cx.read(addr)?;
    at.to_duration().ok_or(Errno::EINVAL)?;
    Ok(deadline_at(realtime(), at))
}

/// mq_timedsend(2).
pub(crate) fn mq_timedsend(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    message: UserAddr,
    size: u64,
    priority: u32,
    timeout: UserAddr,
) -> CallResult {
    let deadline = deadline(cx, timeout)?;
    if priority >= MAX_PRIORITY {
        return Err(Errno::EINVAL.into());
    }
    let (file, queue) = queue(cx, fd)?;
    file.check_writable()?;
    if size > queue.max_size() as u64 {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut data = vec![0; size as usize];
    cx.mm().read_bytes(message, &mut data)?;
    let nonblocking = file.is_nonblocking();
    let waits = [(queue.queue(), PollEvents::OUT.bits())];
    let sent = cx.task.block_on(&waits, deadline, || match queue.send(priority, &data) {
        Err(Errno::EAGAIN) if !nonblocking => None,
        other => Some(other),
    });
    let sent = sent.map_err(|why| why.or(Restart::IfAllowed, Errno::ETIMEDOUT))??;
    notify(cx, sent);
    Ok(0)
}

/// The message was the first: tells who wanted to know.
fn notify(cx: &TaskContext<'_>, sent: Sent) {
    let Some(Notification { pid, notify: Notify::Signal { signo, value } }) = sent else { return };
    let Ok(signal) = Signal::new(signo) else { return };
    let (own, uid) = (cx.group().pid(), cx.cred().uid);
    let info = SigInfo::from_process(signal, libc::SI_MESGQ, own, uid).with_value(value);
    let group = {
        let table = cx.kernel().processes.lock();
        table.process(pid).map(|process| process.group.clone())
    };
    if let Some(group) = group {
        // A full queue of signals loses it, as on Linux.
        let _ = cx.kernel().send_signal(Target::Group(&group), info);
    }
}

/// mq_timedreceive(2).
pub(crate) fn mq_timedreceive(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    to: UserAddr,
    size: u64,
    priority: UserAddr,
    timeout: UserAddr,
) -> CallResult {
    let deadline = deadline(cx, timeout)?;
    let (file, queue) = queue(cx, fd)?;
    file.check_readable()?;
    if size < queue.max_size() as u64 {
        return Err(Errno::EMSGSIZE.into());
    }
    let (got, data) = match file.is_nonblocking() {
        true => queue.try_receive()?,
        false => match queue.receive() {
            Received::Message(message) => message,
            Received::Wait(waiting) => {
                let slot = waiting.slot();
                let wait = cx.task.block_on(&[(slot.queue(), 1)], deadline, || slot.take());
                wait.or_else(|why: Interrupted| {
                    waiting.cancel().ok_or(why.or(Restart::IfAllowed, Errno::ETIMEDOUT))
                })?
            }
        },
    };
    if let Some(addr) = priority.non_null() {
        cx.write(addr, &got)?;
    }
    cx.mm().write_bytes(to, &data)?;
    Ok(data.len() as u64)
}

const SIGEV_SIGNAL: i32 = 0;
const SIGEV_NONE: i32 = 1;
const SIGEV_THREAD: i32 = 2;

/// mq_notify(2).
pub(crate) fn mq_notify(cx: &mut TaskContext<'_>, fd: Fd, event: UserAddr) -> CallResult {
    let event = event.non_null().map(|addr| cx.read::<SigEvent>(addr)).transpose()?;
    let notify = match event {
        None => None,
        Some(event) => Some(match event.notify {
            SIGEV_NONE => Notify::None,
            SIGEV_SIGNAL => {
                // 0 is no signal, and allowed.
                if event.signo != 0 {
                    Signal::new(event.signo)?;
                }
                Notify::Signal { signo: event.signo, value: event.value }
            }
            // Would tell a thread of the C library, through a netlink socket.
            SIGEV_THREAD => return Err(Errno::ENOSYS.into()),
            _ => return Err(Errno::EINVAL.into()),
        }),
    };
    let (_file, queue) = queue(cx, fd)?;
    let pid = cx.group().pid();
    match notify {
        None => queue.unregister(pid),
        Some(notify) => queue.register(Notification { pid, notify })?,
    }
    Ok(0)
}

/// mq_getsetattr(2).
pub(crate) fn mq_getsetattr(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    new: UserAddr,
    old: UserAddr,
) -> CallResult {
    const NONBLOCK: i64 = libc::O_NONBLOCK as i64;
    let new = new.non_null().map(|addr| cx.read::<MqAttr>(addr)).transpose()?;
    if new.is_some_and(|new| new.flags & !NONBLOCK != 0) {
        return Err(Errno::EINVAL.into());
    }
    let (file, queue) = queue(cx, fd)?;
    let flags = file.flags();
    let before = if flags.contains(OpenFlags::NONBLOCK) { NONBLOCK } else { 0 };
    let attr = MqAttr { flags: before, ..queue.mq_attr() };
    if let Some(new) = new {
        let mut flags = flags;
        flags.set(OpenFlags::NONBLOCK, new.flags & NONBLOCK != 0);
        file.set_flags(flags);
    }
    if let Some(addr) = old.non_null() {
        cx.write(addr, &attr)?;
    }
    Ok(0)
}
