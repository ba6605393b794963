//! System V shared memory.

use abi::{Errno, UserAddr};
use kernel::{CallResult, Resource, TaskContext};

const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;
const SHM_STAT_ANY: i32 = 15;

/// shmget(2).
pub(crate) fn shmget(cx: &mut TaskContext<'_>, key: i32, size: u64, flags: i32) -> CallResult {
    let id = cx.kernel().ipc.shm.get(key, size, flags, &cx.cred(), cx.group().pid())?;
    Ok(id as u64)
}

/// shmat(2).
pub(crate) fn shmat(cx: &mut TaskContext<'_>, id: i32, addr: UserAddr, flags: i32) -> CallResult {
    let (mm, cred, pid) = (cx.mm(), cx.cred(), cx.group().pid());
    Ok(cx.kernel().ipc.shm.attach(&mm, id, addr, flags, &cred, pid)?.0)
}

/// shmdt(2).
pub(crate) fn shmdt(cx: &mut TaskContext<'_>, addr: UserAddr) -> CallResult {
    cx.kernel().ipc.shm.detach(&cx.mm(), addr, cx.group().pid())?;
    Ok(0)
}

/// shmctl(2).
pub(crate) fn shmctl(cx: &mut TaskContext<'_>, id: i32, cmd: i32, buf: UserAddr) -> CallResult {
    let cred = cx.cred();
    let shm = &cx.kernel().ipc.shm;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    match cmd {
        libc::IPC_INFO => {
            let (info, max) = shm.limits();
            cx.write(buf, &info)?;
            Ok(max as u64)
        }
        SHM_INFO => {
            let (info, max) = shm.info();
            cx.write(buf, &info)?;
            Ok(max as u64)
        }
        libc::IPC_STAT => {
            cx.write(buf, &shm.stat(id, &cred)?)?;
            Ok(0)
        }
        SHM_STAT | SHM_STAT_ANY => {
            let (id, stat) = shm.stat_index(id, (cmd == SHM_STAT).then_some(&*cred))?;
            cx.write(buf, &stat)?;
            Ok(id as u64)
        }
        libc::IPC_SET => {
            shm.set(id, &cx.read(buf)?, &cred)?;
            Ok(0)
        }
        libc::IPC_RMID => {
            shm.remove(id, &cred)?;
            Ok(0)
        }
        libc::SHM_LOCK | libc::SHM_UNLOCK => {
            let may_lock = cx.group().limits().get(Resource::Memlock).cur > 0;
            shm.lock_memory(id, cmd == libc::SHM_LOCK, &cred, may_lock)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
