//! User and group ids, capabilities: credentials(7).

use crate::args::Flags;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, Task, TaskContext};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::Credentials;
use vfs::cred::Caps;

/// getuid(2).
pub(crate) fn getuid(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.cred().uid.into())
}

/// geteuid(2).
pub(crate) fn geteuid(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.cred().euid.into())
}

/// getgid(2).
pub(crate) fn getgid(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.cred().gid.into())
}

/// getegid(2).
pub(crate) fn getegid(cx: &mut TaskContext<'_>) -> CallResult {
    Ok(cx.cred().egid.into())
}

/// getresuid(2).
pub(crate) fn getresuid(
    cx: &mut TaskContext<'_>,
    real: UserAddr,
    effective: UserAddr,
    saved: UserAddr,
) -> CallResult {
    let cred = cx.cred();
    cx.write(real, &cred.uid)?;
    cx.write(effective, &cred.euid)?;
    cx.write(saved, &cred.suid)?;
    Ok(0)
}

/// getresgid(2).
pub(crate) fn getresgid(
    cx: &mut TaskContext<'_>,
    real: UserAddr,
    effective: UserAddr,
    saved: UserAddr,
) -> CallResult {
    let cred = cx.cred();
    cx.write(real, &cred.gid)?;
    cx.write(effective, &cred.egid)?;
    cx.write(saved, &cred.sgid)?;
    Ok(0)
}

/// "Leave it as it is".
const KEEP: u32 = u32::MAX;

/// SECBIT_KEEP_CAPS and SECBIT_NO_SETUID_FIXUP.
const KEEP_CAPS: u32 = 1 << 4;
const NO_SETUID_FIXUP: u32 = 1 << 2;

/// Capabilities that go with the file system uid.
const FS_CAPS: u64 = 1 << Caps::CHOWN
    | 1 << Caps::DAC_OVERRIDE
    | 1 << Caps::DAC_READ_SEARCH
    | 1 << Caps::FOWNER
    | 1 << Caps::FSETID
    | 1 << 9 // LINUX_IMMUTABLE
    | 1 << 32 // MAC_OVERRIDE
    | 1 << Caps::MKNOD;

/// What a change of user ids does to capabilities.
fn apply_uids(cx: &TaskContext<'_>, old: &Credentials, mut new: Credentials) {
    if new.securebits & NO_SETUID_FIXUP == 0 {
        let was_root = old.uid == 0 || old.euid == 0 || old.suid == 0;
        let is_root = new.uid == 0 || new.euid == 0 || new.suid == 0;
        if was_root && !is_root {
            if new.securebits & KEEP_CAPS == 0 {
                new.permitted = Caps::NONE;
                new.effective = Caps::NONE;
            }
            new.ambient = Caps::NONE;
        }
        if old.euid == 0 && new.euid != 0 {
            new.effective = Caps::NONE;
        } else if old.euid != 0 && new.euid == 0 {
            new.effective = new.permitted;
        }
    }
    if new.euid != old.euid || new.egid != old.egid {
        cx.task.set_parent_death_signal(0);
    }
    cx.task.set_cred(new);
}

/// setuid(2).
pub(crate) fn setuid(cx: &mut TaskContext<'_>, uid: u32) -> CallResult {
    let old = cx.cred();
    let mut new = (*old).clone();
    check_id(uid)?;
    if old.has_cap(Caps::SETUID) {
        (new.uid, new.suid) = (uid, uid);
    } else if uid != old.uid && uid != old.suid {
        return Err(Errno::EPERM.into());
    }
    (new.euid, new.fsuid) = (uid, uid);
    apply_uids(cx, &old, new);
    Ok(0)
}

fn check_id(id: u32) -> SysResult<()> {
    if id == KEEP { Err(Errno::EINVAL) } else { Ok(()) }
}

/// The ids that setreuid(2) and setregid(2) make of `old` (real, effective, saved). EPERM.
fn change_two(old: [u32; 3], real: u32, effective: u32, privileged: bool) -> SysResult<[u32; 3]> {
    let [old_real, old_effective, _] = old;
    check_all(&[real], &[old_real, old_effective], privileged)?;
    check_all(&[effective], &old, privileged)?;
    let mut new = old;
    keep_or(&mut new[0], real);
    keep_or(&mut new[1], effective);
    // The saved id follows when the real one is set, or the effective one to something else.
    if real != KEEP || effective != KEEP && effective != old_real {
        new[2] = new[1];
    }
    Ok(new)
}

/// The ids that setresuid(2) and setresgid(2) make of `old`. EPERM.
fn change_three(old: [u32; 3], wanted: [u32; 3], privileged: bool) -> SysResult<[u32; 3]> {
    check_all(&wanted, &old, privileged)?;
    let mut new = old;
    new.iter_mut().zip(wanted).for_each(|(id, wanted)| keep_or(id, wanted));
    Ok(new)
}

/// Sets the user ids (real, effective, saved); the file system's follows the effective one.
fn apply_uid_set(cx: &TaskContext<'_>, old: &Credentials, ids: [u32; 3]) {
    let mut new = old.clone();
    [new.uid, new.euid, new.suid] = ids;
    new.fsuid = new.euid;
    apply_uids(cx, old, new);
}

/// The same for group ids.
fn apply_gid_set(cx: &TaskContext<'_>, old: &Credentials, ids: [u32; 3]) {
    let mut new = old.clone();
    [new.gid, new.egid, new.sgid] = ids;
    new.fsgid = new.egid;
    cx.task.set_cred(new);
}

/// setreuid(2).
pub(crate) fn setreuid(cx: &mut TaskContext<'_>, real: u32, effective: u32) -> CallResult {
    let old = cx.cred();
    let privileged = old.has_cap(Caps::SETUID);
    let ids = change_two([old.uid, old.euid, old.suid], real, effective, privileged)?;
    apply_uid_set(cx, &old, ids);
    Ok(0)
}

/// setresuid(2).
pub(crate) fn setresuid(
    cx: &mut TaskContext<'_>,
    real: u32,
    effective: u32,
    saved: u32,
) -> CallResult {
    let old = cx.cred();
    let (ids, privileged) = ([old.uid, old.euid, old.suid], old.has_cap(Caps::SETUID));
    let ids = change_three(ids, [real, effective, saved], privileged)?;
    apply_uid_set(cx, &old, ids);
    Ok(0)
}

fn check_all(wanted: &[u32], allowed: &[u32], privileged: bool) -> SysResult<()> {
    let fine = |id: &u32| *id == KEEP || allowed.contains(id);
    if privileged || wanted.iter().all(fine) { Ok(()) } else { Err(Errno::EPERM) }
}

fn keep_or(id: &mut u32, new: u32) {
    if new != KEEP {
        *id = new;
    }
}

/// setgid(2).
pub(crate) fn setgid(cx: &mut TaskContext<'_>, gid: u32) -> CallResult {
    let old = cx.cred();
    let mut new = (*old).clone();
    check_id(gid)?;
    if old.has_cap(Caps::SETGID) {
        (new.gid, new.sgid) = (gid, gid);
    } else if gid != old.gid && gid != old.sgid {
        return Err(Errno::EPERM.into());
    }
    (new.egid, new.fsgid) = (gid, gid);
    cx.task.set_cred(new);
    Ok(0)
}

/// setregid(2).
pub(crate) fn setregid(cx: &mut TaskContext<'_>, real: u32, effective: u32) -> CallResult {
    let old = cx.cred();
    let privileged = old.has_cap(Caps::SETGID);
    let ids = change_two([old.gid, old.egid, old.sgid], real, effective, privileged)?;
    apply_gid_set(cx, &old, ids);
    Ok(0)
}

/// setresgid(2).
pub(crate) fn setresgid(
    cx: &mut TaskContext<'_>,
    real: u32,
    effective: u32,
    saved: u32,
) -> CallResult {
    let old = cx.cred();
    let (ids, privileged) = ([old.gid, old.egid, old.sgid], old.has_cap(Caps::SETGID));
    let ids = change_three(ids, [real, effective, saved], privileged)?;
    apply_gid_set(cx, &old, ids);
    Ok(0)
}

/// setfsuid(2): returns the old id, and says nothing of failure.
pub(crate) fn setfsuid(cx: &mut TaskContext<'_>, uid: u32) -> CallResult {
    let old = cx.cred();
    let allowed = [old.uid, old.euid, old.suid, old.fsuid].contains(&uid);
    if uid != KEEP && (allowed || old.has_cap(Caps::SETUID)) {
        let mut new = (*old).clone();
        new.fsuid = uid;
        if new.securebits & NO_SETUID_FIXUP == 0 {
            if old.fsuid == 0 && uid != 0 {
                new.effective = Caps(new.effective.0 & !FS_CAPS);
            } else if old.fsuid != 0 && uid == 0 {
                new.effective = Caps(new.effective.0 | new.permitted.0 & FS_CAPS);
            }
        }
        cx.task.set_cred(new);
    }
    Ok(old.fsuid.into())
}

/// setfsgid(2).
pub(crate) fn setfsgid(cx: &mut TaskContext<'_>, gid: u32) -> CallResult {
    let old = cx.cred();
    let allowed = [old.gid, old.egid, old.sgid, old.fsgid].contains(&gid);
    if gid != KEEP && (allowed || old.has_cap(Caps::SETGID)) {
        let mut new = (*old).clone();
        new.fsgid = gid;
        cx.task.set_cred(new);
    }
    Ok(old.fsgid.into())
}

/// NGROUPS_MAX.
const NGROUPS_MAX: i32 = 65_536;

/// getgroups(2).
pub(crate) fn getgroups(cx: &mut TaskContext<'_>, size: i32, list: UserAddr) -> CallResult {
    let groups = cx.cred().groups.clone();
    if size < 0 || size != 0 && (size as usize) < groups.len() {
        return Err(Errno::EINVAL.into());
    }
    if size != 0 {
        let bytes: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
        cx.mm().write_bytes(list, &bytes)?;
    }
    Ok(groups.len() as u64)
}

/// setgroups(2).
pub(crate) fn setgroups(cx: &mut TaskContext<'_>, size: i32, list: UserAddr) -> CallResult {
    let old = cx.cred();
    if !old.has_cap(Caps::SETGID) {
        return Err(Errno::EPERM.into());
    }
    if !(0..=NGROUPS_MAX).contains(&size) {
        return Err(Errno::EINVAL.into());
    }
    let mut bytes = vec![0; size as usize * 4];
    cx.mm().read_bytes(list, &mut bytes)?;
    let words = bytes.chunks_exact(4).map(|b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    let mut new = (*old).clone();
    new.groups = words.collect();
    cx.task.set_cred(new);
    Ok(0)
}

/// May the caller look into (and at) another task: the rule of ptrace(2)'s access checks, by its
/// real ids? EPERM.
pub(super) fn check_inspect(cx: &TaskContext<'_>, task: &Arc<Task>) -> SysResult<()> {
    /// SUID_DUMP_USER of prctl(2).
    const DUMPABLE: i32 = 1;
    let group = task.group();
    let is_dumpable = group.dumpable.load(Ordering::Relaxed) == DUMPABLE;
    let may = Arc::ptr_eq(cx.group(), group) || may_inspect(&cx.cred(), &task.cred(), is_dumpable);
    if may { Ok(()) } else { Err(Errno::EPERM) }
}

fn may_inspect(own: &Credentials, theirs: &Credentials, is_dumpable: bool) -> bool {
    let ids = [theirs.uid, theirs.euid, theirs.suid].iter().all(|id| *id == own.uid)
        && [theirs.gid, theirs.egid, theirs.sgid].iter().all(|id| *id == own.gid);
    own.has_cap(Caps::SYS_PTRACE)
        || ids && is_dumpable && theirs.permitted.0 & !own.permitted.0 == 0
}

/// _LINUX_CAPABILITY_VERSION_1, _2 and _3.
const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// How many 32-bit sets a version has. EINVAL for an unknown one, after telling the caller which
/// is known.
fn capability_words(cx: &TaskContext<'_>, header: UserAddr) -> CallResult<(usize, i32)> {
    let [version, pid]: [u32; 2] = cx.read(header)?;
    let words = match version {
        VERSION_1 => 1,
        VERSION_2 | VERSION_3 => 2,
        _ => {
            cx.write(header, &VERSION_3)?;
            return Err(Errno::EINVAL.into());
        }
    };
    Ok((words, pid as i32))
}

/// capget(2).
pub(crate) fn capget(cx: &mut TaskContext<'_>, header: UserAddr, data: UserAddr) -> CallResult {
    let (words, pid) = match capability_words(cx, header) {
        Ok(found) => found,
        // A probe of the version, with no place for data, is no error.
        Err(kernel::SysError::Errno(Errno::EINVAL)) if data.is_null() => return Ok(0),
        Err(error) => return Err(error),
    };
    if pid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let cred = match pid {
        0 => cx.cred(),
        pid => {
            let table = cx.kernel().processes.lock();
            table.task(pid).map(|task| task.cred()).ok_or(Errno::ESRCH)?
        }
    };
    if data.is_null() {
        return Ok(0);
    }
    for word in 0..words {
        let part = |caps: Caps| (caps.0 >> (32 * word)) as u32;
        let sets = [part(cred.effective), part(cred.permitted), part(cred.inheritable)];
        cx.write(data.offset(12 * word as u64), &sets)?;
    }
    Ok(0)
}

/// capset(2).
pub(crate) fn capset(cx: &mut TaskContext<'_>, header: UserAddr, data: UserAddr) -> CallResult {
    let (words, pid) = capability_words(cx, header)?;
    if pid != 0 && pid != cx.task.tid() {
        return Err(Errno::EPERM.into());
    }
    let (mut effective, mut permitted, mut inheritable) = (0u64, 0u64, 0u64);
    for word in 0..words {
        let [e, p, i]: [u32; 3] = cx.read(data.offset(12 * word as u64))?;
        effective |= u64::from(e) << (32 * word);
        permitted |= u64::from(p) << (32 * word);
        inheritable |= u64::from(i) << (32 * word);
    }
    let [effective, permitted, inheritable] =
        [effective, permitted, inheritable].map(|set| set & Caps::ALL.0);
    let old = cx.cred();
    let may_inherit = old.inheritable.0 | old.permitted.0;
    let beyond = |set: u64, limit: u64| set & !limit != 0;
    if !old.has_cap(Caps::SETPCAP) && beyond(inheritable, may_inherit)
        || beyond(inheritable, old.inheritable.0 | old.bounding.0)
        || beyond(permitted, old.permitted.0)
        || beyond(effective, permitted)
    {
        return Err(Errno::EPERM.into());
    }
    let mut new = (*old).clone();
    new.effective = Caps(effective);
    new.permitted = Caps(permitted);
    new.inheritable = Caps(inheritable);
    new.ambient = Caps(new.ambient.0 & permitted & inheritable);
    cx.task.set_cred(new);
    Ok(0)
}

/// seccomp(2): guests cannot install filters yet.
pub(crate) fn seccomp(
    _cx: &mut TaskContext<'_>,
    _op: u32,
    _flags: Flags,
    _args: UserAddr,
) -> CallResult {
    Err(Errno::EINVAL.into())
}
