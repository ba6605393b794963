//! Names and connections: bind(2), listen(2), connect(2), accept(2).

use super::name::{self, Name, Names, UnixAddress};
use super::{Peer, READABLE, UnixSocket, WRITABLE};
use crate::socket::{Caller, SocketKind};
use abi::file::FileType;
use abi::{Errno, SysResult};
use std::sync::Arc;

/// net.core.somaxconn: the longest backlog.
const SOMAXCONN: i32 = 4096;

impl UnixSocket {
    pub(super) fn bind_to(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()> {
        let address = UnixAddress::parse(addr)?;
        let _binding = self.binding.lock();
        if self.state.lock().name.is_some() {
            // A second automatic name is no error.
            let is_auto = address == UnixAddress::Unnamed;
            return if is_auto { Ok(()) } else { Err(Errno::EINVAL) };
        }
        let name = match address {
            UnixAddress::Unnamed => self.names.bind_auto(self)?,
            UnixAddress::Abstract(name) => self.names.bind_abstract(name, self)?,
            UnixAddress::Path(path) => {
                let inode = caller.paths.create(path).map_err(|error| match error {
                    Errno::EEXIST => Errno::EADDRINUSE,
                    error => error,
                })?;
                Names::bind_node(path, inode, self)
            }
        };
        self.state.lock().name = Some(Arc::new(name));
        Ok(())
    }

    /// A socket that passes credentials gets a name before it first speaks.
    pub(super) fn bind_for_credentials(&self) -> SysResult<()> {
        if !self.options.is_on(libc::SO_PASSCRED) || self.name().is_some() {
            return Ok(());
        }
        let _binding = self.binding.lock();
        if self.name().is_none() {
            let name: Name = self.names.bind_auto(self)?;
            self.state.lock().name = Some(Arc::new(name));
        }
        Ok(())
    }

    pub(super) fn listen_with(&self, caller: &Caller<'_>, backlog: i32) -> SysResult<()> {
        if self.kind == SocketKind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        {
            let mut state = self.state.lock();
            if state.name.is_none() || state.peer.is_some() {
                return Err(Errno::EINVAL);
            }
            // What clients see with SO_PEERCRED: who called listen(2).
            state.peer_cred = Some(caller.cred);
        }
        // As Linux: a negative backlog is a very long one.
        let backlog = if backlog < 0 { SOMAXCONN } else { backlog.min(SOMAXCONN) };
        let blocked = {
            let mut inbox = self.inbox.lock();
            inbox.backlog = Some(backlog as usize);
            inbox.unblock_all()
        };
        for client in blocked {
            client.notify(WRITABLE);
        }
        Ok(())
    }

    pub(super) fn accept_one(&self) -> SysResult<Arc<UnixSocket>> {
        if self.kind == SocketKind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        let (socket, blocked) = {
            let mut inbox = self.inbox.lock();
            if inbox.backlog.is_none() {
                return Err(Errno::EINVAL);
            }
            match inbox.pending.pop_front() {
                Some(socket) => (socket, inbox.unblock_all()),
                None if inbox.is_shut => return Err(Errno::EINVAL),
                None => return Err(Errno::EAGAIN),
            }
        };
        socket.set_embryo(false);
        socket.options.inherit(&self.options, &[libc::SO_PASSCRED, libc::SO_PASSSEC]);
        for client in blocked {
            client.notify(WRITABLE);
        }
        Ok(socket)
    }

    /// The socket that has an address. ECONNREFUSED, EPROTOTYPE, and what the path gives.
    pub(super) fn find(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<Arc<UnixSocket>> {
        match UnixAddress::parse(addr)? {
            UnixAddress::Unnamed => Err(Errno::EINVAL),
            UnixAddress::Abstract(name) => self.names.find_abstract(self.kind, name),
            UnixAddress::Path(path) => {
                let inode = caller.paths.find(path)?;
                if inode.file_type() != FileType::Socket {
                    return Err(Errno::ECONNREFUSED);
                }
                Names::find_node(self.kind, &inode)
            }
        }
    }

    pub(super) fn connect_to(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()> {
        if self.kind == SocketKind::Datagram {
            return self.connect_datagram(caller, addr);
        }
        self.bind_for_credentials()?;
        let listener = self.find(caller, addr)?;
        self.check_backlog(&listener)?;
        let (listener_name, listener_cred) = {
            let state = listener.state.lock();
            (state.name.clone(), state.peer_cred)
        };
        let is_listening = self.inbox.lock().backlog.is_some();
        let server = UnixSocket::new(&self.names, self.kind, listener.owner);
        server.set_embryo(true);
        let own_name = {
            let mut state = self.state.lock();
            if state.peer.is_some() {
                return Err(Errno::EISCONN);
            }
            if is_listening {
                return Err(Errno::EINVAL);
            }
            state.peer =
                Some(Peer { socket: Arc::downgrade(&server), name: listener_name.clone() });
            state.peer_cred = listener_cred;
            state.name.clone()
        };
        {
            let mut state = server.state.lock();
            state.name = listener_name;
            state.has_borrowed_name = true;
            state.peer = Some(Peer { socket: self.me.clone(), name: own_name });
            state.peer_cred = Some(caller.cred);
        }
        let refused = {
            let mut inbox = listener.inbox.lock();
            match inbox.backlog {
                Some(backlog) if !inbox.is_shut && inbox.pending.len() <= backlog => {
                    inbox.pending.push_back(server);
                    None
                }
                // Others came first, or it has been shut down meanwhile. The server's end, when it
                // is dropped, must not look like a reset.
                _ => {
                    server.state.lock().peer = None;
                    Some(server)
                }
            }
        };
        if refused.is_some() {
            let mut state = self.state.lock();
            state.peer = None;
            state.peer_cred = None;
            drop(state);
            drop(refused);
            self.check_backlog(&listener)?;
            return Err(Errno::EAGAIN);
        }
        listener.notify(READABLE);
        self.notify(WRITABLE);
        Ok(())
    }

    /// ECONNREFUSED unless `listener` listens, EAGAIN while its backlog is full.
    fn check_backlog(&self, listener: &UnixSocket) -> SysResult<()> {
        let mut inbox = listener.inbox.lock();
        match inbox.backlog {
            Some(backlog) if !inbox.is_shut => {
                if inbox.pending.len() > backlog {
                    if self.queue.has_waiters() {
                        inbox.block(self, 0);
                    }
                    return Err(Errno::EAGAIN);
                }
                Ok(())
            }
            _ => Err(Errno::ECONNREFUSED),
        }
    }

    /// Sets whom send(2) without an address reaches, and who may send here.
    fn connect_datagram(&self, caller: &Caller<'_>, addr: &[u8]) -> SysResult<()> {
        if name::is_unspecified(addr) {
            let mut state = self.state.lock();
            state.peer = None;
            drop(state);
            self.notify(WRITABLE);
            return Ok(());
        }
        self.bind_for_credentials()?;
        let other = self.find(caller, addr)?;
        if !other.accepts_from(self) {
            return Err(Errno::EPERM);
        }
        let name = other.name();
        let mut state = self.state.lock();
        state.peer = Some(Peer { socket: Arc::downgrade(&other), name });
        drop(state);
        self.notify(WRITABLE);
        Ok(())
    }

    /// A connected datagram socket hears its peer only.
    pub(super) fn accepts_from(&self, sender: &UnixSocket) -> bool {
        let state = self.state.lock();
        state.peer.as_ref().is_none_or(|peer| std::ptr::eq(peer.socket.as_ptr(), sender))
    }
}
