//! memfd_create(2).

use crate::args::{Flags, UserStr};
use abi::file::OpenFlags;
use abi::{Errno, SysResult};
use fs::tmpfs::{Tmpfs, TmpfsOptions, seals};
use kernel::{CallResult, TaskContext};
use mm::MemoryFile;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use vfs::{Dentry, Mount, MountFlags, OpenFile, Path};

/// The tmpfs that memfds are on: one for the kernel, which nobody can name.
struct Hidden {
    memory: Weak<MemoryFile>,
    tmpfs: Arc<Tmpfs>,
    mount: Arc<Mount>,
}

static HIDDEN: Mutex<Option<Hidden>> = Mutex::new(None);

fn hidden(memory: &Arc<MemoryFile>) -> SysResult<(Arc<Tmpfs>, Arc<Mount>)> {
    let mut hidden = HIDDEN.lock();
    if let Some(known) = &*hidden
        && std::ptr::eq(known.memory.as_ptr(), Arc::as_ptr(memory))
    {
        return Ok((known.tmpfs.clone(), known.mount.clone()));
    }
    let tmpfs = Tmpfs::new(memory.clone(), TmpfsOptions::default())?;
    let mount = Mount::new(tmpfs.clone(), MountFlags::empty());
    let made = Hidden { memory: Arc::downgrade(memory), tmpfs, mount };
    let known = hidden.insert(made);
    Ok((known.tmpfs.clone(), known.mount.clone()))
}

/// The longest name, without "memfd:".
const MAX_NAME: usize = 249;

/// memfd_create(2).
pub(crate) fn memfd_create(cx: &mut TaskContext<'_>, name: UserStr, flags: Flags) -> CallResult {
    const CLOEXEC: u32 = libc::MFD_CLOEXEC;
    const ALLOW_SEALING: u32 = libc::MFD_ALLOW_SEALING;
    const NOEXEC_SEAL: u32 = 8;
    const EXEC: u32 = 0x10;
    let flags = flags.0;
    let known = CLOEXEC | ALLOW_SEALING | NOEXEC_SEAL | EXEC;
    if flags & !known != 0 || flags & (NOEXEC_SEAL | EXEC) == NOEXEC_SEAL | EXEC {
        return Err(Errno::EINVAL.into());
    }
    let name = match cx.mm().read_cstr(name.0, MAX_NAME + 1) {
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL.into()),
        other => other?,
    };
    let (mode, initial) = match flags {
        _ if flags & NOEXEC_SEAL != 0 => (0o666, seals::EXEC),
        _ if flags & ALLOW_SEALING != 0 => (0o777, 0),
        _ => (0o777, seals::SEAL),
    };
    let cred = cx.cred();
    let (tmpfs, mount) = hidden(cx.kernel().memory_file())?;
    let inode = tmpfs.new_memfd(mode, cred.fsuid, cred.fsgid, initial)?;
    let ops = inode.open(OpenFlags::RDWR)?;
    let shown = [b"/memfd:".as_slice(), &name, b" (deleted)"].concat();
    let path = Path { mount, dentry: Dentry::new_anonymous(&shown, inode) };
    let file = OpenFile::new(ops, path, OpenFlags::RDWR | OpenFlags::LARGEFILE);
    Ok(cx.install(file, flags & CLOEXEC != 0)?.0 as u64)
}
