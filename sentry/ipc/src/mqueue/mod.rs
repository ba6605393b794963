//! POSIX message queues: mq_overview(7).
//!
//! The names of a namespace are the root directory of an internal file system of type mqueue, which
//! is not mounted anywhere; a queue is a file there, and a message queue descriptor an open file.

mod fs;
mod queue;

pub use fs::MqueueFile;
pub use queue::{Mqueue, Notification, Notify, Received, Sent, Waiting};

use crate::slot::Budget;
use abi::file::OpenFlags;
use abi::ipc::MqAttr;
use abi::{Errno, NAME_MAX, SysResult};
use fs::MqueueFs;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use vfs::cred::{Caps, MAY_READ, MAY_WRITE};
use vfs::{Credentials, Dentry, Mount, MountFlags, OpenFile, Path};

/// queues_max.
const MAX_QUEUES: usize = 256;
/// msg_default and msgsize_default, and msg_max and msgsize_max: for those without
/// CAP_SYS_RESOURCE.
const DEFAULT: (i64, i64) = (10, 8192);
/// HARD_MSGMAX and HARD_MSGSIZEMAX.
const HARD: (i64, i64) = (65_536, 16 << 20);
/// MQ_PRIO_MAX: priorities are below.
pub const MAX_PRIORITY: u32 = 32_768;

/// What the queues of each user could take, against RLIMIT_MSGQUEUE.
pub(crate) type Users = Arc<Mutex<HashMap<u32, u64>>>;

/// The queues of a namespace.
pub struct Mqueues {
    names: Mutex<BTreeMap<Vec<u8>, Arc<Mqueue>>>,
    users: Users,
    budget: Budget,
    fs: Arc<MqueueFs>,
    mount: Arc<Mount>,
    /// Who calls: for close(2), which ends a notification.
    current_pid: fn() -> i32,
}

/// The arguments of mq_open(2).
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// The name, without the slash that mq_open(3) takes off.
    pub name: &'a [u8],
    /// The flags of the call.
    pub flags: OpenFlags,
    /// Permissions of a new queue, the umask applied.
    pub mode: u32,
    /// Limits of a new queue.
    pub attr: Option<MqAttr>,
    /// RLIMIT_MSGQUEUE.
    pub limit: u64,
}

impl Mqueues {
    pub(crate) fn new(budget: &Budget, current_pid: fn() -> i32) -> Mqueues {
        let fs = MqueueFs::new();
        let mount = Mount::new(fs.clone(), MountFlags::default());
        let (names, users) = (Mutex::default(), Users::default());
        Mqueues { names, users, budget: budget.clone(), fs, mount, current_pid }
    }

    /// mq_open(2).
    pub fn open(&self, request: &OpenRequest<'_>, cred: &Credentials) -> SysResult<Arc<OpenFile>> {
        check_name(request.name)?;
        let has = |flag| request.flags.contains(flag);
        let mut names = self.names.lock();
        let queue = match names.get(request.name) {
            Some(_) if has(OpenFlags::CREAT | OpenFlags::EXCL) => return Err(Errno::EEXIST),
            Some(queue) => {
                queue.check_open(request.flags, cred)?;
                queue.clone()
            }
            None if !has(OpenFlags::CREAT) => return Err(Errno::ENOENT),
            None => {
                if names.len() >= MAX_QUEUES && !cred.has_cap(Caps::SYS_RESOURCE)
                    || names.len() >= MAX_QUEUES * 64
                {
                    return Err(Errno::ENOSPC);
                }
                let queue = self.make(request, cred)?;
                names.insert(request.name.to_vec(), queue.clone());
                queue
            }
        };
        drop(names);
        let ops = Arc::new(MqueueFile::new(queue.clone(), self.current_pid));
        let name = [b"/", request.name].concat();
        let dentry = Dentry::new_anonymous(&name, queue);
        let path = Path { mount: self.mount.clone(), dentry };
        Ok(OpenFile::new(ops, path, request.flags))
    }

    fn make(&self, request: &OpenRequest<'_>, cred: &Credentials) -> SysResult<Arc<Mqueue>> {
        let (messages, size) = request.attr.map_or(DEFAULT, |attr| (attr.maxmsg, attr.msgsize));
        let most = if cred.has_cap(Caps::SYS_RESOURCE) { HARD } else { DEFAULT };
        if !(1..=most.0).contains(&messages) || !(1..=most.1).contains(&size) {
            return Err(Errno::EINVAL);
        }
        let limits = (messages as usize, size as usize);
        // As Linux counts it: the bytes, and for each message the two structures that hold it.
        let bytes = messages as u64 * (size as u64 + 96);
        {
            let mut users = self.users.lock();
            let used = users.entry(cred.uid).or_default();
            let sum = used.checked_add(bytes).filter(|&sum| sum <= request.limit);
            *used = sum.ok_or(Errno::EMFILE)?;
        }
        let charge = queue::UserCharge { users: self.users.clone(), uid: cred.uid, bytes };
        Ok(Mqueue::new(&self.fs, request.mode, cred, limits, charge, &self.budget))
    }

    /// mq_unlink(2). The directory is sticky: only the owner may.
    pub fn unlink(&self, name: &[u8], cred: &Credentials) -> SysResult<()> {
        check_name(name)?;
        let mut names = self.names.lock();
        let queue = names.get(name).ok_or(Errno::ENOENT)?;
        let owner = queue.attributes().uid;
        // The directory itself is root's, who may too.
        if cred.fsuid != owner && cred.fsuid != 0 && !cred.has_cap(Caps::FOWNER) {
            return Err(Errno::EPERM);
        }
        let queue = names.remove(name);
        drop(names);
        if let Some(queue) = queue {
            queue.unlinked();
        }
        Ok(())
    }
}

/// A name in the one directory there is.
fn check_name(name: &[u8]) -> SysResult<()> {
    match name {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EACCES),
        name if name.contains(&b'/') => Err(Errno::EACCES),
        name if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

impl Mqueue {
    fn check_open(&self, flags: OpenFlags, cred: &Credentials) -> SysResult<()> {
        let mask = match flags.bits() & libc::O_ACCMODE as u32 {
            0 => MAY_READ,
            1 => MAY_WRITE,
            2 => MAY_READ | MAY_WRITE,
            _ => return Err(Errno::EINVAL),
        };
        cred.check(&self.attributes(), mask)
    }
}

#[cfg(test)]
mod tests;
