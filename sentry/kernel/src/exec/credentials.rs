//! What exec does to credentials: set-id bits and capabilities (capabilities(7), "Transformation of
//! capabilities during execve").

use vfs::cred::Caps;
use vfs::{Attr, Credentials, MountFlags};

/// SECBIT_NOROOT and SECBIT_KEEP_CAPS.
const NOROOT: u32 = 1;
const KEEP_CAPS: u32 = 1 << 4;

const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;

/// The credentials after exec of a file with these attributes, and whether the file gave more
/// rights than the caller had (AT_SECURE).
pub fn after_exec(old: &Credentials, file: &Attr, mount: MountFlags) -> (Credentials, bool) {
    let mut new = old.clone();
    let may_gain = !mount.contains(MountFlags::NOSUID) && !old.no_new_privs;
    if may_gain && file.mode & S_ISUID != 0 {
        new.euid = file.uid;
    }
    // Setgid without group execution once meant mandatory locking.
    if may_gain && file.mode & S_ISGID != 0 && file.mode & 0o010 != 0 {
        new.egid = file.gid;
    }
    new.suid = new.euid;
    new.fsuid = new.euid;
    new.sgid = new.egid;
    new.fsgid = new.egid;
    new.securebits &= !KEEP_CAPS;

    let root_rules = new.securebits & NOROOT == 0;
    let changed_ids = new.euid != old.euid || new.egid != old.egid;
    if changed_ids {
        new.ambient = Caps::NONE;
    }
    if root_rules && (new.uid == 0 || new.euid == 0) {
        new.permitted = Caps(old.inheritable.0 | old.bounding.0);
        new.effective = if new.euid == 0 { new.permitted } else { new.ambient };
    } else {
        new.permitted = new.ambient;
        new.effective = new.ambient;
    }
    (new, changed_ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: u32) -> Attr {
        Attr { mode, uid: 0, gid: 0, ..Attr::default() }
    }

    #[test]
    fn plain_exec_by_a_user_keeps_nothing() {
        let old = Credentials { permitted: Caps::ALL, ..Credentials::new(1000, 1000, &[]) };
        let (new, secure) = after_exec(&old, &file(0o755), MountFlags::empty());
        assert_eq!((new.permitted, new.effective, secure), (Caps::NONE, Caps::NONE, false));
    }

    #[test]
    fn setuid_root_gives_all_unless_forbidden() {
        let user = Credentials::new(1000, 1000, &[]);
        let (new, secure) = after_exec(&user, &file(0o4755), MountFlags::empty());
        assert_eq!((new.uid, new.euid, new.suid, new.effective), (1000, 0, 0, Caps::ALL));
        assert!(secure);
        let (new, secure) = after_exec(&user, &file(0o4755), MountFlags::NOSUID);
        assert_eq!((new.euid, secure), (1000, false));
        let locked = Credentials { no_new_privs: true, ..user };
        assert_eq!(after_exec(&locked, &file(0o4755), MountFlags::empty()).0.euid, 1000);
    }

    #[test]
    fn root_gets_what_the_bounding_set_leaves() {
        let old = Credentials { bounding: Caps(0b101), ..Credentials::new(0, 0, &[]) };
        let (new, _) = after_exec(&old, &file(0o755), MountFlags::empty());
        assert_eq!(new.permitted, Caps(0b101));
    }
}
