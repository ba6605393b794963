//! Files on their way from one process to another: SCM_RIGHTS of unix(7).
//!
//! Two things could go wrong with files in messages. A socket can be sent over itself, or two over
//! each other: nobody can receive them any more, and each keeps the other open. [`collect`] finds
//! such sockets, as Linux's unix_gc does. And a chain of sockets, each with the next one in its
//! queue, would be closed by recursion as deep as a guest likes: [`bury`] makes a loop of it.
//!
//! Lock order: the table, then a unix socket's inbox. So files are never dropped, nor taken out of a
//! [`Rights`], with an inbox locked.

use crate::file::SocketFile;
use crate::unix::UnixSocket;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use vfs::OpenFile;

/// SCM_MAX_FD: the most files in a message.
pub const MAX_RIGHTS: usize = 253;
/// The most files in flight in the sandbox. Linux's limit is RLIMIT_NOFILE, for each user.
const MAX_IN_FLIGHT: usize = 16384;
/// With more unix sockets than this in flight (and twice what the last collection left), look for
/// lost ones.
const COLLECT_AT: usize = 16;

/// Files in a message; they count as in flight until they are taken out or dropped.
#[derive(Default)]
pub struct Rights(Vec<Arc<OpenFile>>);

/// All that is in flight.
struct Table {
    total: usize,
    /// The unix sockets among them, by address (which is not used again while there is a `Weak`).
    sockets: HashMap<usize, InFlight>,
    collect_at: usize,
}

struct InFlight {
    file: Weak<OpenFile>,
    /// How many times it is in flight.
    count: usize,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(|| {
    Mutex::new(Table { total: 0, sockets: HashMap::new(), collect_at: COLLECT_AT })
});

/// The unix socket behind an open file.
fn unix_socket(file: &OpenFile) -> Option<&UnixSocket> {
    file.ops_as::<SocketFile>()?.socket().as_any().downcast_ref()
}

fn key(file: &Arc<OpenFile>) -> usize {
    Arc::as_ptr(file) as usize
}

impl Rights {
    /// Sends these files on their way. EINVAL for more than [`MAX_RIGHTS`], ETOOMANYREFS with too
    /// many under way already.
    pub fn new(files: Vec<Arc<OpenFile>>) -> SysResult<Rights> {
        if files.len() > MAX_RIGHTS {
            return Err(Errno::EINVAL);
        }
        if files.is_empty() {
            return Ok(Rights::default());
        }
        let (full, lost) = {
            let table = TABLE.lock();
            let full = table.total + files.len() > MAX_IN_FLIGHT;
            (full, full || table.sockets.len() >= table.collect_at)
        };
        if lost {
            collect();
        }
        let mut table = TABLE.lock();
        if full && table.total + files.len() > MAX_IN_FLIGHT {
            return Err(Errno::from_raw(libc::ETOOMANYREFS));
        }
        table.total += files.len();
        for file in files.iter().filter(|file| unix_socket(file).is_some()) {
            let new = || InFlight { file: Arc::downgrade(file), count: 0 };
            table.sockets.entry(key(file)).or_insert_with(new).count += 1;
        }
        drop(table);
        Ok(Rights(files))
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The files, without taking them out.
    pub fn files(&self) -> &[Arc<OpenFile>] {
        &self.0
    }

    /// The files have arrived.
    pub fn into_files(mut self) -> Vec<Arc<OpenFile>> {
        self.arrive()
    }

    fn arrive(&mut self) -> Vec<Arc<OpenFile>> {
        let files = std::mem::take(&mut self.0);
        if files.is_empty() {
            return files;
        }
        let mut table = TABLE.lock();
        table.total -= files.len();
        for file in files.iter().filter(|file| unix_socket(file).is_some()) {
            if let Some(in_flight) = table.sockets.get_mut(&key(file)) {
                in_flight.count -= 1;
                if in_flight.count == 0 {
                    table.sockets.remove(&key(file));
                }
            }
        }
        // A crowd that has left is no reason to be patient with the next.
        if table.collect_at > COLLECT_AT && table.sockets.len() < table.collect_at / 4 {
            table.collect_at = (table.sockets.len() * 2).max(COLLECT_AT);
        }
        drop(table);
        files
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        bury(self.arrive());
    }
}

/// Drops files; those that this closes further down are dropped by the outermost call, in turn.
fn bury(files: Vec<Arc<OpenFile>>) {
    thread_local! {
        static GRAVES: RefCell<Option<Vec<Arc<OpenFile>>>> = const { RefCell::new(None) };
    }
    if files.is_empty() {
        return;
    }
    // A thread that is ending has no list any more; its files are dropped here and now.
    let _ = GRAVES.try_with(|graves| {
        match &mut *graves.borrow_mut() {
            Some(list) => {
                list.extend(files);
                return;
            }
            empty => *empty = Some(files),
        }
        loop {
            let file = graves.borrow_mut().as_mut().and_then(Vec::pop);
            match file {
                Some(file) => drop(file),
                None => break,
            }
        }
        *graves.borrow_mut() = None;
    });
}

/// A socket that only messages refer to.
struct Candidate {
    file: Arc<OpenFile>,
    count: usize,
    /// How many of those messages are in the queues of candidates.
    found: usize,
    /// The candidates in its own queue.
    holds: Vec<usize>,
}

/// Closes the unix sockets that nobody can receive any more.
///
/// Those that are open nowhere but in messages are candidates. One that is also in a message
/// outside of the candidates' queues can still be received, and so can what is in its queue. What
/// remains is lost: its queue is emptied, which closes it.
///
/// A concurrent receiver cannot make a lost socket reachable: it would have to hold an open socket
/// whose queue it is in, which then was no candidate; and a message that it has taken out, but whose
/// arrival is not yet in the table, is counted and not found, hence counts as outside.
fn collect() {
    let mut lost = Vec::new();
    let mut table = TABLE.lock();
    let mut candidates: HashMap<usize, Candidate> = HashMap::new();
    let closed = table.sockets.iter().filter(|(_, s)| s.file.strong_count() == s.count);
    let closed: Vec<usize> = closed.map(|(key, _)| *key).collect();
    for key in closed {
        let Some(in_flight) = table.sockets.get(&key) else { continue };
        if let Some(file) = in_flight.file.upgrade() {
            let candidate = Candidate { file, count: in_flight.count, found: 0, holds: Vec::new() };
            candidates.insert(key, candidate);
        }
    }
    let keys: Vec<usize> = candidates.keys().copied().collect();
    for at in &keys {
        let mut held = Vec::new();
        if let Some(socket) = candidates.get(at).and_then(|c| unix_socket(&c.file)) {
            socket.for_each_right(&mut |file| held.push(key(file)));
        }
        for key in &held {
            if let Some(candidate) = candidates.get_mut(key) {
                candidate.found += 1;
            }
        }
        if let Some(candidate) = candidates.get_mut(at) {
            candidate.holds = held;
        }
    }
    let mut reachable: Vec<usize> =
        candidates.iter().filter(|(_, c)| c.found < c.count).map(|(key, _)| *key).collect();
    let mut kept = Vec::new();
    while let Some(key) = reachable.pop() {
        if let Some(candidate) = candidates.remove(&key) {
            reachable.extend(&candidate.holds);
            kept.push(candidate.file);
        }
    }
    for candidate in candidates.values() {
        if let Some(socket) = unix_socket(&candidate.file) {
            lost.push(socket.take_messages());
        }
    }
    table.collect_at = (2 * (table.sockets.len() - candidates.len())).max(COLLECT_AT);
    drop(table);
    // Now that no lock is held, the files may go.
    drop(lost);
    bury(kept);
    bury(candidates.into_values().map(|candidate| candidate.file).collect());
}

/// For tests: look for lost sockets now.
#[cfg(test)]
pub(crate) fn collect_now() {
    collect();
}
