//! What has been sent to a socket and not yet received.
//!
//! All of it is bounded by the senders' SO_SNDBUF, as on Linux: a sender may add while less than
//! that is waiting, and is called writable while it is a quarter at most.

use super::UnixSocket;
use super::name::Name;
use crate::rights::Rights;
use crate::socket::{PeerCred, SocketKind};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

/// The most datagrams waiting: net.unix.max_dgram_qlen, at what distributions set it to.
const MAX_DATAGRAMS: usize = 512;
/// What a message costs beyond its bytes, so that empty ones are not free.
const OVERHEAD: usize = 256;
/// The longest piece of a stream; longer writes are split, so that what has been received makes
/// room.
pub(super) const MAX_PIECE: usize = 32 << 10;
/// Pieces up to this size are joined with the one before.
const SMALL_PIECE: usize = 4096;

/// A message, or a piece of a stream.
pub(super) struct Message {
    pub data: Vec<u8>,
    /// How much of a stream's piece has been received.
    pub start: usize,
    pub cred: PeerCred,
    pub rights: Rights,
    pub from: Option<Arc<Name>>,
}

impl Message {
    pub fn rest(&self) -> &[u8] {
        &self.data[self.start..]
    }

    fn cost(&self) -> usize {
        self.data.len() + OVERHEAD
    }
}

/// Somebody who waits for room, and how much of it he is allowed.
struct Blocked {
    socket: Weak<UnixSocket>,
    sndbuf: usize,
}

/// The receiving side of a socket.
pub(super) struct Inbox {
    kind: SocketKind,
    pub messages: VecDeque<Message>,
    /// The cost of the messages.
    used: usize,
    /// Some while listening: how many connections may wait.
    pub backlog: Option<usize>,
    /// Connections to accept.
    pub pending: VecDeque<Arc<UnixSocket>>,
    /// Nothing more comes: shut down, or the peer is gone.
    pub is_shut: bool,
    blocked: HashMap<usize, Blocked>,
    /// At this many blocked, look for those who are gone.
    sweep_at: usize,
}

impl Inbox {
    pub fn new(kind: SocketKind) -> Inbox {
        Inbox {
            kind,
            messages: VecDeque::new(),
            used: 0,
            backlog: None,
            pending: VecDeque::new(),
            is_shut: false,
            blocked: HashMap::new(),
            sweep_at: 16,
        }
    }

    /// May somebody with this send buffer add something now?
    pub fn has_room(&self, sndbuf: usize) -> bool {
        self.used < sndbuf
            && (self.kind != SocketKind::Datagram || self.messages.len() < MAX_DATAGRAMS)
    }

    /// Is such a sender called writable?
    pub fn is_writable(&self, sndbuf: usize) -> bool {
        match self.kind {
            SocketKind::Datagram => self.has_room(sndbuf),
            _ => self.used * 4 <= sndbuf,
        }
    }

    /// Adds a message whole.
    pub fn push(&mut self, message: Message) {
        self.used += message.cost();
        self.messages.push_back(message);
    }

    /// Adds a piece of a stream.
    pub fn push_piece(&mut self, piece: Message) {
        if piece.data.len() <= SMALL_PIECE
            && piece.rights.is_empty()
            && let Some(last) = self.messages.back_mut()
            && last.rights.is_empty()
            && last.cred == piece.cred
            && last.data.len() + piece.data.len() <= MAX_PIECE
        {
            self.used += piece.data.len();
            last.data.extend_from_slice(&piece.data);
        } else {
            self.push(piece);
        }
    }

    /// Takes out the first message.
    pub fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.used -= message.cost();
        Some(message)
    }

    /// Takes out everything.
    pub fn take(&mut self) -> VecDeque<Message> {
        self.used = 0;
        std::mem::take(&mut self.messages)
    }

    /// Bytes that can be received.
    pub fn available(&self) -> usize {
        self.messages.iter().map(|message| message.rest().len()).sum()
    }

    /// `socket` is to be told when there is room.
    pub fn block(&mut self, socket: &UnixSocket, sndbuf: usize) {
        if self.blocked.len() >= self.sweep_at {
            self.blocked.retain(|_, blocked| blocked.socket.strong_count() != 0);
            self.sweep_at = (self.blocked.len() * 2).max(16);
        }
        let key = std::ptr::from_ref(socket) as usize;
        self.blocked.insert(key, Blocked { socket: socket.me.clone(), sndbuf });
    }

    /// Those who wait for room and have it now.
    pub fn unblock(&mut self) -> Vec<Arc<UnixSocket>> {
        if self.blocked.is_empty() {
            return Vec::new();
        }
        let mut blocked = std::mem::take(&mut self.blocked);
        let mut free = Vec::new();
        blocked.retain(|_, blocked| {
            let waits = !self.is_writable(blocked.sndbuf);
            if !waits {
                free.extend(blocked.socket.upgrade());
            }
            waits
        });
        self.blocked = blocked;
        free
    }

    /// All who wait, whatever for.
    pub fn unblock_all(&mut self) -> Vec<Arc<UnixSocket>> {
        let blocked = std::mem::take(&mut self.blocked);
        blocked.into_values().filter_map(|blocked| blocked.socket.upgrade()).collect()
    }
}
