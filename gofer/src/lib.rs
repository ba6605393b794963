//! The gofer: the only process of a sandbox that can name host files.
//!
//! One gofer runs per container. At start it is given a socket to the sentry and a list of roots
//! (directories, or single files for bind mounts); after that it answers requests about what lies
//! beneath those roots, hands over open fds for regular files, and does nothing else. The sentry
//! uses [`client::Client`]; the process runs [`server::serve`]; [`protocol`] is what they say to
//! each other.
//!
//! What it never does:
//!
//! * resolve `..`, an absolute path, a symbolic link or a magic link: names are single components,
//!   each looked up beneath an fd with `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
//!   RESOLVE_NO_MAGICLINKS)`. Symbolic links are reported; the sentry follows them, in its own
//!   mount tree;
//! * open a FIFO, a device or a socket of the host, unless the root says so;
//! * give the sentry an fd of a directory, from which it could name files by itself;
//! * change anything beneath a read-only root;
//! * move or link a file from one root into another;
//! * carry file data: that goes through the fd, between the sentry and the host.
//!
//! A directory that somebody on the host moves out of a root while it is in use stays reachable
//! for as long as the gofer holds its fd, as it would for any process that has it open. Nothing
//! above it or beside it becomes reachable.
//!
//! Neither side trusts the other: each decoder bounds every length, and a message that cannot be
//! decoded is an error of the connection, never a panic.
//!
//! # Lock order
//!
//! Server: the pool's state and the node table are leaves, never held together, and never while a
//! host call is made. Client: the table of calls and the list of forgotten nodes, likewise.
//!
//! # Where to start reading
//!
//! [`protocol`] for the conversation, then `server/tree.rs` for how a node becomes a host file,
//! then `client/connection.rs` for how many threads share one socket.

#![forbid(unsafe_code)]

pub mod client;
pub mod errno;
pub mod protocol;
pub mod seccomp;
pub mod server;
mod transport;

pub use client::Client;
pub use errno::Errno;
