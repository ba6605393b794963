//! Handlers of calls on files.
//!
//! `paths.rs`, `buffers.rs` and `blocking.rs` are what the families share: path arguments, copies
//! of data, waiting.

pub(crate) mod attributes;
mod blocking;
mod buffers;
pub(crate) mod close;
pub(crate) mod copy;
pub(crate) mod directory;
pub(crate) mod epoll;
pub(crate) mod events;
pub(crate) mod extent;
pub(crate) mod fcntl;
pub(crate) mod ioctl;
pub(crate) mod locks;
pub(crate) mod memfd;
pub(crate) mod mount;
pub(crate) mod names;
pub(crate) mod open;
mod paths;
pub(crate) mod poll;
pub(crate) mod select;
pub(crate) mod signalfd;
pub(crate) mod sockets;
pub(crate) mod splice;
pub(crate) mod stat;
pub(crate) mod transfer;
pub(crate) mod xattr;

pub(crate) use poll::poll_until;
