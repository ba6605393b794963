//! fcntl(2).

use super::locks;
use abi::file::{FileType, OpenFlags};
use abi::signal::Signal;
use abi::{Errno, SysResult, UserAddr};
use fs::pipe::PipeFile;
use fs::tmpfs::{RegularFile, seals};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::cred::Caps;
use vfs::{AsyncOwner, Fd, OpenFile};

const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
const F_SETOWN_EX: i32 = 15;
const F_GETOWN_EX: i32 = 16;
const FD_CLOEXEC: u64 = 1;

const F_OWNER_TID: i32 = 0;
const F_OWNER_PID: i32 = 1;
const F_OWNER_PGRP: i32 = 2;

/// fcntl(2).
pub(crate) fn fcntl(cx: &mut TaskContext<'_>, fd: Fd, cmd: i32, arg: u64) -> CallResult {
    let files = cx.files();
    let file = files.get(fd)?;
    match cmd {
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
            let min = u64::from(arg as u32);
            let limit = cx.group().limits().nofile();
            if min >= limit {
                return Err(Errno::EINVAL.into());
            }
            let cloexec = cmd == libc::F_DUPFD_CLOEXEC;
            return Ok(files.install(file, cloexec, min, limit)?.0 as u64);
        }
        libc::F_GETFD => return Ok(u64::from(files.close_on_exec(fd)?)),
        libc::F_SETFD => {
            files.set_close_on_exec(fd, arg & FD_CLOEXEC != 0)?;
            return Ok(0);
        }
        libc::F_GETFL => return Ok(file.flags().bits().into()),
        // The rest is not for O_PATH descriptors.
        _ if file.flags().contains(OpenFlags::PATH) => return Err(Errno::EBADF.into()),
        _ => {}
    }
    match cmd {
        libc::F_SETFL => set_flags(cx, &file, OpenFlags::from_bits_retain(arg as u32))?,
        libc::F_GETLK => locks::get(cx, &file, UserAddr(arg), false)?,
        libc::F_OFD_GETLK => locks::get(cx, &file, UserAddr(arg), true)?,
        libc::F_SETLK | libc::F_SETLKW => {
            return locks::set(cx, fd, &file, UserAddr(arg), false, cmd == libc::F_SETLKW);
        }
        libc::F_OFD_SETLK | libc::F_OFD_SETLKW => {
            return locks::set(cx, fd, &file, UserAddr(arg), true, cmd == libc::F_OFD_SETLKW);
        }
        libc::F_GETPIPE_SZ => return Ok(pipe(&file)?.capacity() as u64),
        libc::F_SETPIPE_SZ => {
            let size = pipe(&file)?.set_capacity(arg as u32 as usize)?;
            return Ok(size as u64);
        }
        libc::F_GET_SEALS => return Ok(sealable(&file)?.seals().into()),
        libc::F_ADD_SEALS => {
            let sealable = sealable(&file)?;
            if !file.flags().writable() {
                return Err(Errno::EPERM.into());
            }
            if arg as u32 & seals::WRITE != 0 && is_mapped_shared(cx, &file)? {
                return Err(Errno::EBUSY.into());
            }
            sealable.add_seals(arg as u32)?;
        }
        libc::F_GETOWN | libc::F_SETOWN | F_GETSIG | F_SETSIG | F_GETOWN_EX | F_SETOWN_EX => {
            return async_owner(cx, &file, cmd, arg);
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// F_SETFL.
pub(super) fn set_flags(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    mut flags: OpenFlags,
) -> SysResult<()> {
    let before = file.flags();
    if flags.contains(OpenFlags::NOATIME) && !before.contains(OpenFlags::NOATIME) {
        let attr = file.path().inode().attr()?;
        if !cx.cred().owns(&attr) {
            return Err(Errno::EPERM);
        }
    }
    let is_pipe = file.path().inode().file_type() == FileType::Fifo;
    if flags.contains(OpenFlags::DIRECT) && !is_pipe && file.ops().mappable().is_err() {
        return Err(Errno::EINVAL);
    }
    // There is no SIGIO, hence nothing that O_ASYNC could do.
    flags.remove(OpenFlags::ASYNC);
    file.set_flags(flags);
    Ok(())
}

fn pipe(file: &OpenFile) -> SysResult<&PipeFile> {
    file.ops_as::<PipeFile>().ok_or(Errno::EBADF)
}

fn sealable(file: &OpenFile) -> SysResult<&RegularFile> {
    file.ops_as::<RegularFile>().ok_or(Errno::EINVAL)
}

/// Does a process have a shared mapping of the file, which it may write through? Linux counts only
/// those made through a descriptor open for writing; here any will do.
fn is_mapped_shared(cx: &TaskContext<'_>, file: &OpenFile) -> SysResult<bool> {
    let attr = file.path().inode().attr()?;
    let spaces: Vec<_> = {
        let table = cx.kernel().processes.lock();
        table.iter().filter_map(|process| process.tasks.first()).map(|task| task.mm()).collect()
    };
    let maps = spaces.iter().flat_map(|mm| mm.maps());
    Ok(maps.into_iter().any(|map| map.shared && (map.dev, map.ino) == (attr.dev, attr.ino)))
}

/// `struct f_owner_ex`: type and id.
type OwnerEx = [i32; 2];

fn async_owner(cx: &TaskContext<'_>, file: &Arc<OpenFile>, cmd: i32, arg: u64) -> CallResult {
    let owner = file.async_owner();
    match cmd {
        libc::F_GETOWN => {
            let id = if owner.kind == F_OWNER_PGRP { -owner.id } else { owner.id };
            return Ok(i64::from(id) as u64);
        }
        libc::F_SETOWN => {
            let id = arg as i32;
            if id == i32::MIN {
                return Err(Errno::EINVAL.into());
            }
            let kind = if id < 0 { F_OWNER_PGRP } else { F_OWNER_PID };
            set_owner(cx, file, kind, id.abs())?;
        }
        F_GETOWN_EX => cx.write(UserAddr(arg), &[owner.kind, owner.id])?,
        F_SETOWN_EX => {
            let [kind, id]: OwnerEx = cx.read(UserAddr(arg))?;
            if !(F_OWNER_TID..=F_OWNER_PGRP).contains(&kind) || id < 0 {
                return Err(Errno::EINVAL.into());
            }
            set_owner(cx, file, kind, id)?;
        }
        F_GETSIG => return Ok(owner.signal as u64),
        _ => {
            let signal = arg as i32;
            if signal != 0 {
                Signal::new(signal)?;
            }
            file.set_async_owner(AsyncOwner { signal, ..owner });
        }
    }
    Ok(0)
}

/// ESRCH where there is nobody of that id.
fn set_owner(cx: &TaskContext<'_>, file: &OpenFile, kind: i32, id: i32) -> SysResult<()> {
    if id != 0 {
        let table = cx.kernel().processes.lock();
        let exists = match kind {
            F_OWNER_TID => table.task(id).is_some(),
            F_OWNER_PID => table.process(id).is_some(),
            _ => table.members(id).next().is_some(),
        };
        if !exists {
            return Err(Errno::ESRCH);
        }
    }
    file.set_async_owner(AsyncOwner { kind, id, ..file.async_owner() });
    Ok(())
}

/// CAP_SYS_ADMIN, for calls that change mounts.
pub(super) fn check_admin(cx: &TaskContext<'_>) -> SysResult<()> {
    if cx.cred().has_cap(Caps::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}
