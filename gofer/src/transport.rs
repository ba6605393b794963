//! One message, one packet, at most one fd with it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno as HostErrno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Room to receive more fds than a peer may send, so that each of them is seen and closed.
const RECEIVE_FDS: usize = 4;

/// Sends a message whole. Blocks while the peer's queue is full.
pub(crate) fn send(
    socket: impl AsFd,
    message: &[u8],
    fd: Option<BorrowedFd<'_>>,
) -> Result<(), HostErrno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: [BorrowedFd<'_>; 1];
    if let Some(fd) = fd {
        fds = [fd];
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(HostErrno::NOBUFS);
        }
    }
    let iov = [IoSlice::new(message)];
    loop {
        match sendmsg(&socket, &iov, &mut control, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == message.len() => return Ok(()),
            // A packet socket sends all or nothing; anything else is no packet socket.
            Ok(_) => return Err(HostErrno::PROTO),
            Err(HostErrno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// What was received.
pub(crate) struct Received {
    /// Length of the message; 0 at the end of the conversation.
    pub(crate) length: usize,
    /// The fd that came with it. `None` too if this process had no room for it.
    pub(crate) fd: Option<OwnedFd>,
}

/// Waits for a message, with its fd.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, HostErrno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RECEIVE_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = receive_into(socket, buffer, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fd = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            // The first is the answer's; all others are closed here.
            for received in fds {
                fd.get_or_insert(received);
            }
        }
    }
    Ok(Received { length, fd })
}

/// Waits for a message. Without room for fds the kernel discards those that a peer may send.
pub(crate) fn receive_bytes(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, HostErrno> {
    receive_into(socket, buffer, &mut RecvAncillaryBuffer::default(), RecvFlags::CMSG_CLOEXEC)
}

fn receive_into(
    socket: impl AsFd,
    buffer: &mut [u8],
    control: &mut RecvAncillaryBuffer<'_>,
    flags: RecvFlags,
) -> Result<usize, HostErrno> {
    loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(buffer)], control, flags) {
            Ok(message) if message.flags.contains(ReturnFlags::TRUNC) => {
                return Err(HostErrno::MSGSIZE);
            }
            Ok(message) => return Ok(message.bytes),
            Err(HostErrno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
