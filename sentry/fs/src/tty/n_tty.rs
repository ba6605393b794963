//! The line discipline: what becomes of what is typed. As n_tty.c in Linux.
//!
//! It does no I/O and knows neither files nor tasks: bytes go in and out, and what else shall
//! happen is returned ([`Events`]) for the driver to do once it has let go of its lock.

use super::output::{Screen, is_continuation};
use super::termios::{Char, DISABLED, Input, Local, Termios, Termios2};
use abi::signal::Signal;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes of input that wait to be read, and so the longest line, its newline included.
const INPUT_SIZE: usize = 4096;
/// VTIME counts tenths of a second.
const TENTH: Duration = Duration::from_millis(100);

/// What input has caused, beyond echo.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// For the foreground process group, in order.
    pub signals: Vec<Signal>,
    /// The input was flushed (by one of the signals).
    pub flushed_input: bool,
    /// The output was flushed.
    pub flushed_output: bool,
}

/// What a read comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes; 0 is the end of the file.
    Done(usize),
    /// Nothing yet. With an instant: at the latest then it is done.
    Wait(Option<Instant>),
}

/// A byte that waits to be read.
#[derive(Clone, Copy, Debug)]
struct Cell {
    byte: u8,
    /// A line ends with it. If it is [`DISABLED`] too, it stands for end-of-file.
    ends: bool,
}

/// How a kill character removes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kill {
    Character,
    Word,
    Line,
}

/// A line discipline with its terminal's settings.
#[derive(Debug)]
pub struct LineDiscipline {
    termios: Termios2,
    screen: Screen,
    queue: VecDeque<Cell>,
    /// How much of the queue is whole lines.
    canon: usize,
    /// The next byte is taken literally.
    literal_next: bool,
    /// By TCXONC, which ^Q does not undo.
    stopped_by_call: bool,
    /// When the last byte came, for VTIME between bytes.
    last_input: Option<Instant>,
    /// When a read that waits for its first byte gives up.
    deadline: Option<Instant>,
}

impl Default for LineDiscipline {
    fn default() -> LineDiscipline {
        LineDiscipline::new()
    }
}

impl LineDiscipline {
    /// With the settings of a new pseudo-terminal.
    pub fn new() -> LineDiscipline {
        LineDiscipline {
            termios: Termios2::standard(),
            screen: Screen::default(),
            queue: VecDeque::new(),
            canon: 0,
            literal_next: false,
            stopped_by_call: false,
            last_input: None,
            deadline: None,
        }
    }

    /// The settings.
    pub fn termios(&self) -> &Termios2 {
        &self.termios
    }

    /// New settings. What has been typed under canonical rules stays readable under others, and
    /// the other way round.
    pub fn set_termios(&mut self, new: Termios2) {
        let old = std::mem::replace(&mut self.termios, new);
        if old.base.is_canonical() != new.base.is_canonical() {
            self.queue.iter_mut().for_each(|cell| cell.ends = false);
            self.canon = 0;
            if new.base.is_canonical()
                && let Some(last) = self.queue.back_mut()
            {
                last.ends = true;
                self.canon = self.queue.len();
            }
            self.literal_next = false;
            self.deadline = None;
        }
        let lost_ixon = old.base.input().contains(Input::IXON) && !self.has_input(Input::IXON);
        if lost_ixon && !self.stopped_by_call {
            self.screen.start();
        }
    }

    fn has_input(&self, flag: Input) -> bool {
        self.base().input().contains(flag)
    }

    fn has_local(&self, flag: Local) -> bool {
        self.base().local().contains(flag)
    }

    fn base(&self) -> &Termios {
        &self.termios.base
    }

    // Output.

    /// What a program writes. Returns how much was taken; 0: the terminal is stopped or full.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        self.screen.write(&self.termios.base, bytes)
    }

    /// Can a program write?
    pub fn has_room(&self) -> bool {
        self.screen.has_room()
    }

    /// Takes bytes to show.
    pub fn take_output(&mut self, buf: &mut [u8]) -> usize {
        self.screen.take(buf)
    }

    /// Bytes to show.
    pub fn output_len(&self) -> usize {
        self.screen.len()
    }

    /// Forgets output that nobody has seen.
    pub fn flush_output(&mut self) {
        self.screen.flush();
    }

    /// Output is stopped.
    pub fn is_stopped(&self) -> bool {
        self.screen.stopped
    }

    /// TCOOFF.
    pub fn stop_by_call(&mut self) {
        self.stopped_by_call = true;
        self.screen.stopped = true;
    }

    /// TCOON.
    pub fn start_by_call(&mut self) {
        self.stopped_by_call = false;
        self.screen.start();
    }

    /// Sends a control character past everything that is stopped: TCIOFF, TCION.
    pub fn send(&mut self, which: Char) {
        let byte = self.base().char(which);
        if byte != DISABLED {
            self.screen.send(byte);
        }
    }

    fn start(&mut self) {
        if self.screen.stopped && !self.stopped_by_call {
            self.screen.start();
        }
    }

    // Input.

    /// What is typed. Returns how much was taken: all, unless nobody reads.
    pub fn receive(&mut self, bytes: &[u8], now: Instant, events: &mut Events) -> usize {
        let mut count = 0;
        for byte in bytes {
            if self.queue.len() + 1 >= INPUT_SIZE {
                // A line that grows too long loses what is typed last, so that it can be erased
                // and ended; anything else waits.
                if !self.base().is_canonical() || self.canon > 0 {
                    break;
                }
                if self.queue.len() >= INPUT_SIZE {
                    self.queue.pop_back();
                }
            }
            self.receive_byte(*byte, events);
            count += 1;
        }
        if count > 0 {
            self.last_input = Some(now);
        }
        count
    }

    fn receive_byte(&mut self, byte: u8, events: &mut Events) {
        let mut c = byte;
        if self.has_input(Input::ISTRIP) {
            c &= 0x7f;
        }
        let typed = c;
        if std::mem::take(&mut self.literal_next) {
            return self.receive_plain(c);
        }
        if self.has_local(Local::EXTPROC) {
            return self.push(c, false);
        }
        if self.has_input(Input::IXON) {
            if self.base().is(c, Char::Start) {
                return self.start();
            }
            if self.base().is(c, Char::Stop) {
                self.screen.stopped = true;
                return;
            }
        }
        if self.has_local(Local::ISIG)
            && let Some(signal) = self.signal_of(c)
        {
            return self.receive_signal(c, signal, events);
        }
        if self.has_input(Input::IXANY | Input::IXON) {
            self.start();
        }
        match c {
            b'\r' if self.has_input(Input::IGNCR) => return,
            b'\r' if self.has_input(Input::ICRNL) => c = b'\n',
            b'\n' if self.has_input(Input::INLCR) => c = b'\r',
            _ => {}
        }
        if self.base().is_canonical() && self.receive_canonical(c) {
            return;
        }
        // A newline that comes of ICRNL is echoed as one, one that is typed as ^J.
        if c == b'\n' && typed == b'\r' && self.has_local(Local::ECHO) {
            self.echo_raw(c);
            self.push_marked(c, false);
        } else {
            self.receive_plain(c);
        }
    }

    fn signal_of(&self, c: u8) -> Option<Signal> {
        let keys = [
            (Char::Intr, Signal::SIGINT),
            (Char::Quit, Signal::SIGQUIT),
            (Char::Susp, Signal::SIGTSTP),
        ];
        keys.into_iter().find(|(key, _)| self.base().is(c, *key)).map(|(_, signal)| signal)
    }

    fn receive_signal(&mut self, c: u8, signal: Signal, events: &mut Events) {
        events.signals.push(signal);
        if !self.has_local(Local::NOFLSH) {
            self.screen.flush();
            self.flush_input();
            events.flushed_output = true;
            events.flushed_input = true;
        }
        if self.has_input(Input::IXON) {
            self.start();
        }
        if self.has_local(Local::ECHO) {
            self.echo(c);
        }
    }

    /// A byte without a meaning of its own.
    fn receive_plain(&mut self, c: u8) {
        if self.has_local(Local::ECHO) {
            self.note_line_start();
            self.echo(c);
        }
        self.push_marked(c, false);
    }

    /// The editing of lines. False: the byte is nothing special.
    fn receive_canonical(&mut self, c: u8) -> bool {
        let extended = self.has_local(Local::IEXTEN);
        let echoes = self.has_local(Local::ECHO);
        let base = self.base();
        if base.is(c, Char::Erase) {
            self.erase(Kill::Character);
        } else if base.is(c, Char::Kill) {
            self.kill();
        } else if extended && base.is(c, Char::WordErase) {
            self.erase(Kill::Word);
        } else if extended && base.is(c, Char::LiteralNext) {
            self.literal_next = true;
            if echoes && self.has_local(Local::ECHOCTL) {
                self.echo_raw(b'^');
                self.echo_raw(b'\x08');
            }
        } else if extended && echoes && base.is(c, Char::Reprint) {
            self.echo(c);
            self.echo_raw(b'\n');
            for at in self.canon..self.queue.len() {
                self.echo(self.queue[at].byte);
            }
        } else if c == b'\n' {
            if echoes || self.has_local(Local::ECHONL) {
                self.echo_raw(c);
            }
            self.push(c, true);
        } else if base.is(c, Char::Eof) {
            self.push(DISABLED, true);
        } else if base.is(c, Char::Eol) || extended && base.is(c, Char::Eol2) {
            if echoes {
                self.note_line_start();
                self.echo(c);
            }
            self.push_marked(c, true);
        } else {
            return false;
        }
        true
    }

    fn push(&mut self, byte: u8, ends: bool) {
        self.queue.push_back(Cell { byte, ends });
        if ends {
            self.canon = self.queue.len();
        }
    }

    /// With PARMRK, 0xff is a mark, and so doubled where it is data.
    fn push_marked(&mut self, byte: u8, ends: bool) {
        if byte == 0xff && self.has_input(Input::PARMRK) {
            self.push(byte, false);
        }
        self.push(byte, ends);
    }

    /// Forgets what has not been read.
    pub fn flush_input(&mut self) {
        self.queue.clear();
        self.canon = 0;
        self.literal_next = false;
    }

    // Echo.

    fn note_line_start(&mut self) {
        if self.canon == self.queue.len() {
            self.screen.canon_column = self.screen.column;
        }
    }

    fn echo_raw(&mut self, byte: u8) {
        self.screen.echo(&self.termios.base, byte);
    }

    /// Control characters as ^X, if ECHOCTL is on.
    fn echo(&mut self, byte: u8) {
        if byte.is_ascii_control() && byte != b'\t' && self.has_local(Local::ECHOCTL) {
            self.screen.push(b'^');
            self.screen.push(byte ^ 0o100);
            self.screen.column += 2;
        } else {
            self.echo_raw(byte);
        }
    }

    /// VKILL.
    fn kill(&mut self) {
        let at_once = Local::ECHOK | Local::ECHOKE | Local::ECHOE;
        if self.has_local(Local::ECHO) && self.has_local(at_once) {
            return self.erase(Kill::Line);
        }
        if self.queue.len() == self.canon {
            return;
        }
        self.queue.truncate(self.canon);
        if self.has_local(Local::ECHO) {
            self.echo(self.base().char(Char::Kill));
            if self.has_local(Local::ECHOK) {
                self.echo_raw(b'\n');
            }
        }
    }

    fn erase(&mut self, kill: Kill) {
        let mut seen_word = false;
        while self.queue.len() > self.canon {
            let mut head = self.queue.len() - 1;
            while head > self.canon && is_continuation(self.base(), self.queue[head].byte) {
                head -= 1;
            }
            let c = self.queue[head].byte;
            // Never a part of a character.
            if is_continuation(self.base(), c) {
                break;
            }
            if kill == Kill::Word {
                if c.is_ascii_alphanumeric() || c == b'_' {
                    seen_word = true;
                } else if seen_word {
                    break;
                }
            }
            self.queue.truncate(head);
            if self.has_local(Local::ECHO) {
                self.echo_erased(c, kill);
            }
            if kill == Kill::Character {
                break;
            }
        }
    }

    fn echo_erased(&mut self, c: u8, kill: Kill) {
        if kill == Kill::Character && !self.has_local(Local::ECHOE) {
            return self.echo(self.base().char(Char::Erase));
        }
        if c == b'\t' {
            return self.echo_erased_tab();
        }
        let shows_controls = self.has_local(Local::ECHOCTL);
        let width = match (c.is_ascii_control(), shows_controls) {
            (true, true) => 2,
            (true, false) => 0,
            (false, _) => 1,
        };
        for _ in 0..width {
            b"\x08 \x08".iter().for_each(|byte| self.echo_raw(*byte));
        }
    }

    /// Moves back over a tab: how far depends on what stands before it.
    fn echo_erased_tab(&mut self) {
        let shows_controls = self.has_local(Local::ECHOCTL);
        let mut columns = self.screen.canon_column;
        for cell in self.queue.range(self.canon..) {
            match cell.byte {
                b'\t' => columns = (columns / 8 + 1) * 8,
                c if c.is_ascii_control() => columns += if shows_controls { 2 } else { 0 },
                c if !is_continuation(self.base(), c) => columns += 1,
                _ => {}
            }
        }
        for _ in 0..8 - columns % 8 {
            self.screen.push(b'\x08');
            self.screen.column = self.screen.column.saturating_sub(1);
        }
    }

    // Reading.

    /// Is there something to read, as poll(2) has it?
    pub fn is_readable(&self) -> bool {
        if self.base().is_canonical() {
            return self.canon > 0;
        }
        let min = usize::from(self.base().char(Char::Min));
        let is_timed = self.base().char(Char::Time) != 0;
        self.queue.len() >= if is_timed { 1 } else { min.max(1) }
    }

    /// FIONREAD: bytes in whole lines, or all.
    pub fn readable_len(&self) -> usize {
        if !self.base().is_canonical() {
            return self.queue.len();
        }
        let is_data = |cell: &&Cell| !(cell.ends && cell.byte == DISABLED);
        self.queue.iter().take(self.canon).filter(is_data).count()
    }

    /// read(2).
    pub fn read(&mut self, buf: &mut [u8], nonblocking: bool, now: Instant) -> Read {
        if buf.is_empty() {
            return Read::Done(0);
        }
        if self.base().is_canonical() {
            return match self.canon {
                0 => Read::Wait(None),
                _ => Read::Done(self.read_line(buf)),
            };
        }
        if let Some(wait) = self.raw_wait(buf.len(), nonblocking, now) {
            return wait;
        }
        self.deadline = None;
        let count = buf.len().min(self.queue.len());
        for (slot, cell) in buf.iter_mut().zip(self.queue.drain(..count)) {
            *slot = cell.byte;
        }
        Read::Done(count)
    }

    /// VMIN and VTIME, as termios(3) has their four cases. None: read what is there.
    fn raw_wait(&mut self, wanted: usize, nonblocking: bool, now: Instant) -> Option<Read> {
        let min = usize::from(self.base().char(Char::Min));
        let time = TENTH * u32::from(self.base().char(Char::Time));
        let have = self.queue.len();
        if have >= min.min(wanted).max(1) || min == 0 && (have > 0 || time.is_zero()) {
            return None;
        }
        if nonblocking {
            return if have > 0 { None } else { Some(Read::Wait(None)) };
        }
        if time.is_zero() {
            return Some(Read::Wait(None));
        }
        let deadline = match (min, have, self.last_input) {
            // For the first byte, from the call on.
            (0, ..) => *self.deadline.get_or_insert(now + time),
            // Between bytes.
            (_, 1.., Some(last)) => last + time,
            _ => return Some(Read::Wait(None)),
        };
        if now >= deadline { None } else { Some(Read::Wait(Some(deadline))) }
    }

    fn read_line(&mut self, buf: &mut [u8]) -> usize {
        let mut count = 0;
        while count < buf.len() && self.canon > 0 {
            let Some(cell) = self.pop() else { break };
            let is_eof = cell.ends && cell.byte == DISABLED;
            if !is_eof {
                buf[count] = cell.byte;
                count += 1;
            }
            if cell.ends {
                return count;
            }
        }
        // An end-of-file right after what just fitted is part of it: else it would end the next
        // read, and so the file.
        let is_eof = |cell: &Cell| cell.ends && cell.byte == DISABLED;
        if self.canon > 0 && self.queue.front().is_some_and(is_eof) {
            self.pop();
        }
        count
    }

    fn pop(&mut self) -> Option<Cell> {
        let cell = self.queue.pop_front()?;
        self.canon = self.canon.saturating_sub(1);
        Some(cell)
    }
}
