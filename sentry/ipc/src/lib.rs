//! System V IPC and POSIX message queues: the objects of an ipc namespace, ipc_namespaces(7).
//!
//! An [`IpcNamespace`] has shared memory ([`shm`]), semaphores ([`sem`]), message queues ([`msg`])
//! and POSIX message queues ([`mqueue`]). Objects never block: a call that has to wait leaves word
//! of what it waits for in the object, which does the rest on its behalf and gives it the result
//! through a [`Slot`].
//!
//! What this crate never does: know of tasks (process ids are numbers, credentials are given),
//! allocate in proportion to a number the guest gave without a limit.
//!
//! Lock order: a table of objects, then one object. No lock is held while memory is mapped,
//! unmapped or copied.

#![forbid(unsafe_code)]

mod ids;
pub mod mqueue;
pub mod msg;
mod perm;
pub mod sem;
pub mod shm;
mod slot;

pub use perm::Perm;
pub use slot::Slot;

use mm::MemoryFile;
use slot::Budget;
use std::sync::Arc;

/// The most that messages may take of the sentry's memory, all together.
const MESSAGE_BYTES: usize = 64 << 20;

/// One ipc namespace.
pub struct IpcNamespace {
    /// System V shared memory.
    pub shm: shm::Shm,
    /// System V semaphores.
    pub sem: sem::Sems,
    /// System V message queues.
    pub msg: msg::Msgs,
    /// POSIX message queues.
    pub mqueue: mqueue::Mqueues,
}

impl IpcNamespace {
    /// One without objects. Segments lie in `memory`, of which guests may use `memory_limit` bytes.
    /// `current_pid`: the process that calls.
    pub fn new(
        memory: &Arc<MemoryFile>,
        memory_limit: u64,
        current_pid: fn() -> i32,
    ) -> IpcNamespace {
        let budget = Budget::new(MESSAGE_BYTES);
        IpcNamespace {
            shm: shm::Shm::new(memory, memory_limit),
            sem: sem::Sems::new(),
            msg: msg::Msgs::new(&budget),
            mqueue: mqueue::Mqueues::new(&budget, current_pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_in_proc_are_linuxs_own() {
        let memory = MemoryFile::new_memfd().unwrap();
        let ipc = IpcNamespace::new(&memory, 1 << 30, || 1);
        let tables = [
            ("shm", ipc.shm.proc_table()),
            ("sem", ipc.sem.proc_table()),
            ("msg", ipc.msg.proc_table()),
        ];
        for (name, ours) in tables {
            let Ok(linux) = std::fs::read_to_string(format!("/proc/sysvipc/{name}")) else {
                continue;
            };
            assert_eq!(ours.lines().next(), linux.lines().next(), "{name}");
        }
    }
}
