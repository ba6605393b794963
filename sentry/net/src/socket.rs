//! What a protocol family provides for each of its sockets.

use crate::message::{MsgFlags, Received, SendMessage};
use crate::options::SocketOptions;
use abi::file::PollEvents;
use abi::{Errno, SysResult};
use std::any::Any;
use std::sync::Arc;
use vfs::InodeRef;
use wait::WaitQueue;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The type of a socket: SOCK_ without its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)] // socket(2) describes them
pub enum SocketKind {
    Stream = libc::SOCK_STREAM,
    Datagram = libc::SOCK_DGRAM,
    Raw = libc::SOCK_RAW,
    SeqPacket = libc::SOCK_SEQPACKET,
}

/// `struct ucred`: who is at the other end.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[allow(missing_docs)]
pub struct PeerCred {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

impl PeerCred {
    /// What SO_PEERCRED shows where there is no peer.
    pub const NOBODY: PeerCred = PeerCred { pid: 0, uid: u32::MAX, gid: u32::MAX };
}

/// The caller's view of the file system, as far as unix sockets need it.
pub trait SocketPaths {
    /// Makes a socket node for bind(2), as mknod(2) does with the caller's umask. EEXIST where the
    /// name is taken.
    fn create(&self, path: &[u8]) -> SysResult<InodeRef>;

    /// Finds a node for connect(2) and sendto(2), following links. EACCES without permission to
    /// write to it.
    fn find(&self, path: &[u8]) -> SysResult<InodeRef>;
}

/// For callers who have no names to give.
pub struct NoPaths;

impl SocketPaths for NoPaths {
    fn create(&self, _path: &[u8]) -> SysResult<InodeRef> {
        Err(Errno::EACCES)
    }

    fn find(&self, _path: &[u8]) -> SysResult<InodeRef> {
        Err(Errno::ENOENT)
    }
}

/// Who makes a call on a socket.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Process id, effective user and group.
    pub cred: PeerCred,
    /// The file system.
    pub paths: &'a dyn SocketPaths,
}

impl Caller<'_> {
    /// A caller who only has an identity.
    pub fn nameless(cred: PeerCred) -> Caller<'static> {
        Caller { cred, paths: &NoPaths }
    }
}

/// The `how` of shutdown(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shutdown {
    Read,
    Write,
    Both,
}

impl Shutdown {
    /// EINVAL for a number that is none.
    pub fn new(how: i32) -> SysResult<Shutdown> {
        match how {
            libc::SHUT_RD => Ok(Shutdown::Read),
            libc::SHUT_WR => Ok(Shutdown::Write),
            libc::SHUT_RDWR => Ok(Shutdown::Both),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Is the direction towards this socket shut?
    pub fn reads(self) -> bool {
        self != Shutdown::Write
    }

    /// Is the direction away from this socket shut?
    pub fn writes(self) -> bool {
        self != Shutdown::Read
    }
}

/// A socket of any family. Nothing blocks: EAGAIN, and the caller waits on the queue and tries
/// again. Addresses are as in `struct sockaddr`, family first.
pub trait Socket: Send + Sync + Any {
    /// AF_.
    fn family(&self) -> i32;

    /// SOCK_.
    fn kind(&self) -> SocketKind;

    /// SO_PROTOCOL.
    fn protocol(&self) -> i32 {
        0
    }

    /// The options every family has; timeouts are for the caller to keep to.
    fn options(&self) -> &SocketOptions;

    /// bind(2).
    fn bind(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()>;

    /// listen(2).
    fn listen(&self, caller: &Caller<'_>, backlog: i32) -> SysResult<()>;

    /// accept(2): the next connection. EAGAIN where there is none; wait for IN.
    fn accept(&self) -> SysResult<Arc<dyn Socket>>;

    /// connect(2). EAGAIN (unix, backlog full) or EINPROGRESS and EALREADY (others); wait for OUT.
    fn connect(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()>;

    /// sendmsg(2): how many bytes were taken. EPIPE where the caller has to raise SIGPIPE, unless
    /// MSG_NOSIGNAL or the socket is not a stream.
    fn send(&self, caller: &Caller<'_>, message: SendMessage<'_>) -> SysResult<usize>;

    /// recvmsg(2). MSG_WAITALL is the caller's.
    fn receive(&self, buf: &mut [u8], flags: MsgFlags) -> SysResult<Received>;

    /// shutdown(2).
    fn shutdown(&self, how: Shutdown) -> SysResult<()>;

    /// getsockname(2).
    fn local_address(&self) -> SysResult<Vec<u8>>;

    /// getpeername(2). ENOTCONN.
    fn peer_address(&self) -> SysResult<Vec<u8>>;

    /// getsockopt(2): the whole value, which the caller cuts to the guest's length. ENOPROTOOPT.
    fn get_option(&self, level: i32, name: i32) -> SysResult<Vec<u8>>;

    /// setsockopt(2). ENOPROTOOPT; EINVAL for a value too short.
    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> SysResult<()>;

    /// What it is ready for.
    fn poll(&self) -> PollEvents;

    /// Where to wait.
    fn wait_queue(&self) -> &WaitQueue;

    /// The ioctls whose answer is one int: FIONREAD, SIOCOUTQ, SIOCATMARK. ENOTTY.
    fn query(&self, cmd: u32) -> SysResult<i32> {
        let _ = cmd;
        Err(Errno::ENOTTY)
    }

    /// Whom SCM_CREDENTIALS names when a message is sent by write(2), which does not say who calls.
    fn owner(&self) -> PeerCred;

    /// To find the family's own type again.
    fn as_any(&self) -> &dyn Any;
}
