//! Output processing: what becomes of bytes on their way to the terminal.

use super::termios::{Input, Output, Termios};
use std::collections::VecDeque;

/// Bytes that wait to be shown; more are not taken.
pub(super) const OUTPUT_SIZE: usize = 64 << 10;
/// Echoes that are kept while output is stopped; more are lost, as in Linux.
const HELD_SIZE: usize = 4096;
const TAB: usize = 8;

/// The output of a terminal: what has been written and not been shown yet, and where the cursor is.
#[derive(Debug, Default)]
pub(super) struct Screen {
    ready: VecDeque<u8>,
    /// Echoes while it is stopped.
    held: VecDeque<u8>,
    /// The column of the cursor, as far as it is known.
    pub column: usize,
    /// Where it was when the present input line began.
    pub canon_column: usize,
    /// By ^S or TCXONC.
    pub stopped: bool,
}

impl Screen {
    /// Bytes to show.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Has it room for more?
    pub fn has_room(&self) -> bool {
        !self.stopped && self.ready.len() < OUTPUT_SIZE
    }

    /// Takes bytes to show.
    pub fn take(&mut self, buf: &mut [u8]) -> usize {
        let count = buf.len().min(self.ready.len());
        for (slot, byte) in buf.iter_mut().zip(self.ready.drain(..count)) {
            *slot = byte;
        }
        count
    }

    /// Forgets what has not been shown.
    pub fn flush(&mut self) {
        self.ready.clear();
        self.held.clear();
    }

    /// Goes on after a stop.
    pub fn start(&mut self) {
        self.stopped = false;
        self.ready.append(&mut self.held);
    }

    /// What a program writes. Returns how much was taken.
    pub fn write(&mut self, termios: &Termios, bytes: &[u8]) -> usize {
        if !termios.output().contains(Output::OPOST) {
            let room = if self.has_room() { OUTPUT_SIZE - self.ready.len() } else { 0 };
            let count = bytes.len().min(room);
            self.ready.extend(&bytes[..count]);
            return count;
        }
        let mut count = 0;
        for byte in bytes {
            if !self.has_room() {
                break;
            }
            self.put(termios, *byte);
            count += 1;
        }
        count
    }

    /// A byte of echo, with output processing.
    pub fn echo(&mut self, termios: &Termios, byte: u8) {
        if termios.output().contains(Output::OPOST) {
            self.put(termios, byte);
        } else {
            self.push(byte);
        }
    }

    /// A byte as it is.
    pub fn push(&mut self, byte: u8) {
        if self.stopped {
            if self.held.len() < HELD_SIZE {
                self.held.push_back(byte);
            }
        // Echoes are not waited for; a little beyond the limit is for those.
        } else if self.ready.len() < OUTPUT_SIZE + HELD_SIZE {
            self.ready.push_back(byte);
        }
    }

    /// A byte that is shown even while it is stopped.
    pub fn send(&mut self, byte: u8) {
        self.ready.push_back(byte);
    }

    /// A byte after OPOST.
    fn put(&mut self, termios: &Termios, byte: u8) {
        let flags = termios.output();
        match byte {
            b'\n' => {
                if flags.contains(Output::ONLRET) {
                    self.column = 0;
                }
                if flags.contains(Output::ONLCR) {
                    self.column = 0;
                    self.push(b'\r');
                }
                self.canon_column = self.column;
                self.push(b'\n');
            }
            b'\r' => {
                if flags.contains(Output::ONOCR) && self.column == 0 {
                    return;
                }
                let to_newline = flags.contains(Output::OCRNL);
                if !to_newline || flags.contains(Output::ONLRET) {
                    self.column = 0;
                    self.canon_column = 0;
                }
                self.push(if to_newline { b'\n' } else { b'\r' });
            }
            b'\t' => {
                let spaces = TAB - self.column % TAB;
                self.column += spaces;
                if flags.contains(Output::XTABS) {
                    (0..spaces).for_each(|_| self.push(b' '));
                } else {
                    self.push(b'\t');
                }
            }
            b'\x08' => {
                self.column = self.column.saturating_sub(1);
                self.push(byte);
            }
            _ => {
                let upper = flags.contains(Output::OLCUC);
                if !byte.is_ascii_control() && !is_continuation(termios, byte) {
                    self.column += 1;
                }
                self.push(if upper { byte.to_ascii_uppercase() } else { byte });
            }
        }
    }
}

/// Not the first byte of a character of UTF-8.
pub(super) fn is_continuation(termios: &Termios, byte: u8) -> bool {
    termios.input().contains(Input::IUTF8) && byte & 0xc0 == 0x80
}
