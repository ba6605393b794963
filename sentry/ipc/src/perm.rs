//! Owners and permissions of System V objects: `struct ipc_perm`, sysvipc(7).

use abi::ipc::IpcPerm;
use abi::{Errno, SysResult};
use vfs::Credentials;
use vfs::cred::Caps;

/// IPC_PRIVATE: no key.
pub(crate) const PRIVATE: i32 = libc::IPC_PRIVATE;
/// Permission to read, for all three kinds of user; as Linux asks for it.
pub const READ: u32 = 0o444;
/// Permission to write.
pub const WRITE: u32 = 0o222;

/// Who may do what with an object.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Perm {
    pub key: i32,
    pub id: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
}

impl Perm {
    /// Of an object made by this user; `flags` are those of the call.
    pub(crate) fn new(key: i32, id: i32, flags: i32, cred: &Credentials) -> Perm {
        let (uid, gid) = (cred.euid, cred.egid);
        Perm { key, id, uid, gid, cuid: uid, cgid: gid, mode: flags as u32 & 0o777 }
    }

    /// ipcperms: does the user have what `wanted` (mode bits for user, group or others, all the
    /// same) asks for? EACCES.
    pub fn check(&self, cred: &Credentials, wanted: u32) -> SysResult<()> {
        let wanted = wanted >> 6 | wanted >> 3 | wanted;
        let granted = if cred.euid == self.cuid || cred.euid == self.uid {
            self.mode >> 6
        } else if cred.in_group(self.cgid) || cred.in_group(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted & 7 == 0 || cred.has_cap(Caps::IPC_OWNER) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// May the user change or remove the object? EPERM.
    pub fn check_owner(&self, cred: &Credentials) -> SysResult<()> {
        if cred.euid == self.cuid || cred.euid == self.uid || cred.has_cap(Caps::SYS_ADMIN) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// IPC_SET. EINVAL for an id that is none.
    pub(crate) fn set(&mut self, new: &IpcPerm) -> SysResult<()> {
        if new.uid == u32::MAX || new.gid == u32::MAX {
            return Err(Errno::EINVAL);
        }
        self.uid = new.uid;
        self.gid = new.gid;
        self.mode = self.mode & !0o777 | new.mode & 0o777;
        Ok(())
    }

    /// As IPC_STAT shows it.
    pub(crate) fn to_user(&self) -> IpcPerm {
        IpcPerm {
            key: self.key,
            uid: self.uid,
            gid: self.gid,
            cuid: self.cuid,
            cgid: self.cgid,
            mode: self.mode,
            seq: crate::ids::sequence(self.id) as u16,
            ..IpcPerm::default()
        }
    }
}

/// The time as the objects record it, in seconds.
pub(crate) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_users() {
        let maker = Credentials::new(7, 8, &[]);
        let mut perm = Perm::new(1, 2, 0o640, &maker);
        assert_eq!(perm.check(&maker, WRITE), Ok(()));
        let group = Credentials::new(9, 8, &[]);
        assert_eq!(perm.check(&group, READ), Ok(()));
        assert_eq!(perm.check(&group, WRITE), Err(Errno::EACCES));
        let other = Credentials::new(9, 9, &[]);
        assert_eq!(perm.check(&other, READ), Err(Errno::EACCES));
        assert_eq!(perm.check_owner(&other), Err(Errno::EPERM));
        assert_eq!(perm.check(&Credentials::new(0, 0, &[]), READ), Ok(()));
        // The maker stays one who may, whoever owns it.
        perm.set(&IpcPerm { uid: 9, gid: 9, mode: 0o7600, ..IpcPerm::default() }).unwrap();
        assert_eq!((perm.mode, perm.check_owner(&maker)), (0o600, Ok(())));
        assert_eq!(perm.check(&other, WRITE), Ok(()));
    }
}
