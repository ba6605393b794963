//! Memory: mmap(2) and its kin.

use crate::args::Flags;
use abi::file::OpenFlags;
use abi::mman::MapFlags;
use abi::{Errno, PAGE_SIZE, SysResult, UserAddr};
use fs::tmpfs::{RegularFile, seals};
use kernel::process::Pid;
use kernel::{CallResult, TaskContext};
use mm::{MappedFile, MmapArgs, Prot};
use vfs::{Fd, MountFlags};
use zerocopy::IntoBytes;

/// mmap(2).
pub(crate) fn mmap(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    len: u64,
    prot: Flags,
    flags: Flags,
    fd: Fd,
    offset: u64,
) -> CallResult {
    let mut flags = MapFlags::from_bits_retain(flags.0);
    let mut prot = Prot::from_bits_truncate(prot.0);
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let file = match flags.contains(MapFlags::ANONYMOUS) {
        true => None,
        false => mapped_file(cx, fd, flags, &mut prot)?,
    };
    if file.is_none() {
        flags |= MapFlags::ANONYMOUS;
    }
    let args = MmapArgs { addr, len, prot, flags, file, offset };
    Ok(cx.mm().mmap(args)?.0)
}

/// The file to map, with what its open mode, its seals and its mount allow. None: /dev/zero, which
/// is anonymous memory.
fn mapped_file(
    cx: &TaskContext<'_>,
    fd: Fd,
    flags: MapFlags,
    prot: &mut Prot,
) -> SysResult<Option<MappedFile>> {
    let file = cx.file(fd)?;
    file.check_readable().map_err(|_| Errno::EACCES)?;
    let shared = flags.contains(MapFlags::SHARED);
    let writable = file.flags().writable() && !file.flags().contains(OpenFlags::APPEND);
    if shared && prot.contains(Prot::WRITE) && !writable {
        return Err(Errno::EACCES);
    }
    let sealed = file
        .ops_as::<RegularFile>()
        .is_some_and(|file| file.seals() & (seals::WRITE | seals::FUTURE_WRITE) != 0);
    if sealed && shared && prot.contains(Prot::WRITE) {
        return Err(Errno::EPERM);
    }
    if fs::dev::is_dev_zero(&file) {
        return Ok(None);
    }
    let noexec = file.path().mount.flags().contains(MountFlags::NOEXEC);
    if noexec && prot.contains(Prot::EXEC) {
        return Err(Errno::EPERM);
    }
    let mappable = file.ops().mappable()?;
    let attr = file.path().inode().attr()?;
    let (root, _) = cx.fs().root_and_cwd();
    Ok(Some(MappedFile {
        mappable,
        name: file.path().display(&root).into(),
        dev: attr.dev,
        ino: attr.ino,
        may_write: file.flags().writable() && !sealed,
        may_exec: !noexec,
    }))
}

/// munmap(2).
pub(crate) fn munmap(cx: &mut TaskContext<'_>, addr: UserAddr, len: u64) -> CallResult {
    cx.mm().munmap(addr, len)?;
    Ok(0)
}

/// mprotect(2).
pub(crate) fn mprotect(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    len: u64,
    prot: u64,
) -> CallResult {
    cx.mm().mprotect(addr, len, prot)?;
    Ok(0)
}

/// pkey_mprotect(2): without protection keys, only key -1 is possible.
pub(crate) fn pkey_mprotect(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    len: u64,
    prot: u64,
    key: i32,
) -> CallResult {
    if key != -1 {
        return Err(Errno::EINVAL.into());
    }
    mprotect(cx, addr, len, prot)
}

/// mremap(2).
pub(crate) fn mremap(
    cx: &mut TaskContext<'_>,
    old: UserAddr,
    old_len: u64,
    new_len: u64,
    flags: Flags,
    new: UserAddr,
) -> CallResult {
    Ok(cx.mm().mremap(old, old_len, new_len, flags.0.into(), new)?.0)
}

/// brk(2).
pub(crate) fn brk(cx: &mut TaskContext<'_>, addr: UserAddr) -> CallResult {
    Ok(cx.mm().brk(addr).0)
}

/// madvise(2).
pub(crate) fn madvise(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    len: u64,
    advice: i32,
) -> CallResult {
    cx.mm().madvise(addr, len, advice)?;
    Ok(0)
}

/// mincore(2).
pub(crate) fn mincore(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    len: u64,
    vec: UserAddr,
) -> CallResult {
    cx.mm().mincore(addr, len, vec)?;
    Ok(0)
}

/// msync(2).
pub(crate) fn msync(cx: &mut TaskContext<'_>, addr: UserAddr, len: u64, flags: i32) -> CallResult {
    cx.mm().msync(addr, len, flags)?;
    Ok(0)
}

/// mlock(2).
pub(crate) fn mlock(cx: &mut TaskContext<'_>, addr: UserAddr, len: u64) -> CallResult {
    cx.mm().mlock(addr, len)?;
    Ok(0)
}

/// mlock2(2).
pub(crate) fn mlock2(
    cx: &mut TaskContext<'_>,
    addr: UserAddr,
    len: u64,
    flags: Flags,
) -> CallResult {
    /// MLOCK_ONFAULT.
    const ONFAULT: u32 = 1;
    if flags.0 & !ONFAULT != 0 {
        return Err(Errno::EINVAL.into());
    }
    mlock(cx, addr, len)
}

/// munlock(2).
pub(crate) fn munlock(cx: &mut TaskContext<'_>, addr: UserAddr, len: u64) -> CallResult {
    cx.mm().munlock(addr, len)?;
    Ok(0)
}

/// mlockall(2).
pub(crate) fn mlockall(cx: &mut TaskContext<'_>, flags: i32) -> CallResult {
    cx.mm().mlockall(flags)?;
    Ok(0)
}

/// munlockall(2).
pub(crate) fn munlockall(cx: &mut TaskContext<'_>) -> CallResult {
    cx.mm().munlockall();
    Ok(0)
}

/// process_vm_readv(2).
pub(crate) fn process_vm_readv(
    cx: &mut TaskContext<'_>,
    pid: i32,
    local: UserAddr,
    local_count: u64,
    remote: UserAddr,
    remote_count: u64,
    flags: u64,
) -> CallResult {
    let areas = Areas::read(cx, pid, local, local_count, remote, remote_count, flags)?;
    areas.copy(|other, mine, buf| {
        let got = other.1.read_partial(other.0, buf)?;
        cx.mm().write_bytes(mine, &buf[..got])?;
        Ok(got)
    })
}

/// process_vm_writev(2).
pub(crate) fn process_vm_writev(
    cx: &mut TaskContext<'_>,
    pid: i32,
    local: UserAddr,
    local_count: u64,
    remote: UserAddr,
    remote_count: u64,
    flags: u64,
) -> CallResult {
    let areas = Areas::read(cx, pid, local, local_count, remote, remote_count, flags)?;
    areas.copy(|other, mine, buf| {
        cx.mm().read_bytes(mine, buf)?;
        other.1.write_partial(other.0, buf)
    })
}

/// The memory that process_vm_readv(2) and process_vm_writev(2) name.
struct Areas {
    mm: std::sync::Arc<mm::MemoryManager>,
    local: Vec<abi::file::IoVec>,
    remote: Vec<abi::file::IoVec>,
}

impl Areas {
    fn read(
        cx: &TaskContext<'_>,
        pid: Pid,
        local: UserAddr,
        local_count: u64,
        remote: UserAddr,
        remote_count: u64,
        flags: u64,
    ) -> SysResult<Areas> {
        /// IOV_MAX.
        const MAX: u64 = 1024;
        if flags != 0 || local_count > MAX || remote_count > MAX {
            return Err(Errno::EINVAL);
        }
        let read = |at: UserAddr, count: u64| -> SysResult<Vec<abi::file::IoVec>> {
            let mut areas = vec![abi::file::IoVec { base: 0, len: 0 }; count as usize];
            cx.mm().read_bytes(at, areas.as_mut_bytes())?;
            Ok(areas)
        };
        let (local, remote) = (read(local, local_count)?, read(remote, remote_count)?);
        let task = cx.kernel().processes.lock().task(pid).cloned().ok_or(Errno::ESRCH)?;
        super::credentials::check_inspect(cx, &task)?;
        Ok(Areas { mm: task.mm(), local, remote })
    }

    /// Goes through both lists in step, a page at a time; `step` copies one piece and says how much
    /// of it was possible.
    fn copy(
        self,
        mut step: impl FnMut((UserAddr, &mm::MemoryManager), UserAddr, &mut [u8]) -> SysResult<usize>,
    ) -> CallResult {
        let mut buf = vec![0; PAGE_SIZE as usize];
        let mut done = 0u64;
        let (mut mine, mut theirs) = (self.local.into_iter(), self.remote.into_iter());
        let (mut left, mut right) = (mine.next(), theirs.next());
        loop {
            let (Some(local), Some(remote)) = (&mut left, &mut right) else { return Ok(done) };
            if local.len == 0 {
                left = mine.next();
                continue;
            }
            if remote.len == 0 {
                right = theirs.next();
                continue;
            }
            let len = local.len.min(remote.len).min(PAGE_SIZE) as usize;
            let other = (UserAddr(remote.base), &*self.mm);
            match step(other, UserAddr(local.base), &mut buf[..len]) {
                Ok(count) => {
                    done += count as u64;
                    if count < len {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                Err(errno) => return Err(errno.into()),
            }
            for area in [local, remote] {
                area.base = area.base.wrapping_add(len as u64);
                area.len -= len as u64;
            }
        }
    }
}

/// membarrier(2). The flag and the CPU are for commands that are not there.
pub(crate) fn membarrier(
    cx: &mut TaskContext<'_>,
    cmd: u32,
    flags: Flags,
    _cpu: i32,
) -> CallResult {
    if flags.0 != 0 {
        return Err(Errno::EINVAL.into());
    }
    cx.task.membarrier(cmd)
}
