//! One POSIX message queue.

use super::Users;
use super::fs::MqueueFs;
use crate::msg::OVERHEAD;
use crate::slot::{Budget, Charge, Slot};
use abi::file::PollEvents;
use abi::ipc::MqAttr;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use vfs::{Attr, Credentials};
use wait::WaitQueue;

/// A message as it is received: priority and bytes.
pub type Message = (u32, Box<[u8]>);

/// A queue: also the inode of its file.
pub struct Mqueue {
    pub(super) fs: Arc<MqueueFs>,
    pub(super) attr: Mutex<Attr>,
    max_messages: usize,
    /// Bytes that a message can have.
    max_size: usize,
    state: Mutex<State>,
    /// For poll(2), and for senders that wait for room.
    queue: WaitQueue,
    budget: Budget,
    _user: UserCharge,
}

/// A message as it is kept.
type Queued = (Box<[u8]>, Charge);

#[derive(Default)]
struct State {
    /// By priority; no list is empty.
    messages: BTreeMap<u32, VecDeque<Queued>>,
    count: usize,
    bytes: usize,
    notification: Option<Notification>,
    /// In the order in which they came.
    receivers: VecDeque<Arc<Slot<Message>>>,
}

/// How somebody wants to hear of a message: mq_notify(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// SIGEV_NONE: not at all, but nobody else hears of it either.
    None,
    /// SIGEV_SIGNAL.
    Signal {
        /// The number; 0 is none.
        signo: i32,
        /// si_value.
        value: u64,
    },
}

/// Who wants to hear of a message, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The process.
    pub pid: i32,
    /// How.
    pub notify: Notify,
}

/// A message was sent; the caller sends the signal, if one is due.
pub type Sent = Option<Notification>;

/// How receiving went.
pub enum Received {
    /// Here it is.
    Message(Message),
    /// There is none yet.
    Wait(Waiting),
}

/// Somebody who waits for a message; dropped, it is given up.
pub struct Waiting {
    queue: Arc<Mqueue>,
    slot: Arc<Slot<Message>>,
}

impl Waiting {
    /// Where the message comes.
    pub fn slot(&self) -> &Slot<Message> {
        &self.slot
    }

    /// Gives it up, unless a message came meanwhile: then that.
    pub fn cancel(self) -> Option<Message> {
        self.withdraw();
        self.slot.take()
    }

    fn withdraw(&self) {
        let mut state = self.queue.state.lock();
        state.receivers.retain(|other| !Arc::ptr_eq(other, &self.slot));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// What a queue counts against RLIMIT_MSGQUEUE of its maker.
pub(super) struct UserCharge {
    pub users: Users,
    pub uid: u32,
    pub bytes: u64,
}

impl Drop for UserCharge {
    fn drop(&mut self) {
        let mut users = self.users.lock();
        if let Some(used) = users.get_mut(&self.uid) {
            *used = used.saturating_sub(self.bytes);
            if *used == 0 {
                users.remove(&self.uid);
            }
        }
    }
}

const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

impl Mqueue {
    pub(super) fn new(
        fs: &Arc<MqueueFs>,
        mode: u32,
        cred: &Credentials,
        (max_messages, max_size): (usize, usize),
        user: UserCharge,
        budget: &Budget,
    ) -> Arc<Mqueue> {
        Arc::new(Mqueue {
            fs: fs.clone(),
            attr: Mutex::new(fs.new_attr(mode, cred)),
            max_messages,
            max_size,
            state: Mutex::default(),
            queue: WaitQueue::new(),
            budget: budget.clone(),
            _user: user,
        })
    }

    pub(super) fn attributes(&self) -> Attr {
        *self.attr.lock()
    }

    pub(super) fn unlinked(&self) {
        self.attr.lock().nlink = 0;
    }

    /// Bytes that a message can have.
    pub fn max_size(&self) -> usize {
        self.max_size
    }

    /// Notified for poll(2), and (OUT) when there may be room.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// mq_getattr(3), without the flags.
    pub fn mq_attr(&self) -> MqAttr {
        MqAttr {
            maxmsg: self.max_messages as i64,
            msgsize: self.max_size as i64,
            curmsgs: self.state.lock().count as i64,
            ..MqAttr::default()
        }
    }

    /// Sends without waiting: EAGAIN where there is no room, ENOMEM. The length was checked.
    pub fn send(&self, priority: u32, data: &[u8]) -> SysResult<Sent> {
        let mut state = self.state.lock();
        if state.count >= self.max_messages {
            return Err(Errno::EAGAIN);
        }
        let charge = self.budget.charge(data.len() + OVERHEAD).ok_or(Errno::ENOMEM)?;
        // Who waits gets it directly, and nobody is notified.
        if let Some(receiver) = state.receivers.pop_front() {
            // Under the lock: who gives up must either be in the list or find the message.
            receiver.give((priority, data.into()));
            return Ok(None);
        }
        let was_empty = state.count == 0;
        state.count += 1;
        state.bytes += data.len();
        state.messages.entry(priority).or_default().push_back((data.into(), charge));
        let notification = if was_empty { state.notification.take() } else { None };
        drop(state);
        self.queue.notify(READABLE.bits());
        Ok(notification)
    }

    /// The oldest of the messages with the highest priority.
    pub fn receive(self: &Arc<Mqueue>) -> Received {
        let mut state = self.state.lock();
        match state.pop() {
            Some(message) => {
                drop(state);
                self.queue.notify(WRITABLE.bits());
                Received::Message(message)
            }
            None => {
                let slot = Slot::new();
                state.receivers.push_back(slot.clone());
                Received::Wait(Waiting { queue: self.clone(), slot })
            }
        }
    }

    /// The same; EAGAIN where there is none.
    pub fn try_receive(&self) -> SysResult<Message> {
        let message = self.state.lock().pop().ok_or(Errno::EAGAIN)?;
        self.queue.notify(WRITABLE.bits());
        Ok(message)
    }

    /// mq_notify(2). EBUSY where somebody has registered.
    pub fn register(&self, notification: Notification) -> SysResult<()> {
        let mut state = self.state.lock();
        if state.notification.is_some() {
            return Err(Errno::EBUSY);
        }
        state.notification = Some(notification);
        Ok(())
    }

    /// mq_notify(2) without an event, and close(2): if it was this process, it is not any more.
    pub fn unregister(&self, pid: i32) {
        let mut state = self.state.lock();
        if state.notification.is_some_and(|notification| notification.pid == pid) {
            state.notification = None;
        }
    }

    pub(super) fn poll(&self) -> PollEvents {
        let state = self.state.lock();
        let mut events = PollEvents::empty();
        if state.count > 0 {
            events |= READABLE;
        }
        if state.count < self.max_messages {
            events |= WRITABLE;
        }
        events
    }

    /// What read(2) gives: mq_overview(7).
    pub(super) fn status(&self) -> String {
        let state = self.state.lock();
        // SIGEV_SIGNAL is 0, SIGEV_NONE 1.
        let (notify, signo, pid) = match state.notification {
            None => (0, 0, 0),
            Some(Notification { pid, notify: Notify::None }) => (1, 0, pid),
            Some(Notification { pid, notify: Notify::Signal { signo, .. } }) => (0, signo, pid),
        };
        format!(
            "QSIZE:{:<10} NOTIFY:{notify:<5} SIGNO:{signo:<5} NOTIFY_PID:{pid:<6}\n",
            state.bytes
        )
    }
}

impl State {
    fn pop(&mut self) -> Option<Message> {
        let mut highest = self.messages.last_entry()?;
        let priority = *highest.key();
        let (data, _charge) = highest.get_mut().pop_front()?;
        if highest.get().is_empty() {
            highest.remove();
        }
        self.count -= 1;
        self.bytes -= data.len();
        Some((priority, data))
    }
}
