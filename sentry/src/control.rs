//! What the front end and the sentry say to each other, over a stream socket.
//!
//! A message is its length in four bytes, little-endian, and as many bytes of
//! [postcard](https://docs.rs/postcard). Both ends are the same program, so the format needs no
//! versions; but neither trusts the other: lengths are bounded, and bytes that are no message are
//! an error of the connection.

use crate::config::BootConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::time::Duration;

/// The longest message. The first one carries arguments and environment, of which Linux takes
/// 6 MiB at the most.
const MAX_MESSAGE: usize = 64 << 20;

/// From the front end to the sentry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSentry {
    /// The first message: what to run.
    Boot(Box<BootConfig>),
    /// A signal for the guest.
    Signal(i32),
    /// The terminal has a new size.
    Resize,
}

/// From the sentry to the front end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromSentry {
    /// The guest's first process runs.
    Started(Vec<Phase>),
    /// The guest's first process is gone, and so is the guest.
    Exited(Status),
    /// The guest could not be started, or not be kept running.
    Failed {
        /// Exit status of the command.
        code: u8,
        /// What was wrong, and what to do about it.
        message: String,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It exited with this status.
    Exited(u8),
    /// A signal killed it.
    Signaled(u8),
}

impl Status {
    /// The status as a shell has it: 128+N for signal N.
    pub fn shell_code(self) -> u8 {
        match self {
            Status::Exited(code) => code,
            Status::Signaled(signal) => 128 | signal,
        }
    }
}

/// How long a part of starting up took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub took: Duration,
}

/// Sends a message whole.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = postcard::to_stdvec(message).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_MESSAGE);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Waits for a message. `None` at the end of the conversation.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        // A peer that dies with something unread in its queue shows as a reset.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Grows with what arrives, not with what was announced.
    let mut body = Vec::new();
    from.by_ref().take(length as u64).read_to_end(&mut body)?;
    if body.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&body)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Collects messages from a peer that may stop in the middle of one: never waits.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    at_end: bool,
}

/// The longest message that an [`Inbox`] takes.
const MAX_ANSWER: usize = 64 << 10;

impl Inbox {
    /// Takes what has arrived on a non-blocking stream.
    pub fn fill(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut buffer = [0; 4096];
        // A peer that sends faster than this reads gets another turn later.
        while !self.at_end && self.bytes.len() <= MAX_ANSWER {
            match from.read(&mut buffer) {
                Ok(0) => self.at_end = true,
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionReset => self.at_end = true,
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// The next message, if it is there whole.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_ANSWER {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = postcard::from_bytes(body)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }

    /// Will nothing more arrive?
    pub fn is_at_end(&self) -> bool {
        self.at_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &impl Serialize) -> Vec<u8> {
        let mut frame = Vec::new();
        send(&mut frame, message).unwrap();
        frame
    }

    #[test]
    fn a_message_arrives_as_it_was_sent() {
        let sent = FromSentry::Started(vec![Phase {
            name: "memory".into(),
            took: Duration::from_micros(7),
        }]);
        let bytes = frame(&sent);
        assert_eq!(receive::<FromSentry>(&mut &bytes[..]).unwrap(), Some(sent));
    }

    #[test]
    fn the_end_is_no_error_between_messages_only() {
        let bytes = frame(&ToSentry::Signal(15));
        assert_eq!(receive::<ToSentry>(&mut &b""[..]).unwrap(), None);
        assert!(receive::<ToSentry>(&mut &bytes[..5]).is_err());
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [&[0xff; 4][..], &[1, 0, 0, 0, 9], &[3, 0, 0, 0, 2, 0xff, 0xff]] {
            assert!(receive::<FromSentry>(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn signals_show_as_in_a_shell() {
        assert_eq!(Status::Exited(7).shell_code(), 7);
        assert_eq!(Status::Signaled(9).shell_code(), 137);
    }

    /// Gives its chunks one by one, and then would block.
    struct Chunks(Vec<Vec<u8>>);

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            (&self.0.remove(0)[..]).read(buffer)
        }
    }

    #[test]
    fn an_inbox_puts_pieces_together() {
        let bytes = [frame(&ToSentry::Resize), frame(&ToSentry::Signal(2))].concat();
        let mut inbox = Inbox::default();
        let mut seen = Vec::new();
        for byte in bytes {
            inbox.fill(&mut Chunks(vec![vec![byte]])).unwrap();
            seen.extend(inbox.take::<ToSentry>().unwrap());
        }
        assert_eq!(seen, [ToSentry::Resize, ToSentry::Signal(2)]);
        assert!(!inbox.is_at_end());
        inbox.fill(&mut io::empty()).unwrap();
        assert!(inbox.is_at_end());
    }

    #[test]
    fn an_inbox_refuses_what_is_too_long() {
        let mut inbox = Inbox::default();
        inbox.fill(&mut Chunks(vec![vec![0xff; 4]])).unwrap();
        assert!(inbox.take::<FromSentry>().is_err());
    }
}
