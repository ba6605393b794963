//! Process groups and sessions: setpgid(2), getpgid(2), setsid(2), getsid(2).

use crate::calls::{self, getpid, pipe, read};
use crate::case::{Case, Outcome, child, in_child, reap};
use crate::{cases, check_eq, check_errno, sys};

cases! { "session";
    child_inherits_group_and_session: "a child starts in its parent's group and session";
    setpgid_makes_a_group: "setpgid(0, 0) makes a group named after the process";
    setpgid_negative_is_einval: "a negative group is EINVAL";
    setpgid_unknown_process_is_esrch: "a process which is neither self nor child is ESRCH";
    setpgid_unknown_group_is_eperm: "a group which does not exist in the session is EPERM";
    setpgid_after_exec_is_eacces: "a child that has called execve cannot be moved: EACCES";
    setpgid_of_session_leader_is_eperm: "a session leader cannot change its group";
    setsid_makes_session_and_group: "setsid gives a new session and group";
    setsid_of_group_leader_is_eperm: "a group leader cannot call setsid";
    getsid_unknown_process_is_esrch: "getsid and getpgid of an unknown process are ESRCH";
    kill_reaches_whole_group: "kill with a negative pid reaches every member";
}

fn child_inherits_group_and_session(_: &mut Case) -> Outcome {
    let (group, session) = (sys!(SYS_getpgid, 0)?, sys!(SYS_getsid, 0)?);
    in_child(|| {
        check_eq!(sys!(SYS_getpgid, 0)?, group, "group of the child");
        check_eq!(sys!(SYS_getpgrp)?, group, "getpgrp of the child");
        check_eq!(sys!(SYS_getsid, 0)?, session, "session of the child");
        Ok(())
    })
}

fn setpgid_makes_a_group(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setpgid, 0, 0)?;
        check_eq!(sys!(SYS_getpgid, 0)?, getpid() as usize, "group");
        Ok(())
    })
}

fn setpgid_negative_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_setpgid, 0, -1), EINVAL);
    Ok(())
}

fn setpgid_unknown_process_is_esrch(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_setpgid, 0x3f_ffff, 0), ESRCH);
    let parent = calls::getpid();
    in_child(|| {
        check_errno!(sys!(SYS_setpgid, parent, 0), ESRCH);
        Ok(())
    })
}

fn setpgid_unknown_group_is_eperm(_: &mut Case) -> Outcome {
    in_child(|| {
        check_errno!(sys!(SYS_setpgid, 0, 0x3f_ffff), EPERM);
        Ok(())
    })
}

fn setpgid_after_exec_is_eacces(_: &mut Case) -> Outcome {
    let me = std::env::current_exe()?.to_string_lossy().into_owned();
    let (r, w) = pipe(libc::O_CLOEXEC)?;
    let (hold, release) = pipe(libc::O_CLOEXEC)?;
    let pid = child(|| {
        sys!(SYS_dup2, hold, 0)?;
        sys!(SYS_dup2, w, 1)?;
        calls::execve(&me, &["x", "helper", "hold"], &[])?;
        Ok(())
    })?;
    read(r, &mut [0])?;
    check_errno!(sys!(SYS_setpgid, pid, pid), EACCES);
    calls::close(hold)?;
    calls::close(release)?;
    reap(pid)
}

fn setpgid_of_session_leader_is_eperm(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setsid)?;
        check_errno!(sys!(SYS_setpgid, 0, 0), EPERM);
        Ok(())
    })
}

fn setsid_makes_session_and_group(_: &mut Case) -> Outcome {
    in_child(|| {
        let me = getpid() as usize;
        check_eq!(sys!(SYS_setsid)?, me, "setsid");
        check_eq!(sys!(SYS_getsid, 0)?, me, "session");
        check_eq!(sys!(SYS_getpgid, 0)?, me, "group");
        Ok(())
    })
}

fn setsid_of_group_leader_is_eperm(_: &mut Case) -> Outcome {
    in_child(|| {
        sys!(SYS_setpgid, 0, 0)?;
        check_errno!(sys!(SYS_setsid), EPERM);
        Ok(())
    })
}

fn getsid_unknown_process_is_esrch(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_getsid, 0x3f_ffff), ESRCH);
    check_errno!(sys!(SYS_getpgid, 0x3f_ffff), ESRCH);
    check_errno!(sys!(SYS_getpgid, -1), ESRCH);
    Ok(())
}

fn kill_reaches_whole_group(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let leader = child(|| {
        sys!(SYS_setpgid, 0, 0)?;
        for _ in 0..3 {
            child(|| {
                calls::write(w, b"x")?;
                loop {
                    sys!(SYS_pause)?;
                }
            })?;
        }
        calls::write(w, b"x")?;
        loop {
            sys!(SYS_pause)?;
        }
    })?;
    calls::close(w)?;
    for _ in 0..4 {
        read(r, &mut [0])?;
    }
    sys!(SYS_kill, -leader, libc::SIGKILL)?;
    let status = calls::wait_for(leader)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGKILL), "signal of the leader");
    // All copies of the writing end are gone only when all four are.
    check_eq!(read(r, &mut [0])?, 0, "read when the group is gone");
    Ok(())
}
