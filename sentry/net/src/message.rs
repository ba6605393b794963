//! What sendmsg(2) takes and recvmsg(2) gives.

use crate::rights::Rights;
use crate::socket::PeerCred;
use std::sync::Arc;
use vfs::OpenFile;

bitflags::bitflags! {
    /// The flags of recv(2) and send(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MsgFlags: u32 {
        /// MSG_OOB.
        const OOB = libc::MSG_OOB as u32;
        /// MSG_PEEK.
        const PEEK = libc::MSG_PEEK as u32;
        /// MSG_DONTROUTE.
        const DONTROUTE = libc::MSG_DONTROUTE as u32;
        /// MSG_CTRUNC.
        const CTRUNC = libc::MSG_CTRUNC as u32;
        /// MSG_TRUNC.
        const TRUNC = libc::MSG_TRUNC as u32;
        /// MSG_DONTWAIT.
        const DONTWAIT = libc::MSG_DONTWAIT as u32;
        /// MSG_EOR.
        const EOR = libc::MSG_EOR as u32;
        /// MSG_WAITALL.
        const WAITALL = libc::MSG_WAITALL as u32;
        /// MSG_CONFIRM.
        const CONFIRM = libc::MSG_CONFIRM as u32;
        /// MSG_ERRQUEUE.
        const ERRQUEUE = libc::MSG_ERRQUEUE as u32;
        /// MSG_NOSIGNAL.
        const NOSIGNAL = libc::MSG_NOSIGNAL as u32;
        /// MSG_MORE.
        const MORE = libc::MSG_MORE as u32;
        /// MSG_WAITFORONE.
        const WAITFORONE = libc::MSG_WAITFORONE as u32;
        /// MSG_FASTOPEN.
        const FASTOPEN = libc::MSG_FASTOPEN as u32;
        /// MSG_CMSG_CLOEXEC.
        const CMSG_CLOEXEC = libc::MSG_CMSG_CLOEXEC as u32;
    }
}

/// A message to send. It is used up also where sending fails: whoever tries again, after EAGAIN, makes
/// another, with the same files.
#[derive(Default)]
pub struct SendMessage<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// Where to, if given.
    pub to: Option<&'a [u8]>,
    /// MSG_ flags.
    pub flags: MsgFlags,
    /// SCM_RIGHTS.
    pub rights: Rights,
    /// SCM_CREDENTIALS, which the caller has found to be allowed (EPERM otherwise).
    pub cred: Option<PeerCred>,
}

impl<'a> SendMessage<'a> {
    /// Only bytes.
    pub fn bytes(data: &'a [u8]) -> SendMessage<'a> {
        SendMessage { data, ..SendMessage::default() }
    }
}

/// A message that was received.
#[derive(Default)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// Length of the whole datagram: what the call returns with MSG_TRUNC.
    pub full_len: usize,
    /// The sender's address; None where it has none (`msg_namelen` is 0 then).
    pub from: Option<Vec<u8>>,
    /// MSG_TRUNC, MSG_EOR as they came; MSG_CTRUNC is the caller's.
    pub flags: MsgFlags,
    /// SCM_RIGHTS.
    pub rights: Vec<Arc<OpenFile>>,
    /// SCM_CREDENTIALS, if the socket asked for them (SO_PASSCRED).
    pub cred: Option<PeerCred>,
}
