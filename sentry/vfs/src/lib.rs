//! The virtual file system: mounts, path walk, open files, descriptor tables, locks, and the traits
//! that file systems implement.
//!
//! What it never does: block. A file that is not ready answers EAGAIN and has a wait queue; the
//! system call decides whether to wait. (The one exception: a file system over the gofer waits for
//! the gofer's answer.)
//!
//! Start reading at [`inode`] and [`mod@file`] for what a file system provides, [`walk`] for how a path
//! becomes a [`Path`], [`ops`] for what is done with it.
//!
//! Lock order: mount table, then a dentry's children, then a dentry's place, then a file system's
//! own locks. Nothing here is held while a handler waits.

#![forbid(unsafe_code)]

pub mod cred;
mod dentry;
pub mod fd;
pub mod file;
pub mod filesystem;
pub mod inode;
pub mod locks;
pub mod mount;
pub mod ops;
pub mod walk;

pub use cred::Credentials;
pub use dentry::Dentry;
pub use fd::{Fd, FdTable, NR_OPEN};
pub use file::{AsyncOwner, DirEntry, DirSink, FileOps, OpenFile};
pub use filesystem::FileSystem;
pub use inode::{Attr, Inode, InodeRef, LinkTarget, NewNode, NodeKind, SetAttr, TimeChange};
pub use mount::{Mount, MountFlags, MountTable, Path};
pub use walk::{PathContext, WalkFlags};
