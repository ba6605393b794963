//! AF_UNIX sockets: unix(7).
//!
//! A socket has a state (name, peer, errors) and an inbox (what was sent to it, who waits to be
//! accepted). Sending is adding to the peer's inbox; whoever finds it full is remembered there and
//! told when there is room. Sockets know each other weakly: a socket lives as long as its open file,
//! or as it waits to be accepted, and its end is what the peer sees as a hang-up.
//!
//! Lock order: `binding` before all others; state and inbox are never held together, nor with those
//! of another socket. The table of rights comes before an inbox.

mod connect;
mod inbox;
mod name;
mod transfer;

pub use name::{Names, UnixAddress};

use crate::message::{MsgFlags, Received, SendMessage};
use crate::options::SocketOptions;
use crate::socket::{Caller, PeerCred, Shutdown, Socket, SocketKind};
use abi::file::PollEvents;
use abi::{Errno, SysResult};
use inbox::{Inbox, Message};
use name::Name;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use vfs::OpenFile;
use wait::WaitQueue;
use zerocopy::IntoBytes;

/// A unix socket.
pub struct UnixSocket {
    me: Weak<UnixSocket>,
    kind: SocketKind,
    names: Arc<Names>,
    owner: PeerCred,
    options: SocketOptions,
    queue: WaitQueue,
    /// Serialises bind(2), which asks file systems.
    binding: Mutex<()>,
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
    /// It waits to be accepted: its end is a reset to the client.
    is_embryo: AtomicBool,
}

#[derive(Default)]
struct State {
    name: Option<Arc<Name>>,
    /// The name is the listener's, as an accepted socket shows it.
    has_borrowed_name: bool,
    /// Some once connected; a peer that is gone leaves a dead reference in a stream.
    peer: Option<Peer>,
    is_write_shut: bool,
    /// SO_ERROR.
    error: Option<Errno>,
    peer_cred: Option<PeerCred>,
}

#[derive(Clone)]
struct Peer {
    socket: Weak<UnixSocket>,
    /// Its name when the connection was made.
    name: Option<Arc<Name>>,
}

/// What a reader waits for.
const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
/// What a writer waits for.
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM).union(PollEvents::WRBAND);
/// What shutting down may change.
const ALL: PollEvents =
    READABLE.union(WRITABLE).union(PollEvents::HUP).union(PollEvents::RDHUP).union(PollEvents::ERR);

impl UnixSocket {
    /// An unconnected, unnamed socket.
    pub fn new(names: &Arc<Names>, kind: SocketKind, owner: PeerCred) -> Arc<UnixSocket> {
        Arc::new_cyclic(|me| UnixSocket {
            me: me.clone(),
            kind,
            names: names.clone(),
            owner,
            options: SocketOptions::default(),
            queue: WaitQueue::new(),
            binding: Mutex::new(()),
            state: Mutex::default(),
            inbox: Mutex::new(Inbox::new(kind)),
            is_embryo: AtomicBool::new(false),
        })
    }

    /// Two sockets connected to each other: socketpair(2).
    pub fn pair(
        names: &Arc<Names>,
        kind: SocketKind,
        owner: PeerCred,
    ) -> (Arc<UnixSocket>, Arc<UnixSocket>) {
        let a = UnixSocket::new(names, kind, owner);
        let b = UnixSocket::new(names, kind, owner);
        for (from, to) in [(&a, &b), (&b, &a)] {
            let mut state = from.state.lock();
            state.peer = Some(Peer { socket: Arc::downgrade(to), name: None });
            state.peer_cred = Some(owner);
        }
        (a, b)
    }

    fn is_connection_based(&self) -> bool {
        self.kind != SocketKind::Datagram
    }

    fn name(&self) -> Option<Arc<Name>> {
        self.state.lock().name.clone()
    }

    /// The peer, if it is there.
    fn peer(&self) -> Option<Arc<UnixSocket>> {
        self.state.lock().peer.as_ref()?.socket.upgrade()
    }

    fn take_error(&self) -> Option<Errno> {
        self.state.lock().error.take()
    }

    fn notify(&self, events: PollEvents) {
        self.queue.notify(events.bits());
    }

    /// The files in its queue, and in those of connections it has not accepted.
    pub(crate) fn for_each_right(&self, f: &mut dyn FnMut(&Arc<OpenFile>)) {
        let pending: Vec<Arc<UnixSocket>> = {
            let inbox = self.inbox.lock();
            inbox.messages.iter().flat_map(|m| m.rights.files()).for_each(&mut *f);
            inbox.pending.iter().cloned().collect()
        };
        for socket in pending {
            socket.for_each_right(f);
        }
    }

    /// Empties the same queues.
    pub(crate) fn take_messages(&self) -> Lost {
        let mut inbox = self.inbox.lock();
        Lost { _messages: inbox.take(), _pending: std::mem::take(&mut inbox.pending) }
    }

    /// The other end of a connection is gone; what it had not received (`reset`) is lost.
    fn peer_gone(&self, reset: bool) {
        self.inbox.lock().is_shut = true;
        {
            let mut state = self.state.lock();
            state.is_write_shut = true;
            if reset {
                state.error = Some(Errno::ECONNRESET);
            }
        }
        self.notify(ALL);
    }
}

/// What was in the queues of a socket.
pub(crate) struct Lost {
    _messages: VecDeque<Message>,
    _pending: VecDeque<Arc<UnixSocket>>,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let state = std::mem::take(self.state.get_mut());
        let inbox = self.inbox.get_mut();
        let blocked = inbox.unblock_all();
        let has_unread = !inbox.messages.is_empty();
        if let Some(name) = &state.name
            && !state.has_borrowed_name
        {
            self.names.release(self.kind, name);
        }
        if self.kind != SocketKind::Datagram
            && let Some(peer) = state.peer.and_then(|peer| peer.socket.upgrade())
        {
            peer.peer_gone(has_unread || *self.is_embryo.get_mut());
        }
        // They find nobody here, each in its way.
        for socket in blocked {
            socket.notify(WRITABLE | PollEvents::ERR);
        }
    }
}

impl Socket for UnixSocket {
    fn family(&self) -> i32 {
        libc::AF_UNIX
    }

    fn kind(&self) -> SocketKind {
        self.kind
    }

    fn options(&self) -> &SocketOptions {
        &self.options
    }

    fn bind(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()> {
        self.bind_to(caller, addr)
    }

    fn listen(&self, caller: &Caller<'_>, backlog: i32) -> SysResult<()> {
        self.listen_with(caller, backlog)
    }

    fn accept(&self) -> SysResult<Arc<dyn Socket>> {
        Ok(self.accept_one()?)
    }

    fn connect(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()> {
        self.connect_to(caller, addr)
    }

    fn send(&self, caller: &Caller<'_>, message: SendMessage<'_>) -> SysResult<usize> {
        self.send_message(caller, message)
    }

    fn receive(&self, buf: &mut [u8], flags: MsgFlags) -> SysResult<Received> {
        self.receive_message(buf, flags)
    }

    fn shutdown(&self, how: Shutdown) -> SysResult<()> {
        let mut blocked = Vec::new();
        if how.reads() {
            let mut inbox = self.inbox.lock();
            inbox.is_shut = true;
            blocked = inbox.unblock_all();
        }
        for sender in blocked {
            sender.notify(WRITABLE | PollEvents::ERR);
        }
        let peer = {
            let mut state = self.state.lock();
            state.is_write_shut |= how.writes();
            state.peer.as_ref().and_then(|peer| peer.socket.upgrade())
        };
        if let Some(peer) = peer.filter(|_| self.is_connection_based()) {
            if how.writes() {
                peer.inbox.lock().is_shut = true;
            }
            if how.reads() {
                peer.state.lock().is_write_shut = true;
            }
            peer.notify(ALL);
        }
        self.notify(ALL);
        Ok(())
    }

    fn local_address(&self) -> SysResult<Vec<u8>> {
        Ok(self.name().map_or_else(name::unnamed, |name| name.to_address()))
    }

    fn peer_address(&self) -> SysResult<Vec<u8>> {
        let peer = self.state.lock().peer.clone().ok_or(Errno::ENOTCONN)?;
        // It may have been bound since.
        let name = match peer.socket.upgrade() {
            Some(socket) => socket.name(),
            None => peer.name,
        };
        Ok(name.map_or_else(name::unnamed, |name| name.to_address()))
    }

    fn get_option(&self, level: i32, name: i32) -> SysResult<Vec<u8>> {
        if level != libc::SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        let int = |value: i32| Ok(value.as_bytes().to_vec());
        match name {
            libc::SO_TYPE => int(self.kind as i32),
            libc::SO_DOMAIN => int(libc::AF_UNIX),
            libc::SO_PROTOCOL => int(0),
            libc::SO_ERROR => int(self.take_error().map_or(0, Errno::raw)),
            libc::SO_ACCEPTCONN => int(self.inbox.lock().backlog.is_some().into()),
            libc::SO_PEERCRED => {
                let cred = self.state.lock().peer_cred.unwrap_or(PeerCred::NOBODY);
                Ok(cred.as_bytes().to_vec())
            }
            libc::SO_PEERNAME => self.peer_address(),
            _ => self.options.get(name),
        }
    }

    fn set_option(&self, level: i32, name: i32, value: &[u8]) -> SysResult<()> {
        if level != libc::SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        match name {
            libc::SO_TYPE | libc::SO_DOMAIN | libc::SO_PROTOCOL | libc::SO_ERROR => {
                Err(Errno::ENOPROTOOPT)
            }
            _ => self.options.set(name, value),
        }
    }

    fn poll(&self) -> PollEvents {
        let (peer, is_connected, is_write_shut, has_error) = {
            let state = self.state.lock();
            let peer = state.peer.as_ref();
            let socket = peer.and_then(|peer| peer.socket.upgrade());
            (socket, peer.is_some(), state.is_write_shut, state.error.is_some())
        };
        let mut events = PollEvents::empty();
        let (is_listening, is_read_shut) = {
            let inbox = self.inbox.lock();
            if !inbox.messages.is_empty() || !inbox.pending.is_empty() {
                events |= READABLE;
            }
            (inbox.backlog.is_some(), inbox.is_shut)
        };
        if is_read_shut {
            events |= READABLE | PollEvents::RDHUP;
        }
        let is_fresh = self.is_connection_based() && !is_connected && !is_listening;
        if is_read_shut && is_write_shut || is_fresh {
            events |= PollEvents::HUP;
        }
        if has_error {
            events |= PollEvents::ERR;
        }
        if is_listening {
            return events;
        }
        let sndbuf = self.options.sndbuf();
        // Without a peer nothing is in the way: the write fails, or names its receiver.
        let is_writable = peer.is_none_or(|peer| peer.writable_for(self, sndbuf));
        if is_writable {
            events |= WRITABLE;
        }
        events
    }

    fn wait_queue(&self) -> &WaitQueue {
        &self.queue
    }

    fn query(&self, cmd: u32) -> SysResult<i32> {
        /// FIONREAD and SIOCINQ.
        const FIONREAD: u32 = 0x541b;
        /// TIOCOUTQ and SIOCOUTQ.
        const SIOCOUTQ: u32 = 0x5411;
        let count = match cmd {
            FIONREAD => {
                let inbox = self.inbox.lock();
                if inbox.backlog.is_some() {
                    return Err(Errno::EINVAL);
                }
                match self.kind {
                    SocketKind::Datagram => {
                        inbox.messages.front().map_or(0, |message| message.rest().len())
                    }
                    _ => inbox.available(),
                }
            }
            SIOCOUTQ => self.peer().map_or(0, |peer| peer.inbox.lock().available()),
            _ => return Err(Errno::ENOTTY),
        };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    fn owner(&self) -> PeerCred {
        self.owner
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl UnixSocket {
    /// Is a sender with this buffer writable towards this socket? If not, and it has anybody to
    /// tell, it will be told.
    fn writable_for(&self, sender: &UnixSocket, sndbuf: usize) -> bool {
        let mut inbox = self.inbox.lock();
        let is_writable = inbox.is_writable(sndbuf);
        // Whoever waits registers first and looks second, so nobody is overlooked.
        if !is_writable && sender.queue.has_waiters() {
            inbox.block(sender, sndbuf);
        }
        is_writable
    }

    fn set_embryo(&self, is_embryo: bool) {
        self.is_embryo.store(is_embryo, Ordering::Relaxed);
    }
}
