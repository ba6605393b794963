//! Who a process is: getresuid(2), setresuid(2), setgroups(2), capget(2), and what changes it.

use crate::calls;
use crate::case::{Case, ORDINARY, Outcome, in_child};
use crate::sys::{BAD, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "creds";
    ids_agree: "getuid, geteuid and getresuid agree, and so do groups";
    ordinary_cannot_change [Ordinary]: "an ordinary user may set only ids it has";
    setuid_of_root_is_final [Root]: "setuid by root sets all three ids, without way back";
    setresuid_swaps [Root]: "an effective id can be dropped and taken back";
    setreuid_sets_saved [Root]: "setreuid sets the saved id along";
    setfsuid_gives_old: "setfsuid gives the old id, also when it changes nothing";
    invalid_id_is_einval: "an id of -1 where it has no meaning is EINVAL";
    setgroups_and_getgroups [Root]: "supplementary groups are kept and counted";
    setgroups_ordinary_is_eperm [Ordinary]: "setgroups is EPERM, getgroups too small EINVAL";
    supplementary_group_gives_access [Root]: "a supplementary group counts for the mode";
    capget_reports: "capget knows its version, and gives EINVAL with it for others";
    capset_can_only_drop [Root]: "capabilities dropped do not come back";
    change_of_user_drops_capabilities [Root]: "leaving uid 0 clears the capabilities";
    keepcaps_keeps_permitted [Root]: "PR_SET_KEEPCAPS keeps the permitted set";
    bounding_set_is_read: "PR_CAPBSET_READ gives 0 or 1, EINVAL beyond the last";
    kill_of_other_user_is_eperm [Root]: "signalling another user's process is EPERM";
    umask_returns_old: "umask gives the old mask and keeps nine bits";
    nice_and_priority: "getpriority is biased by 20; raising is for root";
    hostname_needs_privilege [Ordinary]: "sethostname is EPERM";
}

/// Real, effective and saved id.
fn ids(nr: i64) -> SysResult<[u32; 3]> {
    let (mut real, mut effective, mut saved) = (9u32, 9u32, 9u32);
    crate::sys::call(nr, &[(&mut real).into(), (&mut effective).into(), (&mut saved).into()])?;
    Ok([real, effective, saved])
}

fn uids() -> SysResult<[u32; 3]> {
    ids(libc::SYS_getresuid)
}

fn ids_agree(_: &mut Case) -> Outcome {
    let (uids, gids) = (uids()?, ids(libc::SYS_getresgid)?);
    check_eq!(uids[0] as usize, sys!(SYS_getuid)?, "real user");
    check_eq!(uids[1] as usize, sys!(SYS_geteuid)?, "effective user");
    check_eq!(gids[0] as usize, sys!(SYS_getgid)?, "real group");
    check_eq!(gids[1] as usize, sys!(SYS_getegid)?, "effective group");
    check_errno!(sys!(SYS_getresuid, BAD, BAD, BAD), EFAULT);
    Ok(())
}

fn ordinary_cannot_change(_: &mut Case) -> Outcome {
    let me = calls::geteuid();
    check_errno!(sys!(SYS_setuid, 0), EPERM);
    check_errno!(sys!(SYS_setgid, 0), EPERM);
    check_errno!(sys!(SYS_setresuid, -1, 0, -1), EPERM);
    check_errno!(sys!(SYS_setreuid, 0, -1), EPERM);
    check_errno!(sys!(SYS_setresgid, 0, 0, 0), EPERM);
    sys!(SYS_setuid, me)?;
    sys!(SYS_setresuid, me, me, me)?;
    sys!(SYS_setresuid, -1, -1, -1)?;
    check_eq!(uids()?, [me; 3], "ids afterwards");
    Ok(())
}

fn setuid_of_root_is_final(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setuid, ORDINARY)?;
        check_eq!(uids()?, [ORDINARY; 3], "ids");
        check_errno!(sys!(SYS_setuid, 0), EPERM);
        Ok(())
    })
}

fn setresuid_swaps(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setresuid, 1000, 1001, 0)?;
        check_eq!(uids()?, [1000, 1001, 0], "ids");
        // Any of the three may become effective.
        sys!(SYS_setresuid, -1, 1000, -1)?;
        sys!(SYS_setresuid, -1, 0, -1)?;
        check_eq!(uids()?, [1000, 0, 0], "ids with root back");
        sys!(SYS_setresuid, -1, 1000, 1000)?;
        check_errno!(sys!(SYS_setresuid, -1, 0, -1), EPERM);
        Ok(())
    })
}

fn setreuid_sets_saved(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setreuid, -1, 1000)?;
        check_eq!(uids()?, [0, 1000, 1000], "ids after changing the effective one");
        sys!(SYS_setreuid, 1000, 0)?;
        check_eq!(uids()?, [1000, 0, 0], "ids after swapping");
        Ok(())
    })
}

fn setfsuid_gives_old(_: &mut Case) -> Outcome {
    let me = calls::geteuid() as usize;
    check_eq!(sys!(SYS_setfsuid, -1)?, me, "setfsuid(-1)");
    check_eq!(sys!(SYS_setfsuid, me)?, me, "setfsuid to the same id");
    check_eq!(sys!(SYS_setfsgid, -1)?, sys!(SYS_getegid)?, "setfsgid(-1)");
    Ok(())
}

fn invalid_id_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_setuid, -1), EINVAL);
    check_errno!(sys!(SYS_setgid, -1), EINVAL);
    Ok(())
}

fn setgroups_and_getgroups(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setgroups, 3, &[30u32, 10, 20])?;
        check_eq!(sys!(SYS_getgroups, 0, 0)?, 3, "number of groups");
        let mut groups = [0u32; 8];
        check_eq!(sys!(SYS_getgroups, 8, &mut groups)?, 3, "getgroups");
        groups[..3].sort_unstable();
        check_eq!(groups[..3], [10, 20, 30], "groups");
        check_errno!(sys!(SYS_setgroups, 65_537, &groups), EINVAL);
        check_errno!(sys!(SYS_setgroups, 1, BAD), EFAULT);
        sys!(SYS_setgroups, 0, 0)?;
        check_eq!(sys!(SYS_getgroups, 0, 0)?, 0, "number after clearing");
        Ok(())
    })
}

fn setgroups_ordinary_is_eperm(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_setgroups, 0, 0), EPERM);
    check_errno!(sys!(SYS_getgroups, -1, 0), EINVAL);
    Ok(())
}

fn supplementary_group_gives_access(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    sys!(SYS_chown, &calls::cstr(&path), 0, 4321)?;
    calls::chmod(&path, 0o640)?;
    let attempt = |groups: &[u32]| {
        in_child(|| {
            sys!(SYS_setgroups, groups.len(), groups)?;
            sys!(SYS_setresgid, ORDINARY, ORDINARY, ORDINARY)?;
            sys!(SYS_setresuid, ORDINARY, ORDINARY, ORDINARY)?;
            let opened = calls::open(&path, libc::O_RDONLY, 0);
            if groups.is_empty() {
                check_errno!(opened, EACCES);
            } else {
                opened?;
            }
            Ok(())
        })
    };
    attempt(&[])?;
    attempt(&[1, 4321])
}

const VERSION_3: u32 = 0x2008_0522;

/// Effective, permitted and inheritable sets.
fn capget() -> SysResult<[u64; 3]> {
    let mut data = [0u32; 6];
    sys!(SYS_capget, &[VERSION_3, 0], &mut data)?;
    let set = |i: usize| u64::from(data[i]) | u64::from(data[i + 3]) << 32;
    Ok([set(0), set(1), set(2)])
}

fn capset(sets: [u64; 3]) -> SysResult {
    let low = |i: usize| sets[i] as u32;
    let high = |i: usize| (sets[i] >> 32) as u32;
    let data = [low(0), low(1), low(2), high(0), high(1), high(2)];
    sys!(SYS_capset, &[VERSION_3, 0], &data)
}

fn capget_reports(_: &mut Case) -> Outcome {
    let [effective, permitted, _] = capget()?;
    check_eq!(effective & !permitted, 0, "effective capabilities which are not permitted");
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = format!("CapEff:\t{effective:016x}");
    check!(status.contains(&line), "{line} in /proc/self/status");
    let mut header = [0x1234u32, 0];
    check_errno!(sys!(SYS_capget, &mut header, &mut [0u32; 6]), EINVAL);
    check_eq!(std::hint::black_box(header)[0], VERSION_3, "version the kernel prefers");
    check_errno!(sys!(SYS_capget, &[VERSION_3, 0x3f_ffff], &mut [0u32; 6]), ESRCH);
    check_errno!(sys!(SYS_capget, BAD, BAD), EFAULT);
    Ok(())
}

fn capset_can_only_drop(_: &mut Case) -> Outcome {
    in_child(|| {
        let [_, permitted, _] = capget()?;
        // CAP_CHOWN is number 0.
        let less = permitted & !1;
        capset([less, less, 0])?;
        check_eq!(capget()?[..2], [less, less], "sets after dropping");
        check_errno!(capset([less, permitted | 1, 0]), EPERM);
        check_errno!(capset([less | 1, less, 0]), EPERM);
        Ok(())
    })
}

fn change_of_user_drops_capabilities(_: &mut Case) -> Outcome {
    in_child(|| {
        let [effective, permitted, _] = capget()?;
        sys!(SYS_setresuid, -1, 1000, -1)?;
        check_eq!(capget()?[..2], [0, permitted], "sets with an effective user of 1000");
        sys!(SYS_setresuid, -1, 0, -1)?;
        check_eq!(capget()?[0], effective, "effective set of root again");
        sys!(SYS_setresuid, 1000, 1000, 1000)?;
        check_eq!(capget()?[..2], [0, 0], "sets without any root left");
        Ok(())
    })
}

fn keepcaps_keeps_permitted(_: &mut Case) -> Outcome {
    in_child(|| {
        let [_, permitted, _] = capget()?;
        sys!(SYS_prctl, libc::PR_SET_KEEPCAPS, 1)?;
        sys!(SYS_setresuid, 1000, 1000, 1000)?;
        check_eq!(capget()?[..2], [0, permitted], "sets");
        check_errno!(sys!(SYS_prctl, libc::PR_SET_KEEPCAPS, 2), EINVAL);
        Ok(())
    })
}

fn bounding_set_is_read(_: &mut Case) -> Outcome {
    let first = sys!(SYS_prctl, libc::PR_CAPBSET_READ, 0, 0, 0, 0)?;
    check!(first <= 1, "0 or 1, got {first}");
    check_errno!(sys!(SYS_prctl, libc::PR_CAPBSET_READ, 64, 0, 0, 0), EINVAL);
    Ok(())
}

fn kill_of_other_user_is_eperm(_: &mut Case) -> Outcome {
    let parent = calls::getpid();
    in_child(|| {
        calls::become_user(ORDINARY)?;
        check_errno!(calls::kill(parent, 0), EPERM);
        check_errno!(calls::kill(parent, libc::SIGTERM), EPERM);
        // The number is looked at after the permission... of a process that exists.
        check_errno!(calls::kill(parent, 65), EINVAL);
        Ok(())
    })
}

fn umask_returns_old(_: &mut Case) -> Outcome {
    sys!(SYS_umask, 0o7777)?;
    check_eq!(sys!(SYS_umask, 0o027)?, 0o777, "old mask");
    check_eq!(sys!(SYS_umask, 0o022)?, 0o027, "old mask");
    Ok(())
}

fn nice_and_priority(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, 5)?;
        check_eq!(sys!(SYS_getpriority, libc::PRIO_PROCESS, 0)?, 15, "20 less the nice value");
        sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, 100)?;
        check_eq!(sys!(SYS_getpriority, libc::PRIO_PROCESS, 0)?, 1, "cut at 19");
        if calls::geteuid() != 0 {
            check_errno!(sys!(SYS_setpriority, libc::PRIO_PROCESS, 0, -20), EACCES);
        }
        check_errno!(sys!(SYS_getpriority, 9, 0), EINVAL);
        check_errno!(sys!(SYS_getpriority, libc::PRIO_PROCESS, 0x3f_ffff), ESRCH);
        Ok(())
    })
}

fn hostname_needs_privilege(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_sethostname, b"name", 4), EPERM);
    check_errno!(sys!(SYS_setdomainname, b"name", 4), EPERM);
    Ok(())
}
