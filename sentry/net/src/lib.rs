//! Sockets: the layer between the system calls and the protocol families.
//!
//! A [`Socket`] is what a family implements; a [`SocketFile`] makes it an open file. Like every open
//! file it never blocks: EAGAIN, and a wait queue. Nothing here knows tasks: who calls is a
//! [`Caller`].
//!
//! Families: unix(7), in the folder `unix`.
//!
//! Lock order: a socket's locks are never held together with another socket's; the table of files
//! in flight (`rights`) comes before a unix socket's inbox. Waiters are woken without locks.

#![forbid(unsafe_code)]

mod file;
mod inode;
pub mod message;
pub mod options;
mod rights;
mod socket;
pub mod unix;

pub use file::SocketFile;
pub use inode::SocketInode;
pub use message::{MsgFlags, Received, SendMessage};
pub use options::SocketOptions;
pub use rights::{MAX_RIGHTS, Rights};
pub use socket::{Caller, NoPaths, PeerCred, Shutdown, Socket, SocketKind, SocketPaths};

use abi::{Errno, SysResult};
use std::sync::Arc;

/// AF_UNIX.
pub const AF_UNIX: i32 = libc::AF_UNIX;

/// What the sockets of a network namespace share.
#[derive(Default)]
pub struct NetNamespace {
    /// Names of unix sockets that are not in the file system.
    pub unix: Arc<unix::Names>,
}

impl NetNamespace {
    /// A namespace without sockets.
    pub fn new() -> Arc<NetNamespace> {
        Arc::default()
    }
}

/// socket(2). `kind` without SOCK_NONBLOCK and SOCK_CLOEXEC. EAFNOSUPPORT for a family that is not
/// there, EINVAL for what is no type at all, ESOCKTNOSUPPORT and EPROTONOSUPPORT as socket(2) says.
pub fn socket(
    namespace: &Arc<NetNamespace>,
    family: i32,
    kind: i32,
    protocol: i32,
    cred: PeerCred,
) -> SysResult<Arc<dyn Socket>> {
    check_range(family, kind)?;
    match family {
        AF_UNIX => {
            let kind = unix_kind(kind, protocol)?;
            Ok(unix::UnixSocket::new(&namespace.unix, kind, cred))
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// socketpair(2). Errors as [`socket`]; EOPNOTSUPP for a family that has no pairs.
pub fn socketpair(
    namespace: &Arc<NetNamespace>,
    family: i32,
    kind: i32,
    protocol: i32,
    cred: PeerCred,
) -> SysResult<(Arc<dyn Socket>, Arc<dyn Socket>)> {
    check_range(family, kind)?;
    match family {
        AF_UNIX => {
            let kind = unix_kind(kind, protocol)?;
            let (a, b) = unix::UnixSocket::pair(&namespace.unix, kind, cred);
            Ok((a, b))
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// What Linux checks before it looks for the family.
fn check_range(family: i32, kind: i32) -> SysResult<()> {
    /// AF_MAX.
    const FAMILIES: std::ops::Range<i32> = 0..46;
    /// SOCK_MAX.
    const KINDS: std::ops::Range<i32> = 0..11;
    if !FAMILIES.contains(&family) {
        return Err(Errno::EAFNOSUPPORT);
    }
    if KINDS.contains(&kind) { Ok(()) } else { Err(Errno::EINVAL) }
}

fn unix_kind(kind: i32, protocol: i32) -> SysResult<SocketKind> {
    if protocol != 0 && protocol != AF_UNIX {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match kind {
        libc::SOCK_STREAM => Ok(SocketKind::Stream),
        // Linux takes SOCK_RAW for a datagram socket here.
        libc::SOCK_DGRAM | libc::SOCK_RAW => Ok(SocketKind::Datagram),
        libc::SOCK_SEQPACKET => Ok(SocketKind::SeqPacket),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

#[cfg(test)]
mod tests;
