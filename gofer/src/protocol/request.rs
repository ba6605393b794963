//! What the sentry can ask.

use super::wire::{Decoder, Encoder, Malformed};
use super::{
    MAGIC, MAX_FORGET, MAX_TARGET, MAX_WALK, MAX_XATTR, Name, NodeId, OpenFlags, Timestamp,
    XattrName,
};

/// The owner that a new file gets; `None` leaves what the host chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// What to do with a timestamp. See `utimensat(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it (`UTIME_OMIT`).
    #[default]
    Omit,
    /// The host's present (`UTIME_NOW`).
    Now,
    /// This time.
    To(Timestamp),
}

/// Attributes to change; the rest stays. Applied in the order size, owner, mode, times, so that
/// the set-id bits asked for survive the change of owner; not atomic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Permissions, with set-id and sticky bits (`07777`).
    pub mode: Option<u32>,
    /// Owner.
    pub owner: Owner,
    /// Length in bytes; regular files only.
    pub size: Option<u64>,
    /// Last access.
    pub atime: SetTime,
    /// Last change of the data.
    pub mtime: SetTime,
}

bitflags::bitflags! {
    /// How to rename. See `renameat2(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// Fail with EEXIST rather than replace.
        const NOREPLACE = 1;
        /// Exchange the two.
        const EXCHANGE = 2;
    }

    /// How to set an extended attribute. See `setxattr(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct XattrFlags: u32 {
        /// Fail with EEXIST if it is there.
        const CREATE = 1;
        /// Fail with ENODATA if it is not there.
        const REPLACE = 2;
    }

    /// How to walk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct WalkFlags: u32 {
        /// Give attributes only, no nodes, so that there is nothing to forget: for revalidation.
        const ATTR_ONLY = 1;
    }
}

/// References to a node that the sentry gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The node.
    pub node: NodeId,
    /// How many references.
    pub count: u64,
}

/// A request. Byte strings are borrowed from the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the call that each variant names")]
pub enum Request<'a> {
    /// Opens the conversation.
    Hello { version: u32 },
    /// Looks names up one beneath the other; stops at what is missing or no directory. Opens the
    /// last, if all were found and it is a regular file.
    Walk { start: NodeId, names: Vec<Name<'a>>, flags: WalkFlags, open: Option<OpenFlags> },
    /// Entries of a directory with their attributes, from where an earlier answer ended (or 0).
    ReadDir { node: NodeId, cookie: u64 },
    /// Opens a regular file.
    Open { node: NodeId, flags: OpenFlags },
    /// `statx(2)`
    Stat { node: NodeId },
    /// `readlink(2)`
    ReadLink { node: NodeId },
    /// `chmod(2)`, `chown(2)`, `truncate(2)`, `utimensat(2)`
    SetAttr { node: NodeId, set: SetAttr },
    /// Creates a regular file that must not exist, and opens it.
    Create { parent: NodeId, name: Name<'a>, mode: u32, owner: Owner, flags: OpenFlags },
    /// `mkdir(2)`
    Mkdir { parent: NodeId, name: Name<'a>, mode: u32, owner: Owner },
    /// `symlink(2)`
    Symlink { parent: NodeId, name: Name<'a>, target: &'a [u8], owner: Owner },
    /// `mknod(2)`, for FIFOs and regular files only.
    Mknod { parent: NodeId, name: Name<'a>, mode: u32, owner: Owner },
    /// `link(2)`
    Link { node: NodeId, parent: NodeId, name: Name<'a> },
    /// `unlink(2)`, or `rmdir(2)` if `directory`.
    Unlink { parent: NodeId, name: Name<'a>, directory: bool },
    /// `renameat2(2)`
    Rename {
        old_parent: NodeId,
        old_name: Name<'a>,
        new_parent: NodeId,
        new_name: Name<'a>,
        flags: RenameFlags,
    },
    /// `statfs(2)`
    StatFs { node: NodeId },
    /// `fsync(2)`
    Fsync { node: NodeId },
    /// `getxattr(2)`: `user.*` and `security.capability` only.
    GetXattr { node: NodeId, name: XattrName<'a> },
    /// `setxattr(2)`: `user.*` only.
    SetXattr { node: NodeId, name: XattrName<'a>, value: &'a [u8], flags: XattrFlags },
    /// `listxattr(2)`: those that `GetXattr` would give.
    ListXattr { node: NodeId },
    /// `removexattr(2)`: `user.*` only.
    RemoveXattr { node: NodeId, name: XattrName<'a> },
    /// Gives references back. Never answered.
    Forget { nodes: Vec<Forgotten> },
}

impl<'a> Request<'a> {
    /// Whether the request could change the host's files: a read-only root answers EROFS.
    ///
    /// Without a catch-all, so that a new request has to say.
    pub fn is_change(&self) -> bool {
        match self {
            Request::Hello { .. }
            | Request::ReadDir { .. }
            | Request::Stat { .. }
            | Request::ReadLink { .. }
            | Request::StatFs { .. }
            | Request::Fsync { .. }
            | Request::GetXattr { .. }
            | Request::ListXattr { .. }
            | Request::Forget { .. } => false,
            Request::Walk { open, .. } => open.is_some_and(OpenFlags::is_change),
            Request::Open { flags, .. } => flags.is_change(),
            Request::SetAttr { .. }
            | Request::Create { .. }
            | Request::Mkdir { .. }
            | Request::Symlink { .. }
            | Request::Mknod { .. }
            | Request::Link { .. }
            | Request::Unlink { .. }
            | Request::Rename { .. }
            | Request::SetXattr { .. }
            | Request::RemoveXattr { .. } => true,
        }
    }

    /// The nodes that the request is about. Two only where one name is to appear elsewhere.
    pub fn nodes(&self) -> (Option<NodeId>, Option<NodeId>) {
        match self {
            Request::Hello { .. } | Request::Forget { .. } => (None, None),
            Request::Walk { start: node, .. }
            | Request::ReadDir { node, .. }
            | Request::Open { node, .. }
            | Request::Stat { node }
            | Request::ReadLink { node }
            | Request::SetAttr { node, .. }
            | Request::StatFs { node }
            | Request::Fsync { node }
            | Request::GetXattr { node, .. }
            | Request::SetXattr { node, .. }
            | Request::ListXattr { node }
            | Request::RemoveXattr { node, .. }
            | Request::Create { parent: node, .. }
            | Request::Mkdir { parent: node, .. }
            | Request::Symlink { parent: node, .. }
            | Request::Mknod { parent: node, .. }
            | Request::Unlink { parent: node, .. } => (Some(*node), None),
            Request::Link { node, parent, .. } => (Some(*node), Some(*parent)),
            Request::Rename { old_parent, new_parent, .. } => {
                (Some(*old_parent), Some(*new_parent))
            }
        }
    }

    /// The message for this request. Fails only if it would be longer than a message may be.
    pub fn encode(&self, id: u64) -> Result<Vec<u8>, Malformed> {
        let mut to = Encoder::new();
        to.u64(id);
        to.u16(self.opcode());
        match self {
            Request::Hello { version } => {
                to.u32(MAGIC);
                to.u32(*version);
            }
            Request::Walk { start, names, flags, open } => {
                to.u64(start.0);
                to.u32(flags.bits());
                to.option(*open, |to, flags| to.u32(flags.bits()));
                to.count(names.len());
                names.iter().for_each(|name| to.name(name.as_bytes()));
            }
            Request::ReadDir { node, cookie } => {
                to.u64(node.0);
                to.u64(*cookie);
            }
            Request::Open { node, flags } => {
                to.u64(node.0);
                to.u32(flags.bits());
            }
            Request::Stat { node }
            | Request::ReadLink { node }
            | Request::StatFs { node }
            | Request::Fsync { node }
            | Request::ListXattr { node } => to.u64(node.0),
            Request::SetAttr { node, set } => {
                to.u64(node.0);
                set.encode(&mut to);
            }
            Request::Create { parent, name, mode, owner, flags } => {
                encode_new(&mut to, *parent, *name, *mode, *owner);
                to.u32(flags.bits());
            }
            Request::Mkdir { parent, name, mode, owner }
            | Request::Mknod { parent, name, mode, owner } => {
                encode_new(&mut to, *parent, *name, *mode, *owner);
            }
            Request::Symlink { parent, name, target, owner } => {
                to.u64(parent.0);
                to.name(name.as_bytes());
                owner.encode(&mut to);
                to.bytes(target);
            }
            Request::Link { node, parent, name } => {
                to.u64(node.0);
                to.u64(parent.0);
                to.name(name.as_bytes());
            }
            Request::Unlink { parent, name, directory } => {
                to.u64(parent.0);
                to.name(name.as_bytes());
                to.u8(u8::from(*directory));
            }
            Request::Rename { old_parent, old_name, new_parent, new_name, flags } => {
                to.u64(old_parent.0);
                to.name(old_name.as_bytes());
                to.u64(new_parent.0);
                to.name(new_name.as_bytes());
                to.u32(flags.bits());
            }
            Request::GetXattr { node, name } | Request::RemoveXattr { node, name } => {
                to.u64(node.0);
                to.name(name.as_bytes());
            }
            Request::SetXattr { node, name, value, flags } => {
                to.u64(node.0);
                to.name(name.as_bytes());
                to.u32(flags.bits());
                to.bytes(value);
            }
            Request::Forget { nodes } => {
                to.count(nodes.len());
                for forgotten in nodes {
                    to.u64(forgotten.node.0);
                    to.u64(forgotten.count);
                }
            }
        }
        to.finish()
    }

    fn opcode(&self) -> u16 {
        match self {
            Request::Hello { .. } => 1,
            Request::Walk { .. } => 2,
            Request::ReadDir { .. } => 3,
            Request::Open { .. } => 4,
            Request::Stat { .. } => 5,
            Request::ReadLink { .. } => 6,
            Request::SetAttr { .. } => 7,
            Request::Create { .. } => 8,
            Request::Mkdir { .. } => 9,
            Request::Symlink { .. } => 10,
            Request::Mknod { .. } => 11,
            Request::Link { .. } => 12,
            Request::Unlink { .. } => 13,
            Request::Rename { .. } => 14,
            Request::StatFs { .. } => 15,
            Request::Fsync { .. } => 16,
            Request::GetXattr { .. } => 17,
            Request::SetXattr { .. } => 18,
            Request::ListXattr { .. } => 19,
            Request::RemoveXattr { .. } => 20,
            Request::Forget { .. } => 21,
        }
    }

    /// The id of a message, if it is long enough to have one: enough to answer with an error.
    pub fn decode_id(message: &[u8]) -> Result<u64, Malformed> {
        Decoder::new(message).u64()
    }

    /// Takes a message apart. Whatever the bytes, the result is a request that obeys all bounds or
    /// an error.
    pub fn decode(message: &'a [u8]) -> Result<(u64, Request<'a>), Malformed> {
        let mut from = Decoder::new(message);
        let id = from.u64()?;
        let opcode = from.u16()?;
        let request = Self::decode_body(opcode, &mut from)?;
        from.finish()?;
        Ok((id, request))
    }

    fn decode_body(opcode: u16, from: &mut Decoder<'a>) -> Result<Request<'a>, Malformed> {
        Ok(match opcode {
            1 => {
                if from.u32()? != MAGIC {
                    return Err(Malformed("not this protocol"));
                }
                Request::Hello { version: from.u32()? }
            }
            2 => Request::Walk {
                start: NodeId(from.u64()?),
                flags: WalkFlags::from_bits(from.u32()?).ok_or(Malformed("unknown walk flags"))?,
                open: from.option(OpenFlags::decode)?,
                names: from.sequence(MAX_WALK, Decoder::name)?,
            },
            3 => Request::ReadDir { node: NodeId(from.u64()?), cookie: from.u64()? },
            4 => Request::Open { node: NodeId(from.u64()?), flags: OpenFlags::decode(from)? },
            5 => Request::Stat { node: NodeId(from.u64()?) },
            6 => Request::ReadLink { node: NodeId(from.u64()?) },
            7 => Request::SetAttr { node: NodeId(from.u64()?), set: SetAttr::decode(from)? },
            8 => {
                let (parent, name, mode, owner) = decode_new(from)?;
                Request::Create { parent, name, mode, owner, flags: OpenFlags::decode(from)? }
            }
            9 => {
                let (parent, name, mode, owner) = decode_new(from)?;
                Request::Mkdir { parent, name, mode, owner }
            }
            10 => Request::Symlink {
                parent: NodeId(from.u64()?),
                name: from.name()?,
                owner: Owner::decode(from)?,
                target: from.target(MAX_TARGET)?,
            },
            11 => {
                let (parent, name, mode, owner) = decode_new(from)?;
                Request::Mknod { parent, name, mode, owner }
            }
            12 => Request::Link {
                node: NodeId(from.u64()?),
                parent: NodeId(from.u64()?),
                name: from.name()?,
            },
            13 => Request::Unlink {
                parent: NodeId(from.u64()?),
                name: from.name()?,
                directory: from.bool()?,
            },
            14 => Request::Rename {
                old_parent: NodeId(from.u64()?),
                old_name: from.name()?,
                new_parent: NodeId(from.u64()?),
                new_name: from.name()?,
                flags: RenameFlags::from_bits(from.u32()?)
                    .ok_or(Malformed("unknown rename flags"))?,
            },
            15 => Request::StatFs { node: NodeId(from.u64()?) },
            16 => Request::Fsync { node: NodeId(from.u64()?) },
            17 => Request::GetXattr { node: NodeId(from.u64()?), name: from.xattr_name()? },
            18 => Request::SetXattr {
                node: NodeId(from.u64()?),
                name: from.xattr_name()?,
                flags: XattrFlags::from_bits(from.u32()?)
                    .ok_or(Malformed("unknown attribute flags"))?,
                value: from.bytes(MAX_XATTR)?,
            },
            19 => Request::ListXattr { node: NodeId(from.u64()?) },
            20 => Request::RemoveXattr { node: NodeId(from.u64()?), name: from.xattr_name()? },
            21 => Request::Forget {
                nodes: from.sequence(MAX_FORGET, |from| {
                    Ok(Forgotten { node: NodeId(from.u64()?), count: from.u64()? })
                })?,
            },
            _ => return Err(Malformed("unknown opcode")),
        })
    }
}

/// The fields that every creation with a mode has.
fn encode_new(to: &mut Encoder, parent: NodeId, name: Name<'_>, mode: u32, owner: Owner) {
    to.u64(parent.0);
    to.name(name.as_bytes());
    to.u32(mode);
    owner.encode(to);
}

fn decode_new<'a>(from: &mut Decoder<'a>) -> Result<(NodeId, Name<'a>, u32, Owner), Malformed> {
    Ok((NodeId(from.u64()?), from.name()?, from.u32()?, Owner::decode(from)?))
}

impl Owner {
    fn encode(self, to: &mut Encoder) {
        to.option(self.uid, |to, uid| to.u32(uid));
        to.option(self.gid, |to, gid| to.u32(gid));
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Owner, Malformed> {
        let owner = Owner { uid: from.option(Decoder::u32)?, gid: from.option(Decoder::u32)? };
        // -1 means "leave it" to chown(2); here that is said by None.
        if owner.uid == Some(u32::MAX) || owner.gid == Some(u32::MAX) {
            return Err(Malformed("an id that is no id"));
        }
        Ok(owner)
    }
}

impl SetTime {
    fn encode(self, to: &mut Encoder) {
        match self {
            SetTime::Omit => to.u8(0),
            SetTime::Now => to.u8(1),
            SetTime::To(time) => {
                to.u8(2);
                time.encode(to);
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<SetTime, Malformed> {
        match from.u8()? {
            0 => Ok(SetTime::Omit),
            1 => Ok(SetTime::Now),
            2 => Timestamp::decode(from).map(SetTime::To),
            _ => Err(Malformed("unknown way to set a time")),
        }
    }
}

impl SetAttr {
    fn encode(&self, to: &mut Encoder) {
        to.option(self.mode, |to, mode| to.u32(mode));
        self.owner.encode(to);
        to.option(self.size, |to, size| to.u64(size));
        self.atime.encode(to);
        self.mtime.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<SetAttr, Malformed> {
        Ok(SetAttr {
            mode: from.option(Decoder::u32)?,
            owner: Owner::decode(from)?,
            size: from.option(Decoder::u64)?,
            atime: SetTime::decode(from)?,
            mtime: SetTime::decode(from)?,
        })
    }
}
