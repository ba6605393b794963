//! Pipes and FIFOs: pipe(7), fifo(7).
//!
//! A [`Fifo`] is the state, whether it has a name or not; a [`PipeFile`] is one open end (or both,
//! for O_RDWR). Ends count themselves in and out, and hold the state; the state holds nobody.
//!
//! Locks: one, a leaf. Waiters are woken after it is released.

mod buffer;
mod file;
mod inode;

pub use file::PipeFile;
pub use inode::PipeInode;

use abi::file::{OpenFlags, PollEvents};
use abi::{Errno, SysResult};
use buffer::Buffer;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// PIPE_BUF: writes up to this many bytes are atomic. Also the page of a pipe.
pub const PIPE_BUF: usize = 4096;
/// What F_SETPIPE_SZ may ask for: the default of /proc/sys/fs/pipe-max-size.
pub const PIPE_MAX_SIZE: usize = 1 << 20;
/// The pages of a new pipe.
const DEFAULT_SLOTS: usize = 16;
/// The pages of a new pipe when too many are in use: PIPE_MIN_DEF_BUFFERS.
const MIN_SLOTS: usize = 2;
/// Pages all pipes may have before new ones are small: the default of
/// /proc/sys/fs/pipe-user-pages-soft, which here holds for the sandbox, not for each user.
const PAGES_SOFT: usize = 16384;

/// Pages that pipes could fill.
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// Room for a pipe's pages, counted against the sandbox's.
struct Budget(usize);

impl Budget {
    fn for_new_pipe() -> Budget {
        let before = PAGES.fetch_add(DEFAULT_SLOTS, Ordering::Relaxed);
        if before + DEFAULT_SLOTS <= PAGES_SOFT {
            return Budget(DEFAULT_SLOTS);
        }
        PAGES.fetch_sub(DEFAULT_SLOTS - MIN_SLOTS, Ordering::Relaxed);
        Budget(MIN_SLOTS)
    }

    /// EPERM where there is no room to grow.
    fn resize(&mut self, slots: usize) -> SysResult<()> {
        if slots > self.0 {
            let more = slots - self.0;
            if PAGES.fetch_add(more, Ordering::Relaxed) + more > PAGES_SOFT {
                PAGES.fetch_sub(more, Ordering::Relaxed);
                return Err(Errno::EPERM);
            }
        } else {
            PAGES.fetch_sub(self.0 - slots, Ordering::Relaxed);
        }
        self.0 = slots;
        Ok(())
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        PAGES.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// The state of a pipe: one per FIFO inode.
pub struct Fifo {
    state: Mutex<State>,
    queue: WaitQueue,
    /// Somebody polled it. From then on each write and each read wakes, not only those that end
    /// emptiness and fullness: edge-triggered epoll users count on it, as on Linux (`poll_usage`).
    polled: AtomicBool,
}

struct State {
    /// None while no end is open.
    content: Option<Content>,
    readers: usize,
    writers: usize,
    /// How often a reader, a writer has opened it: an open that waits for its partner must see one
    /// that has already gone again.
    reader_opens: u64,
    writer_opens: u64,
}

struct Content {
    buffer: Buffer,
    budget: Budget,
}

/// Events for readers.
const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
/// Events for writers.
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

impl Fifo {
    /// A pipe that nobody has open.
    pub fn new() -> Arc<Fifo> {
        Arc::new(Fifo {
            state: Mutex::new(State {
                content: None,
                readers: 0,
                writers: 0,
                reader_opens: 0,
                writer_opens: 0,
            }),
            queue: WaitQueue::new(),
            polled: AtomicBool::new(false),
        })
    }

    /// Opens an end, or with O_RDWR both. ENXIO for O_WRONLY | O_NONBLOCK without a reader. Where
    /// open(2) must wait for a partner, the file says so by `open_pending`.
    pub fn open(self: &Arc<Fifo>, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Ok(Arc::new(self.open_end(flags, true)?))
    }

    /// Opens an end of a pipe without a name once more, by /proc/PID/fd/N. It waits for nobody: a
    /// partner that has gone will not come again.
    fn open_again(self: &Arc<Fifo>, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Ok(Arc::new(self.open_end(flags, false)?))
    }

    fn open_end(self: &Arc<Fifo>, flags: OpenFlags, has_name: bool) -> SysResult<PipeFile> {
        let (reads, writes) = (flags.readable(), flags.writable());
        if !reads && !writes {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        let alone = writes && !reads && state.readers == 0;
        if alone && has_name && flags.contains(OpenFlags::NONBLOCK) {
            return Err(Errno::ENXIO);
        }
        if state.content.is_none() {
            let budget = Budget::for_new_pipe();
            state.content = Some(Content { buffer: Buffer::new(budget.0), budget });
        }
        let partner_opens = if reads { state.writer_opens } else { state.reader_opens };
        let waits_for_partner = if reads { state.writers == 0 } else { state.readers == 0 };
        let mut events = PollEvents::empty();
        if reads {
            state.readers += 1;
            state.reader_opens += 1;
            events |= WRITABLE;
        }
        if writes {
            state.writers += 1;
            state.writer_opens += 1;
            events |= READABLE;
        }
        drop(state);
        // For those whose open waits; IN is what they wait for, whichever end they are.
        self.queue.notify((events | PollEvents::IN).bits());
        let unseen = has_name && waits_for_partner && reads != writes;
        Ok(PipeFile::new(self.clone(), reads, writes, unseen.then_some(partner_opens)))
    }

    /// An end is closed.
    fn close(&self, reads: bool, writes: bool) {
        let mut state = self.state.lock();
        let mut events = PollEvents::empty();
        if reads {
            state.readers -= 1;
            if state.readers == 0 {
                events |= WRITABLE | PollEvents::ERR;
            }
        }
        if writes {
            state.writers -= 1;
            if state.writers == 0 {
                events |= READABLE | PollEvents::HUP;
            }
        }
        let content =
            if state.readers == 0 && state.writers == 0 { state.content.take() } else { None };
        drop(state);
        drop(content);
        if !events.is_empty() {
            self.queue.notify(events.bits());
        }
    }

    fn read(&self, out: &mut [u8]) -> SysResult<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let mut state = self.state.lock();
        let has_writers = state.writers != 0;
        let Some(content) = &mut state.content else { return Ok(0) };
        if content.buffer.is_empty() {
            return if has_writers { Err(Errno::EAGAIN) } else { Ok(0) };
        }
        let was_full = content.buffer.is_full();
        let count = content.buffer.read(out);
        let is_full = content.buffer.is_full();
        drop(state);
        if was_full && !is_full || self.polled.load(Ordering::Relaxed) {
            self.queue.notify(WRITABLE.bits());
        }
        Ok(count)
    }

    fn peek(&self, out: &mut [u8]) -> SysResult<usize> {
        let state = self.state.lock();
        let Some(content) = &state.content else { return Ok(0) };
        if content.buffer.is_empty() && state.writers != 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(content.buffer.peek(out))
    }

    fn write(&self, bytes: &[u8], packets: bool) -> SysResult<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let Some(content) = &mut state.content else { return Err(Errno::EPIPE) };
        let was_empty = content.buffer.is_empty();
        let count =
            if packets { content.buffer.write_packets(bytes) } else { content.buffer.write(bytes) };
        drop(state);
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        if was_empty || self.polled.load(Ordering::Relaxed) {
            self.queue.notify(READABLE.bits());
        }
        Ok(count)
    }

    fn capacity(&self) -> usize {
        let state = self.state.lock();
        state.content.as_ref().map_or(0, |content| content.buffer.max_slots() * PIPE_BUF)
    }

    fn set_capacity(&self, bytes: usize) -> SysResult<usize> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let size = bytes.max(PIPE_BUF).next_power_of_two();
        if size > PIPE_MAX_SIZE {
            return Err(Errno::EPERM);
        }
        let slots = size / PIPE_BUF;
        let mut state = self.state.lock();
        let content = state.content.as_mut().ok_or(Errno::EBADF)?;
        if slots < content.buffer.used_slots() {
            return Err(Errno::EBUSY);
        }
        content.budget.resize(slots)?;
        content.buffer.set_max_slots(slots);
        let has_room = !content.buffer.is_full();
        drop(state);
        if has_room {
            self.queue.notify(WRITABLE.bits());
        }
        Ok(size)
    }

    fn available(&self) -> usize {
        self.state.lock().content.as_ref().map_or(0, |content| content.buffer.len())
    }
}

/// The two ends that pipe(2) gives, and their inode.
pub struct PipePair {
    /// The end to read from.
    pub reader: Arc<dyn FileOps>,
    /// The end to write to.
    pub writer: Arc<dyn FileOps>,
    /// What fstat(2) shows of both.
    pub inode: Arc<PipeInode>,
}

/// A new pipe, owned by `uid` and `gid`.
pub fn new_pair(uid: u32, gid: u32) -> SysResult<PipePair> {
    let fifo = Fifo::new();
    let reader = Arc::new(fifo.open_end(OpenFlags::NONBLOCK, false)?);
    let writer = Arc::new(fifo.open_end(OpenFlags::WRONLY, false)?);
    Ok(PipePair { reader, writer, inode: PipeInode::new(fifo, uid, gid) })
}

/// pipe2(2): the two open files. `flags`: O_NONBLOCK and O_DIRECT count; others are refused by the
/// caller.
pub fn open_pair(
    uid: u32,
    gid: u32,
    flags: OpenFlags,
) -> SysResult<(Arc<OpenFile>, Arc<OpenFile>)> {
    let pair = new_pair(uid, gid)?;
    let path = pair.inode.path();
    let status = flags & (OpenFlags::NONBLOCK | OpenFlags::DIRECT);
    let reader = OpenFile::new(pair.reader, path.clone(), status & OpenFlags::NONBLOCK);
    let writer = OpenFile::new(pair.writer, path, status | OpenFlags::WRONLY);
    Ok((reader, writer))
}

#[cfg(test)]
mod tests;
