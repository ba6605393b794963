//! A pseudo-terminal: the pair, its buffers, and who has which side open.

use super::file::Slave;
use super::{PTS_MAJOR, statfs};
use crate::anon::AnonAttr;
use crate::tty::termios::{Local, Winsize};
use crate::tty::{Events, JobControl, LineDiscipline, Read};
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::signal::Signal;
use abi::stat::{StatFs, makedev};
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Instant;
use vfs::{Attr, FileOps, Inode, SetAttr};
use wait::{TimerHandle, Timers, WaitQueue};

/// Bytes typed that the line discipline has no room for yet; more are not taken.
const TYPED_SIZE: usize = 64 << 10;

const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

/// What packet mode tells, ioctl_tty(2): TIOCPKT.
pub(super) mod packet {
    pub const FLUSHREAD: u8 = 1;
    pub const FLUSHWRITE: u8 = 2;
    pub const STOP: u8 = 4;
    pub const START: u8 = 8;
    pub const NOSTOP: u8 = 16;
    pub const DOSTOP: u8 = 32;
}

/// A pseudo-terminal. As an inode it is the terminal's node, `/dev/pts/N`.
pub struct Pty {
    me: Weak<Pty>,
    index: u32,
    attrs: AnonAttr,
    jobs: Arc<dyn JobControl>,
    timers: Timers,
    state: Mutex<State>,
    pub(super) master_queue: WaitQueue,
    pub(super) slave_queue: WaitQueue,
}

/// What changes.
pub(super) struct State {
    pub line: LineDiscipline,
    pub winsize: Winsize,
    /// The terminal cannot be opened yet.
    pub locked: bool,
    /// Packet mode, and what is to be told in it.
    pub packet: bool,
    pub packet_status: u8,
    /// Written by the master, for the line discipline.
    typed: VecDeque<u8>,
    has_master: bool,
    slaves: u32,
    /// The terminal was open, and is not.
    slave_closed: bool,
    /// Ends a read with VTIME.
    timer: Option<TimerHandle>,
}

impl State {
    /// Feeds the line discipline what it has room for.
    fn pump(&mut self, events: &mut Events) {
        let now = Instant::now();
        while !self.typed.is_empty() {
            let (bytes, _) = self.typed.as_slices();
            match self.line.receive(bytes, now, events) {
                0 => break,
                count => drop(self.typed.drain(..count)),
            }
        }
    }

    /// Notes what packet mode is to tell.
    pub fn tell(&mut self, status: u8) {
        if self.packet {
            self.packet_status |= status;
        }
    }

    /// The same for a change of flow control.
    pub fn tell_flow(&mut self, was_stopped: bool) {
        match (was_stopped, self.line.is_stopped()) {
            (false, true) => {
                self.packet_status &= !packet::START;
                self.tell(packet::STOP);
            }
            (true, false) => {
                self.packet_status &= !packet::STOP;
                self.tell(packet::START);
            }
            _ => {}
        }
    }

    fn typed_room(&self) -> usize {
        TYPED_SIZE.saturating_sub(self.typed.len())
    }

    fn has_output(&self) -> bool {
        self.line.output_len() > 0 || self.packet && self.packet_status != 0
    }

    /// Forgets what the line discipline has not seen.
    pub fn flush_typed(&mut self) {
        self.typed.clear();
    }
}

impl Pty {
    pub(super) fn new(
        index: u32,
        attrs: AnonAttr,
        jobs: Arc<dyn JobControl>,
        timers: Timers,
    ) -> Arc<Pty> {
        Arc::new_cyclic(|me| Pty {
            me: me.clone(),
            index,
            attrs,
            jobs,
            timers,
            state: Mutex::new(State {
                line: LineDiscipline::new(),
                winsize: Winsize::default(),
                locked: true,
                packet: false,
                packet_status: 0,
                typed: VecDeque::new(),
                has_master: true,
                slaves: 0,
                slave_closed: false,
                timer: None,
            }),
            master_queue: WaitQueue::new(),
            slave_queue: WaitQueue::new(),
        })
    }

    /// Its number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// `st_rdev` of the terminal.
    pub fn rdev(&self) -> u64 {
        makedev(PTS_MAJOR, self.index)
    }

    pub(super) fn jobs(&self) -> &dyn JobControl {
        &*self.jobs
    }

    pub(super) fn has_master(&self) -> bool {
        self.state.lock().has_master
    }

    /// Changes something, does what follows from it, and wakes who waits for it.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State, &mut Events) -> R) -> R {
        let mut events = Events::default();
        let mut state = self.state.lock();
        let was_stopped = state.line.is_stopped();
        let result = change(&mut state, &mut events);
        state.pump(&mut events);
        state.tell_flow(was_stopped);
        if events.flushed_input {
            state.tell(packet::FLUSHREAD);
        }
        if events.flushed_output {
            state.tell(packet::FLUSHWRITE);
        }
        let mut for_master = PollEvents::empty();
        for_master.set(READABLE, state.has_output());
        for_master.set(PollEvents::PRI, state.packet && state.packet_status != 0);
        for_master.set(WRITABLE, state.typed_room() > 0);
        let mut for_slave = PollEvents::empty();
        for_slave.set(READABLE, state.line.is_readable());
        for_slave.set(WRITABLE, state.line.has_room());
        drop(state);
        // The kernel locks its process table.
        for signal in events.signals {
            self.jobs.signal_foreground(signal);
        }
        self.master_queue.notify(for_master.bits());
        self.slave_queue.notify(for_slave.bits());
        result
    }

    // The master.

    /// What the terminal shows. EAGAIN; EIO when nobody has it open any more.
    pub(super) fn master_read(&self, buf: &mut [u8]) -> SysResult<usize> {
        self.with(|state, _| {
            let Some((first, rest)) = buf.split_first_mut() else { return Ok(0) };
            if state.packet && state.packet_status != 0 {
                *first = std::mem::take(&mut state.packet_status);
                return Ok(1);
            }
            if state.line.output_len() == 0 {
                return Err(if state.slave_closed { Errno::EIO } else { Errno::EAGAIN });
            }
            if state.packet {
                *first = 0;
                return Ok(1 + state.line.take_output(rest));
            }
            Ok(state.line.take_output(buf))
        })
    }

    /// What is typed.
    pub(super) fn master_write(&self, buf: &[u8]) -> SysResult<usize> {
        self.with(|state, _| {
            let count = buf.len().min(state.typed_room());
            if count == 0 && !buf.is_empty() {
                return Err(Errno::EAGAIN);
            }
            state.typed.extend(&buf[..count]);
            Ok(count)
        })
    }

    pub(super) fn master_poll(&self) -> PollEvents {
        let state = self.state.lock();
        let mut events = PollEvents::empty();
        events.set(READABLE, state.has_output());
        events.set(PollEvents::PRI, state.packet && state.packet_status != 0);
        events.set(WRITABLE, state.typed_room() > 0);
        events.set(PollEvents::HUP, state.slave_closed);
        events
    }

    /// The master is closed: the terminal is hung up.
    pub(super) fn close_master(&self) {
        let timer = {
            let mut state = self.state.lock();
            state.has_master = false;
            state.flush_typed();
            state.timer.take()
        };
        drop(timer);
        self.jobs.hang_up();
        let all = READABLE | WRITABLE | PollEvents::HUP | PollEvents::ERR;
        self.slave_queue.notify(all.bits());
    }

    // The terminal.

    /// EIO where the master is closed, or keeps it locked.
    pub(super) fn open_slave(&self, flags: OpenFlags) -> SysResult<Arc<Slave>> {
        let me = self.me.upgrade().ok_or(Errno::EIO)?;
        {
            let mut state = self.state.lock();
            if !state.has_master || state.locked {
                return Err(Errno::EIO);
            }
            state.slaves += 1;
            state.slave_closed = false;
        }
        let slave = Arc::new(Slave::new(me));
        if !flags.contains(OpenFlags::NOCTTY) && flags.readable() {
            self.jobs.opened();
        }
        Ok(slave)
    }

    pub(super) fn close_slave(&self) {
        let mut state = self.state.lock();
        state.slaves = state.slaves.saturating_sub(1);
        if state.slaves > 0 {
            return;
        }
        state.slave_closed = true;
        drop(state);
        self.master_queue.notify((READABLE | PollEvents::HUP).bits());
    }

    /// A line, or what VMIN and VTIME say. None: the terminal is hung up.
    pub(super) fn slave_read(&self, buf: &mut [u8], nonblocking: bool) -> SysResult<Option<usize>> {
        if self.has_master() {
            self.jobs.check_access(Signal::SIGTTIN)?;
        }
        self.with(|state, _| {
            if !state.has_master {
                return Ok(None);
            }
            match state.line.read(buf, nonblocking, Instant::now()) {
                Read::Done(count) => {
                    state.timer = None;
                    Ok(Some(count))
                }
                Read::Wait(until) => {
                    state.timer = until.map(|until| self.timer(until));
                    Err(Errno::EAGAIN)
                }
            }
        })
    }

    /// Wakes readers, whose time is over then.
    fn timer(&self, at: Instant) -> TimerHandle {
        let me = self.me.clone();
        let wake = move || {
            if let Some(pty) = me.upgrade() {
                pty.slave_queue.notify(READABLE.bits());
            }
        };
        self.timers.schedule(at, Arc::new(wake))
    }

    /// What a program shows. EIO where it is hung up.
    pub(super) fn slave_write(&self, buf: &[u8]) -> SysResult<usize> {
        let stops = {
            let state = self.state.lock();
            state.has_master && state.line.termios().base.local().contains(Local::TOSTOP)
        };
        if stops {
            self.jobs.check_access(Signal::SIGTTOU)?;
        }
        self.with(|state, _| {
            if !state.has_master {
                return Err(Errno::EIO);
            }
            match state.line.write(buf) {
                0 if !buf.is_empty() => Err(Errno::EAGAIN),
                count => Ok(count),
            }
        })
    }

    pub(super) fn slave_poll(&self) -> PollEvents {
        let state = self.state.lock();
        if !state.has_master {
            return READABLE | WRITABLE | PollEvents::HUP | PollEvents::ERR;
        }
        let mut events = PollEvents::empty();
        events.set(READABLE, state.line.is_readable());
        events.set(WRITABLE, state.line.has_room());
        events
    }
}

impl Inode for Pty {
    fn file_type(&self) -> FileType {
        FileType::CharDevice
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(Attr { rdev: self.rdev(), ..self.attrs.get() })
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        self.attrs.set(change)
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Ok(self.open_slave(flags)?)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
