//! sendmsg(2) and recvmsg(2).

use super::inbox::{Inbox, MAX_PIECE, Message};
use super::{READABLE, UnixSocket, WRITABLE};
use crate::message::{MsgFlags, Received, SendMessage};
use crate::rights::Rights;
use crate::socket::{Caller, PeerCred, SocketKind};
use abi::{Errno, SysResult};
use std::collections::VecDeque;
use std::sync::Arc;
use vfs::OpenFile;

/// What a datagram may not use of the send buffer.
const DATAGRAM_SLACK: usize = 32;

impl UnixSocket {
    pub(super) fn send_message(
        &self,
        caller: &Caller<'_>,
        message: SendMessage<'_>,
    ) -> SysResult<usize> {
        if message.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.kind {
            SocketKind::Datagram => self.send_datagram(caller, message),
            SocketKind::SeqPacket | SocketKind::Stream | SocketKind::Raw => {
                self.send_connected(caller, message)
            }
        }
    }

    fn send_connected(&self, caller: &Caller<'_>, message: SendMessage<'_>) -> SysResult<usize> {
        let (peer, is_write_shut, error) = {
            let mut state = self.state.lock();
            let peer = state.peer.clone();
            // A sequenced-packet socket ignores the address.
            if message.to.is_some() && self.kind == SocketKind::Stream {
                return Err(if peer.is_some() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
            }
            let peer = peer.ok_or(Errno::ENOTCONN)?;
            (peer.socket.upgrade(), state.is_write_shut, state.error.take())
        };
        if let Some(error) = error {
            return Err(error);
        }
        let peer = peer.filter(|_| !is_write_shut).ok_or(Errno::EPIPE)?;
        let sndbuf = self.options.sndbuf();
        if self.kind == SocketKind::SeqPacket {
            check_length(&message, sndbuf)?;
        } else if message.data.is_empty() {
            // A stream has no empty messages; files need a byte to go with.
            return Ok(0);
        }
        self.deliver(caller, &peer, message, sndbuf)
    }

    fn send_datagram(&self, caller: &Caller<'_>, message: SendMessage<'_>) -> SysResult<usize> {
        self.bind_for_credentials()?;
        let (peer, is_write_shut) = {
            let state = self.state.lock();
            (state.peer.clone(), state.is_write_shut)
        };
        if is_write_shut {
            return Err(Errno::EPIPE);
        }
        let sndbuf = self.options.sndbuf();
        check_length(&message, sndbuf)?;
        let receiver = match message.to {
            Some(addr) => self.find(caller, addr)?,
            None => {
                let peer = peer.ok_or(Errno::ENOTCONN)?;
                let Some(receiver) = peer.socket.upgrade() else {
                    // The association ends with it.
                    let mut state = self.state.lock();
                    if state.peer.as_ref().is_some_and(|p| p.socket.ptr_eq(&peer.socket)) {
                        state.peer = None;
                    }
                    return Err(Errno::ECONNREFUSED);
                };
                receiver
            }
        };
        if !receiver.accepts_from(self) {
            return Err(Errno::EPERM);
        }
        self.deliver(caller, &receiver, message, sndbuf)
    }

    /// Adds a message to the inbox of `receiver`. EAGAIN where it is full, EPIPE where it takes no
    /// more.
    fn deliver(
        &self,
        caller: &Caller<'_>,
        receiver: &UnixSocket,
        message: SendMessage<'_>,
        sndbuf: usize,
    ) -> SysResult<usize> {
        self.check_room(&mut receiver.inbox.lock(), sndbuf)?;
        // Copied before the lock is held: no more than can be waiting.
        let is_stream = self.kind == SocketKind::Stream;
        let piece_len = if is_stream { MAX_PIECE } else { message.data.len().max(1) };
        let data = &message.data[..message.data.len().min(sndbuf)];
        let mut rights = message.rights;
        let (cred, from) = (message.cred.unwrap_or(caller.cred), self.name());
        let mut piece = |data: &[u8]| Message {
            data: data.to_vec(),
            start: 0,
            cred,
            rights: std::mem::take(&mut rights),
            from: from.clone(),
        };
        let mut pieces: VecDeque<Message> = data.chunks(piece_len).map(&mut piece).collect();
        if data.is_empty() {
            pieces.push_back(piece(&[]));
        }
        let mut sent = 0;
        let result = {
            let mut inbox = receiver.inbox.lock();
            let result = self.check_room(&mut inbox, sndbuf);
            if result.is_ok() {
                while inbox.has_room(sndbuf)
                    && let Some(piece) = pieces.pop_front()
                {
                    sent += piece.data.len();
                    if is_stream { inbox.push_piece(piece) } else { inbox.push(piece) }
                }
            }
            result
        };
        // What was not taken is dropped here, with its files: not under the lock.
        drop(pieces);
        result?;
        receiver.notify(READABLE);
        Ok(sent)
    }

    fn check_room(&self, inbox: &mut Inbox, sndbuf: usize) -> SysResult<()> {
        if inbox.is_shut {
            return Err(Errno::EPIPE);
        }
        if !inbox.has_room(sndbuf) {
            if self.queue.has_waiters() {
                inbox.block(self, sndbuf);
            }
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    pub(super) fn receive_message(&self, buf: &mut [u8], flags: MsgFlags) -> SysResult<Received> {
        if flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.kind != SocketKind::Datagram {
            let is_connected = self.state.lock().peer.is_some();
            if !is_connected {
                let is_stream = self.kind == SocketKind::Stream;
                return Err(if is_stream { Errno::EINVAL } else { Errno::ENOTCONN });
            }
        }
        let is_peek = flags.contains(MsgFlags::PEEK);
        let passes_cred = self.options.is_on(libc::SO_PASSCRED);
        let (taken, blocked, is_shut) = {
            let mut inbox = self.inbox.lock();
            let taken = match self.kind {
                SocketKind::Stream => receive_stream(&mut inbox, buf, is_peek, passes_cred),
                _ => receive_packet(&mut inbox, buf, is_peek),
            };
            let blocked = if is_peek { Vec::new() } else { inbox.unblock() };
            (taken, blocked, inbox.is_shut)
        };
        for sender in blocked {
            sender.notify(WRITABLE);
        }
        let Some(taken) = taken else {
            return self.nothing_there(buf, is_shut);
        };
        let mut rights = taken.peeked;
        rights.extend(taken.rights.into_files());
        Ok(Received {
            len: taken.len,
            full_len: taken.full_len,
            from: taken.from.map(|name| name.to_address()),
            flags: taken.flags,
            rights,
            cred: taken.cred.filter(|_| passes_cred),
        })
    }

    fn nothing_there(&self, buf: &[u8], is_shut: bool) -> SysResult<Received> {
        if self.kind == SocketKind::Stream && buf.is_empty() {
            return Ok(Received::default());
        }
        match self.take_error() {
            Some(error) => Err(error),
            None if is_shut => Ok(Received::default()),
            None => Err(Errno::EAGAIN),
        }
    }
}

/// EMSGSIZE for a packet that can never fit.
fn check_length(message: &SendMessage<'_>, sndbuf: usize) -> SysResult<()> {
    let fits = message.data.len() <= sndbuf.saturating_sub(DATAGRAM_SLACK);
    if fits { Ok(()) } else { Err(Errno::EMSGSIZE) }
}

/// What was taken out of an inbox; files are handed on after its lock is released.
#[derive(Default)]
struct Taken {
    len: usize,
    full_len: usize,
    from: Option<Arc<super::Name>>,
    flags: MsgFlags,
    rights: Rights,
    peeked: Vec<Arc<OpenFile>>,
    cred: Option<PeerCred>,
}

fn receive_packet(inbox: &mut Inbox, buf: &mut [u8], is_peek: bool) -> Option<Taken> {
    let message = inbox.messages.front()?;
    let data = message.rest();
    let len = data.len().min(buf.len());
    buf[..len].copy_from_slice(&data[..len]);
    let mut taken = Taken {
        len,
        full_len: data.len(),
        from: message.from.clone(),
        cred: Some(message.cred),
        ..Taken::default()
    };
    if len < data.len() {
        taken.flags |= MsgFlags::TRUNC;
    }
    if is_peek {
        taken.peeked = message.rights.files().to_vec();
    } else if let Some(message) = inbox.pop() {
        taken.rights = message.rights;
    }
    Some(taken)
}

/// Takes pieces of a stream until the buffer is full, but not beyond one that brought files, nor,
/// where credentials are passed, beyond one from somebody else.
fn receive_stream(
    inbox: &mut Inbox,
    buf: &mut [u8],
    is_peek: bool,
    passes_cred: bool,
) -> Option<Taken> {
    let mut taken = Taken::default();
    let mut at = 0;
    while taken.len < buf.len()
        && let Some(message) = inbox.messages.get_mut(at)
    {
        if taken.cred.is_some_and(|cred| passes_cred && cred != message.cred) {
            break;
        }
        taken.cred.get_or_insert(message.cred);
        taken.from = taken.from.or_else(|| message.from.clone());
        let data = message.rest();
        let count = data.len().min(buf.len() - taken.len);
        buf[taken.len..taken.len + count].copy_from_slice(&data[..count]);
        taken.len += count;
        let has_files = !message.rights.is_empty();
        if is_peek {
            taken.peeked = message.rights.files().to_vec();
            at += 1;
        } else {
            taken.rights = std::mem::take(&mut message.rights);
            message.start += count;
            if message.rest().is_empty() {
                inbox.pop();
            }
        }
        if has_files {
            break;
        }
    }
    taken.full_len = taken.len;
    (taken.len > 0).then_some(taken)
}
