//! The bytes in a pipe: a ring of pages, as Linux has it.
//!
//! The page is the unit of everything visible: a pipe of 16 pages is full when 16 of them are in
//! use, however little each holds; a small write goes into the room at the end of the last page or
//! needs a page of its own, which is what makes writes up to PIPE_BUF atomic.

use super::PIPE_BUF;
use std::collections::VecDeque;

/// A page of data.
struct Slot {
    /// Never longer than a page.
    data: Vec<u8>,
    /// What has been read already.
    start: usize,
    /// Written in packet mode: one read takes it whole, and nothing is added.
    is_packet: bool,
}

/// The ring.
pub(super) struct Buffer {
    slots: VecDeque<Slot>,
    max_slots: usize,
    /// One page that was emptied, kept for the next write.
    spare: Option<Vec<u8>>,
    len: usize,
}

impl Buffer {
    pub fn new(max_slots: usize) -> Buffer {
        Buffer { slots: VecDeque::new(), max_slots, spare: None, len: 0 }
    }

    /// Bytes to read.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// No page is free.
    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.max_slots
    }

    pub fn max_slots(&self) -> usize {
        self.max_slots
    }

    pub fn used_slots(&self) -> usize {
        self.slots.len()
    }

    /// Changes the size; the caller has checked that what is in use fits.
    pub fn set_max_slots(&mut self, max_slots: usize) {
        self.max_slots = max_slots;
    }

    /// Takes up to `out.len()` bytes, in packet mode at most one packet, of which the rest is lost.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len()
            && let Some(slot) = self.slots.front_mut()
        {
            let available = &slot.data[slot.start..];
            let count = available.len().min(out.len() - done);
            out[done..done + count].copy_from_slice(&available[..count]);
            done += count;
            slot.start += count;
            self.len -= count;
            let is_packet = slot.is_packet;
            if is_packet || slot.start == slot.data.len() {
                self.pop();
            }
            if is_packet {
                break;
            }
        }
        done
    }

    /// Copies what [`Buffer::read`] would take, and takes nothing.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let mut done = 0;
        for slot in &self.slots {
            let available = &slot.data[slot.start..];
            let count = available.len().min(out.len() - done);
            out[done..done + count].copy_from_slice(&available[..count]);
            done += count;
            if done == out.len() || slot.is_packet {
                break;
            }
        }
        done
    }

    fn pop(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.len -= slot.data.len() - slot.start;
            if slot.data.capacity() == PIPE_BUF {
                self.spare = Some(slot.data);
            }
        }
    }

    /// Adds as many of the bytes as there is room for; all or nothing up to PIPE_BUF.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        // The odd part of a page goes first, into the last page if it fits there whole: Linux's
        // rule, which leaves page-sized pieces page-aligned.
        let odd = bytes.len() % PIPE_BUF;
        if odd != 0
            && let Some(last) = self.slots.back_mut()
            && !last.is_packet
            && last.data.len() + odd <= PIPE_BUF
        {
            last.data.extend_from_slice(&bytes[..odd]);
            done = odd;
        }
        while done < bytes.len() && !self.is_full() {
            let count = (bytes.len() - done).min(PIPE_BUF);
            self.push(&bytes[done..done + count], false);
            done += count;
        }
        self.len += done;
        done
    }

    /// Adds the bytes as packets of up to PIPE_BUF each.
    pub fn write_packets(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() && !self.is_full() {
            let count = (bytes.len() - done).min(PIPE_BUF);
            self.push(&bytes[done..done + count], true);
            done += count;
        }
        self.len += done;
        done
    }

    fn push(&mut self, bytes: &[u8], is_packet: bool) {
        let mut data = self.spare.take().unwrap_or_else(|| Vec::with_capacity(PIPE_BUF));
        data.clear();
        data.extend_from_slice(bytes);
        self.slots.push_back(Slot { data, start: 0, is_packet });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_writes_share_a_page() {
        let mut buffer = Buffer::new(2);
        assert_eq!(buffer.write(b"abc"), 3);
        assert_eq!(buffer.write(b"def"), 3);
        assert_eq!(buffer.used_slots(), 1);
        let mut out = [0; 16];
        assert_eq!(buffer.read(&mut out), 6);
        assert_eq!(&out[..6], b"abcdef");
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_small_write_is_all_or_nothing() {
        let mut buffer = Buffer::new(1);
        assert_eq!(buffer.write(&[1; 4000]), 4000);
        assert_eq!(buffer.write(&[2; 97]), 0);
        assert_eq!(buffer.write(&[2; 96]), 96);
        assert!(buffer.is_full());
    }

    #[test]
    fn a_large_write_is_taken_in_part() {
        let mut buffer = Buffer::new(2);
        assert_eq!(buffer.write(&[1; 10_000]), 8192);
        let mut out = [0; 8192];
        assert_eq!(buffer.read(&mut out), 8192);
        assert_eq!(buffer.len(), 0);
    }

    #[test]
    fn packets_keep_their_borders_and_lose_their_tails() {
        let mut buffer = Buffer::new(4);
        buffer.write_packets(b"first");
        buffer.write_packets(b"second");
        let mut out = [0; 3];
        assert_eq!(buffer.read(&mut out), 3);
        assert_eq!(&out, b"fir");
        let mut out = [0; 32];
        assert_eq!(buffer.read(&mut out), 6);
        assert_eq!(buffer.len(), 0);
    }
}
