//! The encoding: integers, bounded byte strings, validated names.

use super::{MAX_MESSAGE, MAX_NAME};
use crate::errno::Errno;

/// A message that cannot be decoded, and what was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed message: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// One component of a path: 1 to 255 bytes, no `/`, no NUL, neither `.` nor `..`.
///
/// Only this type reaches the server's file calls, so none of them can be asked to go upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks a component. ENAMETOOLONG if it is too long, EINVAL if it is no plain name.
    pub fn new(bytes: &'a [u8]) -> Result<Name<'a>, Errno> {
        if bytes.len() > MAX_NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        let plain = !matches!(bytes, b"" | b"." | b"..")
            && !bytes.iter().any(|byte| matches!(byte, b'/' | 0));
        if plain { Ok(Name(bytes)) } else { Err(Errno::EINVAL) }
    }

    /// The bytes of the name.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The name of an extended attribute: 1 to 255 bytes, no NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XattrName<'a>(&'a [u8]);

impl<'a> XattrName<'a> {
    /// Checks a name. ERANGE if it is empty or too long, as Linux has it, EINVAL if it holds a NUL.
    pub fn new(bytes: &'a [u8]) -> Result<XattrName<'a>, Errno> {
        if bytes.is_empty() || bytes.len() > MAX_NAME {
            return Err(Errno::ERANGE);
        }
        if bytes.contains(&0) { Err(Errno::EINVAL) } else { Ok(XattrName(bytes)) }
    }

    /// The bytes of the name.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Builds a message.
pub(crate) struct Encoder {
    buffer: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Encoder {
        Encoder { buffer: Vec::with_capacity(256) }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.buffer.extend_from_slice(&value.to_le_bytes());
    }

    /// A sequence's length. One that does not fit makes a message too long to be sent.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// A name; its type bounds the length.
    pub(crate) fn name(&mut self, bytes: &[u8]) {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.buffer.extend_from_slice(bytes);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Encoder, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            encode(self, value);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The message, unless it is longer than a message may be.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Malformed> {
        if self.buffer.len() > MAX_MESSAGE {
            return Err(Malformed("longer than a message may be"));
        }
        Ok(self.buffer)
    }
}

type Decoded<T> = Result<T, Malformed>;

/// Takes a message apart. Every method checks what is left before it takes it.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Decoder<'a> {
        Decoder { rest: message }
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, length: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Decoded<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a truth value that is neither 0 nor 1")),
        }
    }

    /// At most `max` bytes.
    pub(crate) fn bytes(&mut self, max: usize) -> Decoded<&'a [u8]> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > max {
            return Err(Malformed("a byte string over its bound"));
        }
        self.take(length)
    }

    pub(crate) fn name(&mut self) -> Decoded<Name<'a>> {
        let length = usize::from(self.u16()?);
        Name::new(self.take(length)?).map_err(|_| Malformed("not a plain file name"))
    }

    pub(crate) fn xattr_name(&mut self) -> Decoded<XattrName<'a>> {
        let length = usize::from(self.u16()?);
        XattrName::new(self.take(length)?).map_err(|_| Malformed("not an attribute name"))
    }

    /// The target of a symbolic link: not empty, no NUL.
    pub(crate) fn target(&mut self, max: usize) -> Decoded<&'a [u8]> {
        let target = self.bytes(max)?;
        if target.is_empty() || target.contains(&0) {
            return Err(Malformed("not a symbolic link's target"));
        }
        Ok(target)
    }

    pub(crate) fn option<T>(
        &mut self,
        decode: impl FnOnce(&mut Decoder<'a>) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        if self.bool()? { decode(self).map(Some) } else { Ok(None) }
    }

    /// A sequence of at most `max` elements. Grows as elements arrive, so that a count alone
    /// reserves no memory.
    pub(crate) fn sequence<T>(
        &mut self,
        max: usize,
        mut decode: impl FnMut(&mut Decoder<'a>) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > max {
            return Err(Malformed("a sequence over its bound"));
        }
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(decode(self)?);
        }
        Ok(elements)
    }

    pub(crate) fn finish(self) -> Decoded<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes after the last field")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_components() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", b"../x"] {
            assert_eq!(Name::new(bad), Err(Errno::EINVAL), "{bad:?}");
        }
        assert_eq!(Name::new(&[b'a'; 256]), Err(Errno::ENAMETOOLONG));
        for good in [&b"a"[..], b"...", b"..a", b" ", b"\xff", &[b'a'; 255]] {
            assert!(Name::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_large_count_alone_is_refused() {
        let message = u32::MAX.to_le_bytes();
        assert!(Decoder::new(&message).bytes(100).is_err());
        assert!(Decoder::new(&message).sequence(100, |d| d.u8()).is_err());
        assert!(Decoder::new(&100u32.to_le_bytes()).sequence(100, |d| d.u8()).is_err());
    }
}
