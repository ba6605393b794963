//! What the gofer can answer.

use super::wire::{Decoder, Encoder, Malformed};
use super::{
    Attr, FileType, MAX_INLINE_TARGET, MAX_MESSAGE, MAX_ROOTS, MAX_TARGET, MAX_WALK, MAX_XATTR,
    NodeId, StatFs,
};
use crate::errno::Errno;

/// A root, as the sentry learns of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootInfo {
    /// The number that whoever started the gofer gave it.
    pub id: u32,
    /// Its node.
    pub node: NodeId,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whether somebody else may change the tree, so that what was learned must be revalidated.
    pub shared: bool,
    /// Its attributes; a directory's, or a file's for a bind mount of a file.
    pub attr: Attr,
}

/// The answer to `Hello`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloReply {
    /// The gofer's protocol version.
    pub version: u32,
    /// The roots.
    pub roots: Vec<RootInfo>,
}

/// One component of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkedNode {
    /// The node; one reference more is owed for it.
    pub node: NodeId,
    /// Its attributes.
    pub attr: Attr,
}

/// Why a walk ended where it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkStop {
    /// All names were found.
    Done,
    /// The next name does not exist.
    Missing,
    /// The last node is a symbolic link, and names are left.
    Symlink,
    /// The last node is neither a directory nor a symbolic link, and names are left.
    NotDirectory,
    /// The next name could not be looked up.
    Failed(Errno),
}

/// The answer to `Walk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkReply {
    /// What was found, in order.
    pub nodes: Vec<WalkedNode>,
    /// Why it is not more.
    pub stop: WalkStop,
    /// Where the last node points to, if it is a symbolic link.
    pub target: Option<Vec<u8>>,
    /// Whether the last could be opened, if that was asked and the walk was done. If so, the fd
    /// comes with the message.
    pub open: Option<Result<(), Errno>>,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: Vec<u8>,
    /// The inode number, as in the directory (for a mount point: of what is under the mount).
    pub ino: u64,
    /// The type, as in the directory.
    pub file_type: FileType,
    /// Where the directory goes on after this entry.
    pub next: u64,
    /// The attributes, unless the host refused them.
    pub attr: Option<Attr>,
    /// Where it points to, if it is a symbolic link and that is short.
    pub target: Option<Vec<u8>>,
}

/// The answer to `ReadDir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Entries, without `.` and `..`.
    pub entries: Vec<DirEntry>,
    /// The cookie of the rest, if there is a rest.
    pub next: Option<u64>,
}

/// A successful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `Hello`.
    Hello(HelloReply),
    /// To `Walk`. With an fd if `open` is `Some(Ok)`.
    Walk(WalkReply),
    /// To `ReadDir`.
    Listing(Listing),
    /// To `Open`. With an fd.
    Opened(Attr),
    /// To `Stat` and `SetAttr`.
    Attr(Attr),
    /// To `Mkdir`, `Symlink`, `Mknod` and `Link`.
    Node(WalkedNode),
    /// To `Create`. With an fd.
    Created(WalkedNode),
    /// To `ReadLink`.
    Target(Vec<u8>),
    /// To what has nothing else to say.
    Done,
    /// To `StatFs`.
    StatFs(StatFs),
    /// To `GetXattr`.
    Xattr(Vec<u8>),
    /// To `ListXattr`.
    XattrNames(Vec<Vec<u8>>),
}

impl Reply {
    /// Whether an fd belongs to this answer.
    pub fn has_fd(&self) -> bool {
        match self {
            Reply::Walk(walk) => matches!(walk.open, Some(Ok(()))),
            Reply::Opened(_) | Reply::Created(_) => true,
            _ => false,
        }
    }
}

/// The message for an answer. Fails only if it would be longer than a message may be.
pub fn encode_response(id: u64, result: &Result<Reply, Errno>) -> Result<Vec<u8>, Malformed> {
    let mut to = Encoder::new();
    to.u64(id);
    let reply = match result {
        Ok(reply) => reply,
        Err(errno) => {
            to.u16(0);
            encode_errno(&mut to, *errno);
            return to.finish();
        }
    };
    match reply {
        Reply::Hello(hello) => {
            to.u16(1);
            to.u32(hello.version);
            to.count(hello.roots.len());
            hello.roots.iter().for_each(|root| root.encode(&mut to));
        }
        Reply::Walk(walk) => {
            to.u16(2);
            walk.encode(&mut to);
        }
        Reply::Listing(listing) => {
            to.u16(3);
            to.option(listing.next, |to, cookie| to.u64(cookie));
            to.count(listing.entries.len());
            listing.entries.iter().for_each(|entry| entry.encode(&mut to));
        }
        Reply::Opened(attr) => {
            to.u16(4);
            attr.encode(&mut to);
        }
        Reply::Attr(attr) => {
            to.u16(5);
            attr.encode(&mut to);
        }
        Reply::Node(node) => {
            to.u16(6);
            node.encode(&mut to);
        }
        Reply::Created(node) => {
            to.u16(7);
            node.encode(&mut to);
        }
        Reply::Target(target) => {
            to.u16(8);
            to.bytes(target);
        }
        Reply::Done => to.u16(9),
        Reply::StatFs(statfs) => {
            to.u16(10);
            statfs.encode(&mut to);
        }
        Reply::Xattr(value) => {
            to.u16(11);
            to.bytes(value);
        }
        Reply::XattrNames(names) => {
            to.u16(12);
            to.count(names.len());
            names.iter().for_each(|name| to.name(name));
        }
    }
    to.finish()
}

/// An answer taken apart: the id of its request, and the result.
pub type Response = (u64, Result<Reply, Errno>);

/// Takes an answer apart. Whatever the bytes, the result obeys all bounds or is an error.
pub fn decode_response(message: &[u8]) -> Result<Response, Malformed> {
    let mut from = Decoder::new(message);
    let id = from.u64()?;
    let result = match from.u16()? {
        0 => Err(decode_errno(&mut from)?),
        kind => Ok(decode_reply(kind, &mut from)?),
    };
    from.finish()?;
    Ok((id, result))
}

fn decode_reply(kind: u16, from: &mut Decoder<'_>) -> Result<Reply, Malformed> {
    // The length of the message bounds sequences whose elements have no bound of their own.
    Ok(match kind {
        1 => Reply::Hello(HelloReply {
            version: from.u32()?,
            roots: from.sequence(MAX_ROOTS, RootInfo::decode)?,
        }),
        2 => Reply::Walk(WalkReply::decode(from)?),
        3 => Reply::Listing(Listing {
            next: from.option(Decoder::u64)?,
            entries: from.sequence(MAX_MESSAGE, DirEntry::decode)?,
        }),
        4 => Reply::Opened(Attr::decode(from)?),
        5 => Reply::Attr(Attr::decode(from)?),
        6 => Reply::Node(WalkedNode::decode(from)?),
        7 => Reply::Created(WalkedNode::decode(from)?),
        8 => Reply::Target(from.target(MAX_TARGET)?.to_vec()),
        9 => Reply::Done,
        10 => Reply::StatFs(StatFs::decode(from)?),
        11 => Reply::Xattr(from.bytes(MAX_XATTR)?.to_vec()),
        12 => Reply::XattrNames(
            from.sequence(MAX_MESSAGE, |from| Ok(from.xattr_name()?.as_bytes().to_vec()))?,
        ),
        _ => return Err(Malformed("unknown kind of answer")),
    })
}

fn encode_errno(to: &mut Encoder, errno: Errno) {
    to.u16(u16::try_from(errno.raw()).unwrap_or(0));
}

fn decode_errno(from: &mut Decoder<'_>) -> Result<Errno, Malformed> {
    let number = i32::from(from.u16()?);
    let errno = Errno::from_raw(number);
    if errno.raw() == number { Ok(errno) } else { Err(Malformed("not an error number")) }
}

impl RootInfo {
    fn encode(&self, to: &mut Encoder) {
        to.u32(self.id);
        to.u64(self.node.0);
        to.u8(u8::from(self.read_only));
        to.u8(u8::from(self.shared));
        self.attr.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<RootInfo, Malformed> {
        Ok(RootInfo {
            id: from.u32()?,
            node: NodeId(from.u64()?),
            read_only: from.bool()?,
            shared: from.bool()?,
            attr: Attr::decode(from)?,
        })
    }
}

impl WalkedNode {
    fn encode(&self, to: &mut Encoder) {
        to.u64(self.node.0);
        self.attr.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<WalkedNode, Malformed> {
        Ok(WalkedNode { node: NodeId(from.u64()?), attr: Attr::decode(from)? })
    }
}

impl WalkReply {
    fn encode(&self, to: &mut Encoder) {
        to.count(self.nodes.len());
        self.nodes.iter().for_each(|node| node.encode(to));
        match self.stop {
            WalkStop::Done => to.u8(0),
            WalkStop::Missing => to.u8(1),
            WalkStop::Symlink => to.u8(2),
            WalkStop::NotDirectory => to.u8(3),
            WalkStop::Failed(errno) => {
                to.u8(4);
                encode_errno(to, errno);
            }
        }
        to.option(self.target.as_deref(), Encoder::bytes);
        to.option(self.open, |to, result| {
            to.option(result.err(), encode_errno);
        });
    }

    fn decode(from: &mut Decoder<'_>) -> Result<WalkReply, Malformed> {
        Ok(WalkReply {
            nodes: from.sequence(MAX_WALK, WalkedNode::decode)?,
            stop: match from.u8()? {
                0 => WalkStop::Done,
                1 => WalkStop::Missing,
                2 => WalkStop::Symlink,
                3 => WalkStop::NotDirectory,
                4 => WalkStop::Failed(decode_errno(from)?),
                _ => return Err(Malformed("unknown end of a walk")),
            },
            target: from.option(|from| Ok(from.target(MAX_TARGET)?.to_vec()))?,
            open: from.option(|from| {
                Ok(match from.option(decode_errno)? {
                    None => Ok(()),
                    Some(errno) => Err(errno),
                })
            })?,
        })
    }
}

impl DirEntry {
    /// How many bytes the entry takes in a message, at most.
    pub fn encoded_len(&self) -> usize {
        // Fixed fields take 151 bytes.
        160 + self.name.len() + self.target.as_ref().map_or(0, Vec::len)
    }

    fn encode(&self, to: &mut Encoder) {
        let start = to.len();
        to.name(&self.name);
        to.u64(self.ino);
        to.u8(self.file_type.to_dirent());
        to.u64(self.next);
        to.option(self.attr.as_ref(), |to, attr| attr.encode(to));
        to.option(self.target.as_deref(), Encoder::bytes);
        debug_assert!(to.len() - start <= self.encoded_len());
    }

    fn decode(from: &mut Decoder<'_>) -> Result<DirEntry, Malformed> {
        Ok(DirEntry {
            name: from.name()?.as_bytes().to_vec(),
            ino: from.u64()?,
            file_type: FileType::from_dirent(from.u8()?),
            next: from.u64()?,
            attr: from.option(Attr::decode)?,
            target: from.option(|from| Ok(from.target(MAX_INLINE_TARGET)?.to_vec()))?,
        })
    }
}
