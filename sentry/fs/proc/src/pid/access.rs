//! Who may look into a process: the rule of ptrace(2), "Ptrace access mode checking", for reading
//! with the file system's ids (PTRACE_MODE_READ_FSCREDS).

use super::Live;
use abi::{Errno, SysResult};
use kernel::{Task, ThreadGroup};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::Credentials;
use vfs::cred::Caps;

/// SUID_DUMP_USER of prctl(2).
const SUID_DUMP_USER: i32 = 1;

/// PR_GET_DUMPABLE.
pub(super) fn is_dumpable(group: &ThreadGroup) -> bool {
    group.dumpable.load(Ordering::Relaxed) == SUID_DUMP_USER
}

/// May the current task look into this one? EACCES. The kernel itself may.
pub(super) fn check(live: &Live) -> SysResult<()> {
    let Some(caller) = kernel::current() else { return Ok(()) };
    let Some(task) = &live.task else { return Ok(()) }; // nothing is left to look at
    if may_inspect(&caller, task) { Ok(()) } else { Err(Errno::EACCES) }
}

fn may_inspect(caller: &Arc<Task>, task: &Arc<Task>) -> bool {
    Arc::ptr_eq(caller.group(), task.group())
        || may_inspect_as(&caller.cred(), &task.cred(), is_dumpable(task.group()))
}

/// The part of the rule that only needs the credentials.
fn may_inspect_as(caller: &Credentials, target: &Credentials, dumpable: bool) -> bool {
    if caller.has_cap(Caps::SYS_PTRACE) {
        return true;
    }
    let is_user = [target.euid, target.suid, target.uid].iter().all(|id| *id == caller.fsuid);
    let is_group = [target.egid, target.sgid, target.gid].iter().all(|id| *id == caller.fsgid);
    let has_caps = target.permitted.0 & !caller.effective.0 == 0;
    is_user && is_group && dumpable && has_caps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_user_may_look_but_not_at_set_id_programs() {
        let user = Credentials::new(1000, 1000, &[]);
        let other = Credentials::new(1001, 1001, &[]);
        let set_id = Credentials { euid: 0, suid: 0, ..user.clone() };
        let root = Credentials::new(0, 0, &[]);
        assert!(may_inspect_as(&user, &user, true));
        assert!(!may_inspect_as(&user, &user, false));
        assert!(!may_inspect_as(&user, &other, true));
        assert!(!may_inspect_as(&user, &set_id, true));
        assert!(may_inspect_as(&root, &set_id, false));
    }

    #[test]
    fn more_capabilities_are_not_looked_at() {
        let plain = Credentials { effective: Caps(0), permitted: Caps(0), ..root() };
        assert!(!may_inspect_as(&plain, &root(), true));
        assert!(may_inspect_as(&plain, &plain, true));
    }

    fn root() -> Credentials {
        Credentials::new(0, 0, &[])
    }
}
