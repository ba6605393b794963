//! What the sentry and the gofer say to each other.
//!
//! The transport is one `SOCK_SEQPACKET` unix socket, so a message is one packet of at most
//! [`MAX_MESSAGE`] bytes and needs no framing. All integers are little-endian. A sequence is a
//! count followed by its elements; bytes are a 32-bit length and the bytes, a name a 16-bit length
//! and the bytes.
//!
//! ```text
//! request    id: u64   opcode: u16   body                     sentry -> gofer
//! response   id: u64   kind:   u16   body   [one fd]          gofer -> sentry
//! ```
//!
//! * The first request is [`Request::Hello`], with [`MAGIC`] and [`VERSION`]; its answer lists the
//!   roots. Both sides come from one build, so versions must be equal.
//! * Requests are answered in any order; the id, chosen by the client, says which. A response of
//!   kind 0 is an error and carries an errno. [`Request::Forget`] is never answered.
//! * At most one fd accompanies a response: a regular file that was opened.
//! * A **node** is the gofer's number for a file or directory that the sentry has walked to. Each
//!   time a node appears in an answer the sentry owes one reference, paid back by `Forget`. The
//!   same name in the same directory gives the same node while it leads to the same inode. A root
//!   node is never forgotten.
//! * Inside, a directory's node is an `O_PATH` fd (kept or reopened), any other node is a directory
//!   and a name. A node whose name leads elsewhere now answers ESTALE; the sentry walks again.
//! * [`Request::ReadDir`] creates no nodes: it is for looking, and a tree of 100,000 files can be
//!   looked at without the gofer remembering any of them.
//!
//! Both decoders are written for a hostile peer: each length is checked against what is left of
//! the message and against its own bound, names are validated as they are read, flags must be
//! known, and nothing may follow the last field.

mod attr;
mod request;
mod response;
mod wire;

pub use attr::{Attr, Device, FileType, OpenFlags, StatFs, Timestamp};
pub use request::{
    Forgotten, Owner, RenameFlags, Request, SetAttr, SetTime, WalkFlags, XattrFlags,
};
pub use response::{
    DirEntry, HelloReply, Listing, Reply, Response, RootInfo, WalkReply, WalkStop, WalkedNode,
    decode_response, encode_response,
};
pub use wire::{Malformed, Name, XattrName};

/// The first bytes of the first request: "gofr".
pub const MAGIC: u32 = 0x7266_6f67;
/// The version of this protocol. Peers of another version are refused.
pub const VERSION: u32 = 1;
/// The largest message, in bytes. Holds one extended attribute of the largest size Linux has.
pub const MAX_MESSAGE: usize = 68 * 1024;
/// The most components in one walk. The client splits longer ones.
pub const MAX_WALK: usize = 128;
/// The most nodes in one `Forget`.
pub const MAX_FORGET: usize = 1024;
/// The longest file name, as Linux's `NAME_MAX`.
pub const MAX_NAME: usize = 255;
/// The longest symbolic link, without its NUL; Linux's `PATH_MAX` less one.
pub const MAX_TARGET: usize = 4095;
/// A symbolic link of at most this many bytes comes with its directory entry.
pub const MAX_INLINE_TARGET: usize = 256;
/// The largest value of an extended attribute (`XATTR_SIZE_MAX`).
pub const MAX_XATTR: usize = 65536;
/// The most roots a gofer can be given.
pub const MAX_ROOTS: usize = 512;

/// The gofer's number for a file. Never reused during a connection; 0 is no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl NodeId {
    /// No node: what a walk with [`WalkFlags::ATTR_ONLY`] gives.
    pub const NONE: NodeId = NodeId(0);
}
