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
mod perm;
mod slot;

pub use perm::Perm;
pub use slot::Slot;
pub mod shm;
