//! The system as a whole: names, memory, randomness.

use crate::args::Flags;
use abi::process::Sysinfo;
use abi::{Errno, UserAddr};
use kernel::{CallResult, TaskContext, version};
use vfs::cred::Caps;

/// The size of each field of `struct utsname`.
const UTS_FIELD: usize = 65;

/// uname(2).
pub(crate) fn uname(cx: &mut TaskContext<'_>, buf: UserAddr) -> CallResult {
    let uts = cx.kernel().uts.read().clone();
    let fields: [&[u8]; 6] = [
        version::SYSNAME.as_bytes(),
        &uts.nodename,
        version::RELEASE.as_bytes(),
        version::VERSION.as_bytes(),
        version::MACHINE.as_bytes(),
        &uts.domainname,
    ];
    let mut bytes = [0; 6 * UTS_FIELD];
    for (slot, field) in bytes.chunks_mut(UTS_FIELD).zip(fields) {
        let len = field.len().min(UTS_FIELD - 1);
        slot[..len].copy_from_slice(&field[..len]);
    }
    cx.mm().write_bytes(buf, &bytes)?;
    Ok(0)
}

/// sethostname(2).
pub(crate) fn sethostname(cx: &mut TaskContext<'_>, name: UserAddr, len: i32) -> CallResult {
    let name = read_name(cx, name, len)?;
    cx.kernel().uts.write().nodename = name;
    Ok(0)
}

/// setdomainname(2).
pub(crate) fn setdomainname(cx: &mut TaskContext<'_>, name: UserAddr, len: i32) -> CallResult {
    let name = read_name(cx, name, len)?;
    cx.kernel().uts.write().domainname = name;
    Ok(0)
}

fn read_name(cx: &TaskContext<'_>, name: UserAddr, len: i32) -> CallResult<Vec<u8>> {
    if !cx.cred().has_cap(Caps::SYS_ADMIN) {
        return Err(Errno::EPERM.into());
    }
    let len = usize::try_from(len).ok().filter(|len| *len < UTS_FIELD).ok_or(Errno::EINVAL)?;
    let mut bytes = vec![0; len];
    cx.mm().read_bytes(name, &mut bytes)?;
    Ok(bytes)
}

/// sysinfo(2).
pub(crate) fn sysinfo(cx: &mut TaskContext<'_>, info: UserAddr) -> CallResult {
    let kernel = cx.kernel();
    let total = kernel.memory_limit();
    let used = kernel.memory_file().used_bytes();
    let procs = kernel.processes.lock().task_count();
    let filled = Sysinfo {
        uptime: kernel.boot.elapsed().as_secs() as i64,
        totalram: total,
        freeram: total.saturating_sub(used),
        procs: u16::try_from(procs).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::default()
    };
    cx.write(info, &filled)?;
    Ok(0)
}

/// How much randomness is copied at a time.
const CHUNK: usize = 4096;
/// GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE.
const GRND_KNOWN: u32 = 7;
/// GRND_RANDOM | GRND_INSECURE exclude each other.
const GRND_EXCLUSIVE: u32 = 6;

/// getrandom(2).
pub(crate) fn getrandom(
    cx: &mut TaskContext<'_>,
    buf: UserAddr,
    len: usize,
    flags: Flags,
) -> CallResult {
    if flags.0 & !GRND_KNOWN != 0 || flags.0 & GRND_EXCLUSIVE == GRND_EXCLUSIVE {
        return Err(Errno::EINVAL.into());
    }
    let len = len.min(i32::MAX as usize);
    let mm = cx.mm();
    let mut chunk = [0; CHUNK];
    let mut done = 0;
    while done < len {
        let part = &mut chunk[..(len - done).min(CHUNK)];
        let flags = rustix::rand::GetRandomFlags::empty();
        let got = rustix::rand::getrandom(&mut *part, flags)
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        if let Err(errno) = mm.write_bytes(buf.offset(done as u64), &part[..got]) {
            return if done > 0 { Ok(done as u64) } else { Err(errno.into()) };
        }
        done += got;
        // As Linux: a large request can be interrupted after the first part.
        if cx.task.has_interruption() {
            break;
        }
    }
    Ok(done as u64)
}

/// syslog(2): the log is empty.
pub(crate) fn syslog(
    cx: &mut TaskContext<'_>,
    action: i32,
    _buf: UserAddr,
    _len: i32,
) -> CallResult {
    match action {
        0 | 1 => Ok(0),
        2..=5 | 9 if cx.cred().has_cap(Caps::SYS_ADMIN) => Ok(0),
        10 => Ok(1 << 14),
        2..=9 => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// personality(2): only that there is no randomisation has an effect.
pub(crate) fn personality(cx: &mut TaskContext<'_>, persona: u32) -> CallResult {
    use std::sync::atomic::Ordering::Relaxed;
    /// The question for the present value.
    const QUERY: u32 = u32::MAX;
    let current = &cx.group().personality;
    Ok(match persona {
        QUERY => current.load(Relaxed),
        new => current.swap(new.into(), Relaxed),
    })
}

/// arch_prctl(2).
pub(crate) fn arch_prctl(cx: &mut TaskContext<'_>, code: i32, addr: u64) -> CallResult {
    const SET_GS: i32 = 0x1001;
    const SET_FS: i32 = 0x1002;
    const GET_FS: i32 = 0x1003;
    const GET_GS: i32 = 0x1004;
    let limit = platform::GUEST_ADDRESS_END;
    match code {
        SET_FS | SET_GS if addr >= limit => return Err(Errno::EPERM.into()),
        SET_FS => cx.thread.regs.fs_base = addr,
        SET_GS => cx.thread.regs.gs_base = addr,
        GET_FS => cx.write(UserAddr(addr), &cx.thread.regs.fs_base)?,
        GET_GS => cx.write(UserAddr(addr), &cx.thread.regs.gs_base)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
