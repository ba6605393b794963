//! System V message queues: msgget(2), msgop(2), msgctl(2).
//!
//! Who waits for a message leaves word of which; who sends one gives it to the first whom it suits.
//! Who waits for room is told when there may be some, and tries again.

use crate::ids::Table;
use crate::perm::{PRIVATE, Perm, READ, WRITE, now};
use crate::slot::{Budget, Charge, Slot};
use abi::ipc::{MsgInfo, MsqidDs};
use abi::{Errno, SysResult};
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use vfs::Credentials;
use vfs::cred::Caps;
use wait::WaitQueue;

/// MSGMNI: how many queues there can be.
const MAX_QUEUES: usize = 32_000;
/// MSGMAX: bytes in a message.
pub const MAX_SIZE: usize = 8192;
/// MSGMNB: bytes in a queue, at first.
const QUEUE_BYTES: u64 = 16_384;
/// What a message takes beside its bytes, about.
pub(crate) const OVERHEAD: usize = 96;

/// A message.
pub struct Message {
    /// Its type, at least 1.
    pub kind: i64,
    /// Its bytes.
    pub data: Box<[u8]>,
    _charge: Charge,
}

/// Which message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The first.
    Any,
    /// The first of this type.
    Type(i64),
    /// The first of any other type: MSG_EXCEPT.
    Except(i64),
    /// The first of the lowest type up to this one.
    UpTo(i64),
}

impl Select {
    /// From the arguments of msgrcv(2).
    pub fn new(kind: i64, except: bool) -> Select {
        match kind {
            0 => Select::Any,
            kind if kind < 0 => Select::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
            kind if except => Select::Except(kind),
            kind => Select::Type(kind),
        }
    }

    fn accepts(self, kind: i64) -> bool {
        match self {
            Select::Any => true,
            Select::Type(wanted) => kind == wanted,
            Select::Except(unwanted) => kind != unwanted,
            Select::UpTo(most) => kind <= most,
        }
    }
}

/// What a receiver asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Which message.
    pub select: Select,
    /// How long it may be...
    pub size: usize,
    /// ...unless it may be cut: MSG_NOERROR.
    pub truncate: bool,
    /// IPC_NOWAIT.
    pub nowait: bool,
}

impl Request {
    fn check(&self, message: &Message) -> SysResult<()> {
        if message.data.len() > self.size && !self.truncate { Err(Errno::E2BIG) } else { Ok(()) }
    }
}

/// How a request went.
pub enum Received {
    /// Here it is.
    Message(Message),
    /// There is none yet.
    Wait(Waiting),
}

type Delivery = Slot<SysResult<Message>>;

/// A request that waits in a queue; dropped, it is given up.
pub struct Waiting {
    queue: Arc<MessageQueue>,
    slot: Arc<Delivery>,
}

impl Waiting {
    /// Where the message comes.
    pub fn slot(&self) -> &Delivery {
        &self.slot
    }

    /// Gives it up, unless a message came meanwhile: then that.
    pub fn cancel(self) -> Option<SysResult<Message>> {
        self.withdraw();
        self.slot.take()
    }

    fn withdraw(&self) {
        let mut state = self.queue.state.lock();
        state.receivers.retain(|other| !Arc::ptr_eq(&other.slot, &self.slot));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.withdraw();
    }
}

struct Receiver {
    request: Request,
    pid: i32,
    slot: Arc<Delivery>,
}

/// A queue.
pub struct MessageQueue {
    id: i32,
    state: Mutex<State>,
    senders: WaitQueue,
    budget: Budget,
}

struct State {
    perm: Perm,
    removed: bool,
    messages: VecDeque<Message>,
    bytes: u64,
    max_bytes: u64,
    stime: i64,
    rtime: i64,
    ctime: i64,
    lspid: i32,
    lrpid: i32,
    /// In the order in which they came.
    receivers: VecDeque<Receiver>,
}

impl MessageQueue {
    /// The identifier.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Notified (1) when there may be room, or no queue any more.
    pub fn senders(&self) -> &WaitQueue {
        &self.senders
    }

    fn access(&self, cred: &Credentials, wanted: u32) -> SysResult<MutexGuard<'_, State>> {
        let state = self.state.lock();
        state.perm.check(cred, wanted)?;
        if state.removed { Err(Errno::EIDRM) } else { Ok(state) }
    }

    /// msgsnd(2), without waiting: EAGAIN where there is no room; also EACCES, EIDRM, ENOMEM.
    /// `kind` and the length have been checked.
    pub fn send(&self, kind: i64, data: &[u8], cred: &Credentials, pid: i32) -> SysResult<()> {
        let mut state = self.access(cred, WRITE)?;
        let len = data.len() as u64;
        // A queue is full by its messages too, or empty ones would not count.
        if state.bytes.saturating_add(len) > state.max_bytes
            || state.messages.len() as u64 >= state.max_bytes
        {
            return Err(Errno::EAGAIN);
        }
        let charge = self.budget.charge(data.len() + OVERHEAD).ok_or(Errno::ENOMEM)?;
        let message = Message { kind, data: data.into(), _charge: charge };
        state.lspid = pid;
        state.stime = now();
        while let Some(at) =
            state.receivers.iter().position(|waiting| waiting.request.select.accepts(kind))
        {
            let Some(receiver) = state.receivers.remove(at) else { break };
            match receiver.request.check(&message) {
                Ok(()) => {
                    state.lrpid = receiver.pid;
                    state.rtime = now();
                    receiver.slot.give(Ok(message));
                    return Ok(());
                }
                // Too long for this one, which learns it; the next may take it.
                Err(errno) => receiver.slot.give(Err(errno)),
            }
        }
        state.bytes += len;
        state.messages.push_back(message);
        Ok(())
    }

    /// msgrcv(2). ENOMSG with IPC_NOWAIT; also EACCES, EIDRM, E2BIG.
    pub fn receive(
        self: &Arc<MessageQueue>,
        request: Request,
        cred: &Credentials,
        pid: i32,
    ) -> SysResult<Received> {
        let mut state = self.access(cred, READ)?;
        let suits = |(_, message): &(usize, &Message)| request.select.accepts(message.kind);
        let mut suitable = state.messages.iter().enumerate().filter(suits);
        let found = match request.select {
            // Of several with the lowest type, min_by_key gives the first.
            Select::UpTo(_) => suitable.min_by_key(|(_, message)| message.kind),
            _ => suitable.next(),
        };
        if let Some((at, message)) = found {
            request.check(message)?;
            let message = state.messages.remove(at).ok_or(Errno::ENOMSG)?;
            state.bytes -= message.data.len() as u64;
            state.lrpid = pid;
            state.rtime = now();
            drop(state);
            self.senders.notify(1);
            return Ok(Received::Message(message));
        }
        if request.nowait {
            return Err(Errno::ENOMSG);
        }
        let slot = Slot::new();
        state.receivers.push_back(Receiver { request, pid, slot: slot.clone() });
        Ok(Received::Wait(Waiting { queue: self.clone(), slot }))
    }

    /// IPC_STAT, MSG_STAT; MSG_STAT_ANY without credentials.
    pub fn stat(&self, cred: Option<&Credentials>) -> SysResult<MsqidDs> {
        let state = match cred {
            Some(cred) => self.access(cred, READ)?,
            None => self.state.lock(),
        };
        Ok(MsqidDs {
            perm: state.perm.to_user(),
            stime: state.stime,
            rtime: state.rtime,
            ctime: state.ctime,
            cbytes: state.bytes,
            qnum: state.messages.len() as u64,
            qbytes: state.max_bytes,
            lspid: state.lspid,
            lrpid: state.lrpid,
            ..MsqidDs::default()
        })
    }

    /// IPC_SET. EPERM to raise the size of a queue beyond MSGMNB without CAP_SYS_RESOURCE.
    pub fn set(&self, new: &MsqidDs, cred: &Credentials) -> SysResult<()> {
        let mut state = self.state.lock();
        state.perm.check_owner(cred)?;
        if new.qbytes > QUEUE_BYTES && !cred.has_cap(Caps::SYS_RESOURCE) {
            return Err(Errno::EPERM);
        }
        state.perm.set(&new.perm)?;
        state.max_bytes = new.qbytes;
        state.ctime = now();
        // Permissions may have changed for those who wait: they ask again.
        for receiver in std::mem::take(&mut state.receivers) {
            receiver.slot.give(Err(Errno::EAGAIN));
        }
        drop(state);
        self.senders.notify(1);
        Ok(())
    }

    fn remove(&self) {
        let mut state = self.state.lock();
        state.removed = true;
        let receivers = std::mem::take(&mut state.receivers);
        let messages = std::mem::take(&mut state.messages);
        drop(state);
        drop(messages);
        for receiver in receivers {
            receiver.slot.give(Err(Errno::EIDRM));
        }
        self.senders.notify(1);
    }
}

/// The message queues of a namespace.
pub struct Msgs {
    table: Mutex<Table<Arc<MessageQueue>>>,
    budget: Budget,
}

impl Msgs {
    pub(crate) fn new(budget: &Budget) -> Msgs {
        Msgs { table: Mutex::new(Table::new(MAX_QUEUES)), budget: budget.clone() }
    }

    /// msgget(2).
    pub fn get(&self, key: i32, flags: i32, cred: &Credentials) -> SysResult<i32> {
        let mut table = self.table.lock();
        if key != PRIVATE {
            if let Some(queue) = table.by_key(key) {
                if flags & libc::IPC_CREAT != 0 && flags & libc::IPC_EXCL != 0 {
                    return Err(Errno::EEXIST);
                }
                queue.state.lock().perm.check(cred, flags as u32)?;
                return Ok(queue.id);
            }
            if flags & libc::IPC_CREAT == 0 {
                return Err(Errno::ENOENT);
            }
        }
        table.insert(key, |id| {
            let state = State {
                perm: Perm::new(key, id, flags, cred),
                removed: false,
                messages: VecDeque::new(),
                bytes: 0,
                max_bytes: QUEUE_BYTES,
                stime: 0,
                rtime: 0,
                ctime: now(),
                lspid: 0,
                lrpid: 0,
                receivers: VecDeque::new(),
            };
            let (state, senders) = (Mutex::new(state), WaitQueue::new());
            Arc::new(MessageQueue { id, state, senders, budget: self.budget.clone() })
        })
    }

    /// The queue. EINVAL, EIDRM.
    pub fn by_id(&self, id: i32) -> SysResult<Arc<MessageQueue>> {
        self.table.lock().by_id(id).cloned()
    }

    /// MSG_STAT, and MSG_STAT_ANY (without credentials): by index; the identifier too.
    pub fn stat_index(&self, at: i32, cred: Option<&Credentials>) -> SysResult<(i32, MsqidDs)> {
        let queue = self.table.lock().by_index(at).cloned()?;
        Ok((queue.id, queue.stat(cred)?))
    }

    /// IPC_RMID: who waits gets EIDRM.
    pub fn remove(&self, id: i32, cred: &Credentials) -> SysResult<()> {
        let mut table = self.table.lock();
        table.by_id(id)?.state.lock().perm.check_owner(cred)?;
        let queue = table.remove(id)?;
        drop(table);
        queue.remove();
        Ok(())
    }

    /// IPC_INFO, and MSG_INFO (`usage`), with the highest index in use.
    pub fn info(&self, usage: bool) -> (MsgInfo, usize) {
        let table = self.table.lock();
        let (mut count, mut bytes) = (0, 0);
        for queue in table.iter().filter(|_| usage) {
            let state = queue.state.lock();
            count += state.messages.len();
            bytes += state.bytes;
        }
        let (msgpool, msgmap, msgtql) = match usage {
            true => (table.len() as i32, count as i32, bytes as i32),
            false => (500_000, QUEUE_BYTES as i32, QUEUE_BYTES as i32),
        };
        let info = MsgInfo {
            msgpool,
            msgmap,
            msgmax: MAX_SIZE as i32,
            msgmnb: QUEUE_BYTES as i32,
            msgmni: MAX_QUEUES as i32,
            msgssz: 16,
            msgtql,
            msgseg: 0xffff,
            pad: 0,
        };
        (info, table.max_index())
    }

    /// /proc/sysvipc/msg.
    pub fn proc_table(&self) -> String {
        let mut text = String::from(
            "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      \
             stime      rtime      ctime\n",
        );
        let queues: Vec<Arc<MessageQueue>> = self.table.lock().iter().cloned().collect();
        for queue in queues {
            let Ok(stat) = queue.stat(None) else { continue };
            let perm = &stat.perm;
            let _ = writeln!(
                text,
                "{:10} {:10}  {:4o}  {:10} {:10} {:5} {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10}",
                perm.key,
                queue.id,
                perm.mode,
                stat.cbytes,
                stat.qnum,
                stat.lspid,
                stat.lrpid,
                perm.uid,
                perm.gid,
                perm.cuid,
                perm.cgid,
                stat.stime,
                stat.rtime,
                stat.ctime,
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(budget: usize) -> (Msgs, Arc<MessageQueue>, Credentials) {
        let (msgs, cred) = (Msgs::new(&Budget::new(budget)), Credentials::new(5, 5, &[]));
        let id = msgs.get(PRIVATE, 0o600, &cred).unwrap();
        let queue = msgs.by_id(id).unwrap();
        (msgs, queue, cred)
    }

    fn request(kind: i64, except: bool) -> Request {
        let select = Select::new(kind, except);
        Request { select, size: 10, truncate: false, nowait: true }
    }

    fn kind(queue: &Arc<MessageQueue>, request: Request, cred: &Credentials) -> SysResult<i64> {
        match queue.receive(request, cred, 1)? {
            Received::Message(message) => Ok(message.kind),
            Received::Wait(_) => panic!("it waits"),
        }
    }

    #[test]
    fn types_select() {
        let (_, queue, cred) = queue(1 << 20);
        for kind in [5, 3, 4, 3, 9] {
            queue.send(kind, b"x", &cred, 1).unwrap();
        }
        assert_eq!(kind(&queue, request(4, false), &cred), Ok(4));
        assert_eq!(kind(&queue, request(-4, false), &cred), Ok(3));
        assert_eq!(kind(&queue, request(5, true), &cred), Ok(3));
        assert_eq!(kind(&queue, request(7, false), &cred), Err(Errno::ENOMSG));
        assert_eq!(kind(&queue, request(0, false), &cred), Ok(5));
        assert_eq!(kind(&queue, request(i64::MIN, false), &cred), Ok(9));
    }

    #[test]
    fn receivers_are_served_in_order() {
        let (_, queue, cred) = queue(1 << 20);
        let wait = |kind, size| {
            let request = Request { size, nowait: false, ..request(kind, false) };
            match queue.receive(request, &cred, 7).unwrap() {
                Received::Wait(waiting) => waiting,
                Received::Message(_) => panic!("it did not wait"),
            }
        };
        let (short, first, second) = (wait(0, 1), wait(2, 10), wait(0, 10));
        queue.send(2, b"abc", &cred, 1).unwrap();
        assert_eq!(short.slot().take().map(|got| got.err()), Some(Some(Errno::E2BIG)));
        let message = first.slot().take().unwrap().unwrap();
        assert_eq!((message.kind, &*message.data), (2, &b"abc"[..]));
        assert!(second.slot().take().is_none());
        assert_eq!(queue.stat(None).unwrap().lrpid, 7);
        queue.send(1, b"", &cred, 1).unwrap();
        assert_eq!(second.cancel().unwrap().unwrap().kind, 1);
        assert_eq!(queue.stat(None).unwrap().qnum, 0);
    }

    #[test]
    fn room_and_removal() {
        let (msgs, queue, cred) = queue(3 * 8192 + 3 * OVERHEAD);
        let full = [0; 8192];
        queue.send(1, &full, &cred, 1).unwrap();
        queue.send(1, &full, &cred, 1).unwrap();
        assert_eq!(queue.send(1, b"x", &cred, 1), Err(Errno::EAGAIN));
        let more = MsqidDs { qbytes: 1 << 20, ..queue.stat(None).unwrap() };
        assert_eq!(queue.set(&more, &cred), Err(Errno::EPERM));
        let root = Credentials::new(0, 0, &[]);
        queue.set(&more, &root).unwrap();
        queue.send(1, &full, &cred, 1).unwrap();
        assert_eq!(queue.send(1, b"x", &cred, 1), Err(Errno::ENOMEM));
        msgs.remove(queue.id, &cred).unwrap();
        assert_eq!(queue.send(1, b"x", &cred, 1), Err(Errno::EIDRM));
        assert!(msgs.budget.charge(3 * 8192).is_some());
    }
}
