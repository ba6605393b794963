//! System V message queues.

use abi::{Errno, UserAddr};
use ipc::msg::{MAX_SIZE, Message, Received, Request, Select};
use kernel::{CallResult, Restart, SysError, TaskContext};

const MSG_STAT: i32 = 11;
const MSG_INFO: i32 = 12;
const MSG_STAT_ANY: i32 = 13;

/// msgget(2).
pub(crate) fn msgget(cx: &mut TaskContext<'_>, key: i32, flags: i32) -> CallResult {
    Ok(cx.kernel().ipc.msg.get(key, flags, &cx.cred())? as u64)
}

/// msgsnd(2).
pub(crate) fn msgsnd(
    cx: &mut TaskContext<'_>,
    id: i32,
    message: UserAddr,
    size: u64,
    flags: i32,
) -> CallResult {
    let kind: i64 = cx.read(message)?;
    if size > MAX_SIZE as u64 || id < 0 || kind < 1 {
        return Err(Errno::EINVAL.into());
    }
    let mut data = vec![0; size as usize];
    cx.mm().read_bytes(message.offset(8), &mut data)?;
    let queue = cx.kernel().ipc.msg.by_id(id)?;
    let pid = cx.group().pid();
    let nowait = flags & libc::IPC_NOWAIT != 0;
    let sent = cx.task.block_on(&[(queue.senders(), 1)], None, || {
        match queue.send(kind, &data, &cx.cred(), pid) {
            Err(Errno::EAGAIN) if !nowait => None,
            other => Some(other),
        }
    });
    sent.map_err(|_| SysError::Restart(Restart::UnlessHandler))??;
    Ok(0)
}

/// msgrcv(2).
pub(crate) fn msgrcv(
    cx: &mut TaskContext<'_>,
    id: i32,
    to: UserAddr,
    size: u64,
    kind: i64,
    flags: i32,
) -> CallResult {
    let has = |flag: i32| flags & flag != 0;
    if id < 0 || size > i64::MAX as u64 {
        return Err(Errno::EINVAL.into());
    }
    if has(libc::MSG_COPY) {
        if has(libc::MSG_EXCEPT) || !has(libc::IPC_NOWAIT) {
            return Err(Errno::EINVAL.into());
        }
        // As a kernel without CONFIG_CHECKPOINT_RESTORE.
        return Err(Errno::ENOSYS.into());
    }
    let request = Request {
        select: Select::new(kind, has(libc::MSG_EXCEPT)),
        size: usize::try_from(size).unwrap_or(usize::MAX),
        truncate: has(libc::MSG_NOERROR),
        nowait: has(libc::IPC_NOWAIT),
    };
    let message = receive(cx, id, request)?;
    let count = message.data.len().min(request.size);
    cx.write(to, &message.kind)?;
    cx.mm().write_bytes(to.offset(8), &message.data[..count])?;
    Ok(count as u64)
}

fn receive(cx: &mut TaskContext<'_>, id: i32, request: Request) -> CallResult<Message> {
    let queue = cx.kernel().ipc.msg.by_id(id)?;
    loop {
        let waiting = match queue.receive(request, &cx.cred(), cx.group().pid())? {
            Received::Message(message) => return Ok(message),
            Received::Wait(waiting) => waiting,
        };
        let slot = waiting.slot();
        let got = cx.task.block_on(&[(slot.queue(), 1)], None, || slot.take());
        let restart = SysError::Restart(Restart::UnlessHandler);
        match got.or_else(|_| waiting.cancel().ok_or(restart))? {
            Ok(message) => return Ok(message),
            // Something about the queue has changed: ask again.
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// msgctl(2).
pub(crate) fn msgctl(cx: &mut TaskContext<'_>, id: i32, cmd: i32, buf: UserAddr) -> CallResult {
    let cred = cx.cred();
    let msg = &cx.kernel().ipc.msg;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    match cmd {
        libc::IPC_INFO | MSG_INFO => {
            let (info, max) = msg.info(cmd == MSG_INFO);
            cx.write(buf, &info)?;
            Ok(max as u64)
        }
        libc::IPC_STAT => {
            cx.write(buf, &msg.by_id(id)?.stat(Some(&cred))?)?;
            Ok(0)
        }
        MSG_STAT | MSG_STAT_ANY => {
            let (id, stat) = msg.stat_index(id, (cmd == MSG_STAT).then_some(&*cred))?;
            cx.write(buf, &stat)?;
            Ok(id as u64)
        }
        libc::IPC_SET => {
            let new = cx.read(buf)?;
            msg.by_id(id)?.set(&new, &cred)?;
            Ok(0)
        }
        libc::IPC_RMID => {
            msg.remove(id, &cred)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
