//! Files whose text is made when it is read.
//!
//! A read at the start makes the text; reads further on give the rest of the same text, so that
//! lines are never torn. What open files hold in this way is bounded over the whole sandbox: where
//! it is too much, a text is made anew for each read.

use super::{Flavor, set_attr};
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use vfs::{Attr, Credentials, FileOps, Inode, InodeRef, OpenFile, SetAttr};

/// No text is longer: what would be is cut after a line.
pub(crate) const MAX_TEXT: usize = 16 << 20;

/// The longest write that is looked at (Linux: a page).
const MAX_STORE: usize = abi::PAGE_SIZE as usize;

/// What a file shows.
pub(crate) trait Text: Send + Sync + 'static {
    /// Of which file system it is.
    fn flavor(&self) -> Flavor;

    /// Its attributes.
    fn attr(&self) -> SysResult<Attr>;

    /// May the current task open it, beyond what the mode says?
    fn check_open(&self) -> SysResult<()> {
        Ok(())
    }

    /// The text now.
    fn generate(&self) -> SysResult<Vec<u8>>;

    /// A write of the current task's.
    fn store(&self, data: &[u8]) -> SysResult<()>;

    /// As [`Inode::permission`].
    fn permission(&self, cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        let _ = (cred, mask);
        None
    }
}

/// The inode of a [`Text`].
pub(crate) struct TextInode<T>(Arc<T>);

impl<T: Text> TextInode<T> {
    /// A new one.
    pub fn make(text: T) -> InodeRef {
        Arc::new(TextInode(Arc::new(text)))
    }
}

impl<T: Text> Inode for TextInode<T> {
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    fn attr(&self) -> SysResult<Attr> {
        self.0.attr()
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        set_attr(change)
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        self.0.check_open()?;
        Ok(Arc::new(OpenText { text: self.0.clone(), held: Mutex::new(None) }))
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.0.flavor().statfs())
    }

    fn permission(&self, cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        self.0.permission(cred, mask)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open file, with the text it is in the middle of.
struct OpenText<T> {
    text: Arc<T>,
    held: Mutex<Option<Held>>,
}

/// Bytes in all [`Held`] texts.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What [`HELD`] may be.
const MAX_HELD: usize = 64 << 20;

/// A text that is kept, and counted.
struct Held(Vec<u8>);

impl Held {
    /// None where too much is held already.
    fn new(text: Vec<u8>) -> Result<Held, Vec<u8>> {
        let held = HELD.fetch_add(text.len(), Ordering::Relaxed);
        if held + text.len() > MAX_HELD {
            HELD.fetch_sub(text.len(), Ordering::Relaxed);
            return Err(text);
        }
        Ok(Held(text))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

/// Copies what `text` has at `offset`.
fn copy_at(text: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..)).unwrap_or_default();
    let count = rest.len().min(buf.len());
    buf[..count].copy_from_slice(&rest[..count]);
    count
}

impl<T: Text> FileOps for OpenText<T> {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        if offset != 0
            && let Some(held) = &*self.held.lock()
        {
            return Ok(copy_at(&held.0, offset, buf));
        }
        let text = self.text.generate()?;
        let count = copy_at(&text, offset, buf);
        let old = match Held::new(text) {
            Ok(held) => self.held.lock().replace(held),
            Err(_) => self.held.lock().take(),
        };
        drop(old);
        Ok(count)
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        if buf.len() > MAX_STORE {
            return Err(Errno::EINVAL);
        }
        self.text.store(buf)?;
        Ok(buf.len())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Cuts a text that has become too long after its last whole line. False: no more is wanted.
pub(crate) fn has_room(text: &mut Vec<u8>) -> bool {
    if text.len() <= MAX_TEXT {
        return true;
    }
    text.truncate(MAX_TEXT);
    let end = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    text.truncate(end);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_the_part_asked_for() {
        let mut buf = [0; 3];
        assert_eq!(copy_at(b"hello", 0, &mut buf), 3);
        assert_eq!((copy_at(b"hello", 3, &mut buf), &buf[..2]), (2, &b"lo"[..]));
        assert_eq!(copy_at(b"hello", 5, &mut buf), 0);
        assert_eq!(copy_at(b"hello", u64::MAX, &mut buf), 0);
    }

    #[test]
    fn long_texts_end_with_a_whole_line() {
        let mut text = b"short\n".to_vec();
        assert!(has_room(&mut text));
        text.resize(MAX_TEXT + 1, b'x');
        assert!(!has_room(&mut text));
        assert_eq!(text, b"short\n");
    }

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let before = HELD.load(Ordering::Relaxed);
        let first = Held::new(vec![0; 40 << 20]).ok();
        assert!(first.is_some());
        assert!(Held::new(vec![0; 40 << 20]).is_err());
        drop(first);
        assert_eq!(HELD.load(Ordering::Relaxed), before);
    }
}
