//! prctl(2).

use abi::signal::Signal;
use abi::{Errno, UserAddr};
use kernel::{CallResult, Comm, TaskContext};
use std::sync::atomic::Ordering::Relaxed;
use vfs::Credentials;
use vfs::cred::Caps;

/// SECBIT_KEEP_CAPS.
const KEEP_CAPS: u32 = 1 << 4;
/// All securebits and their locks.
const ALL_SECUREBITS: u32 = 0xff;
/// The locks among them.
const SECUREBIT_LOCKS: u32 = 0xaa;

/// prctl(2).
pub(crate) fn prctl(
    cx: &mut TaskContext<'_>,
    option: i32,
    arg2: u64,
    arg3: u64,
    arg4: u64,
    arg5: u64,
) -> CallResult {
    let group = cx.group().clone();
    let rest_zero = arg3 == 0 && arg4 == 0 && arg5 == 0;
    match option {
        libc::PR_SET_PDEATHSIG => {
            if arg2 != 0 {
                Signal::new(i32::try_from(arg2).map_err(|_| Errno::EINVAL)?)?;
            }
            cx.task.set_parent_death_signal(arg2 as i32);
            Ok(0)
        }
        libc::PR_GET_PDEATHSIG => {
            cx.write(UserAddr(arg2), &cx.task.parent_death_signal())?;
            Ok(0)
        }
        libc::PR_GET_DUMPABLE => Ok(group.dumpable.load(Relaxed) as u64),
        libc::PR_SET_DUMPABLE if arg2 <= 1 => {
            group.dumpable.store(arg2 as i32, Relaxed);
            Ok(0)
        }
        libc::PR_SET_NAME => {
            // 16 bytes at most; a longer name is cut, not refused.
            let mut name = [0; 16];
            let mm = cx.mm();
            let got = mm.read_partial(UserAddr(arg2), &mut name)?;
            if got < name.len() && !name[..got].contains(&0) {
                return Err(Errno::EFAULT.into());
            }
            cx.task.set_comm(Comm::new(&name));
            Ok(0)
        }
        libc::PR_GET_NAME => {
            cx.write(UserAddr(arg2), cx.task.comm().padded())?;
            Ok(0)
        }
        libc::PR_GET_KEEPCAPS => Ok(u64::from(cx.cred().securebits & KEEP_CAPS != 0)),
        libc::PR_SET_KEEPCAPS if arg2 <= 1 => {
            change(cx, |cred| {
                cred.securebits =
                    cred.securebits & !KEEP_CAPS | if arg2 == 1 { KEEP_CAPS } else { 0 };
            });
            Ok(0)
        }
        libc::PR_CAPBSET_READ if arg2 <= Caps::LAST.into() => {
            Ok(cx.cred().bounding.has(arg2 as u32).into())
        }
        libc::PR_CAPBSET_DROP if arg2 <= Caps::LAST.into() => {
            if !cx.cred().has_cap(Caps::SETPCAP) {
                return Err(Errno::EPERM.into());
            }
            change(cx, |cred| cred.bounding.0 &= !(1 << arg2));
            Ok(0)
        }
        libc::PR_GET_SECUREBITS => Ok(cx.cred().securebits.into()),
        libc::PR_SET_SECUREBITS => set_securebits(cx, arg2),
        libc::PR_SET_NO_NEW_PRIVS if arg2 == 1 && rest_zero => {
            change(cx, |cred| cred.no_new_privs = true);
            Ok(0)
        }
        libc::PR_GET_NO_NEW_PRIVS if arg2 == 0 && rest_zero => Ok(cx.cred().no_new_privs.into()),
        libc::PR_SET_CHILD_SUBREAPER => {
            group.child_subreaper.store(arg2 != 0, Relaxed);
            Ok(0)
        }
        libc::PR_GET_CHILD_SUBREAPER => {
            cx.write(UserAddr(arg2), &i32::from(group.child_subreaper.load(Relaxed)))?;
            Ok(0)
        }
        libc::PR_CAP_AMBIENT if arg4 == 0 && arg5 == 0 => ambient(cx, arg2, arg3),
        libc::PR_GET_SECCOMP => Ok(0),
        // Slack does not matter here; the value is the kernel's default.
        libc::PR_SET_TIMERSLACK => Ok(0),
        libc::PR_GET_TIMERSLACK => Ok(50_000),
        libc::PR_SET_THP_DISABLE if rest_zero => Ok(0),
        libc::PR_GET_THP_DISABLE if arg2 == 0 && rest_zero => Ok(0),
        libc::PR_SET_VMA => set_vma(cx, arg2, arg3, arg4, arg5),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn change(cx: &TaskContext<'_>, f: impl FnOnce(&mut Credentials)) {
    let mut cred = (*cx.cred()).clone();
    f(&mut cred);
    cx.task.set_cred(cred);
}

fn set_securebits(cx: &TaskContext<'_>, bits: u64) -> CallResult {
    let old = cx.cred();
    let new = u32::try_from(bits).map_err(|_| Errno::EPERM)?;
    // A lock is next to its bit; locked bits and locks stay.
    let locks = old.securebits & SECUREBIT_LOCKS;
    let frozen = locks | locks >> 1;
    if new & !ALL_SECUREBITS != 0
        || (old.securebits ^ new) & frozen != 0
        || !old.has_cap(Caps::SETPCAP)
    {
        return Err(Errno::EPERM.into());
    }
    change(cx, |cred| cred.securebits = new);
    Ok(0)
}

/// PR_CAP_AMBIENT.
fn ambient(cx: &TaskContext<'_>, command: u64, cap: u64) -> CallResult {
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const LOWER: u64 = 3;
    const CLEAR_ALL: u64 = 4;
    /// SECBIT_NO_CAP_AMBIENT_RAISE.
    const NO_RAISE: u32 = 1 << 6;
    if command == CLEAR_ALL {
        if cap != 0 {
            return Err(Errno::EINVAL.into());
        }
        change(cx, |cred| cred.ambient = Caps::NONE);
        return Ok(0);
    }
    if cap > Caps::LAST.into() {
        return Err(Errno::EINVAL.into());
    }
    let bit = 1u64 << cap;
    let cred = cx.cred();
    match command {
        IS_SET => Ok(u64::from(cred.ambient.0 & bit != 0)),
        RAISE => {
            let has = cred.permitted.0 & cred.inheritable.0 & bit != 0;
            if !has || cred.securebits & NO_RAISE != 0 {
                return Err(Errno::EPERM.into());
            }
            change(cx, |cred| cred.ambient.0 |= bit);
            Ok(0)
        }
        LOWER => {
            change(cx, |cred| cred.ambient.0 &= !bit);
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// PR_SET_VMA: names for anonymous memory, as /proc/PID/maps shows them.
fn set_vma(cx: &TaskContext<'_>, attribute: u64, addr: u64, len: u64, name: u64) -> CallResult {
    /// PR_SET_VMA_ANON_NAME.
    const ANON_NAME: u64 = 0;
    /// ANON_VMA_NAME_MAX_LEN.
    const MAX_LEN: usize = 80;
    if attribute != ANON_NAME {
        return Err(Errno::EINVAL.into());
    }
    let mm = cx.mm();
    let name = match UserAddr(name).non_null() {
        None => None,
        Some(at) => Some(mm.read_cstr(at, MAX_LEN).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::EINVAL,
            other => other,
        })?),
    };
    let allowed = |b: &u8| (0x20..0x7f).contains(b) && !b"\\`$[]".contains(b);
    if name.as_ref().is_some_and(|name| !name.iter().all(allowed)) {
        return Err(Errno::EINVAL.into());
    }
    mm.set_anon_name(UserAddr(addr), len, name.as_deref())?;
    Ok(0)
}
