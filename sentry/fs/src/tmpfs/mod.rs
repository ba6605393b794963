//! tmpfs(5): files in the sandbox's memory.
//!
//! The data of regular files lie in the memory file, as all guest memory does; names and
//! attributes are ordinary structures of the sentry, and limited so that a guest cannot grow the
//! sentry without bound ([`TmpfsOptions::nr_inodes`]).
//!
//! A file belongs to whoever refers to it: its directory, an open file, a mapping. When the last
//! of them goes, its memory goes back. A directory refers to its parent weakly.
//!
//! Lock order: the super block's rename lock, a directory's entries (of two directories only with
//! the rename lock held, then in any order), a file's I/O lock, its data, an inode's metadata. The
//! I/O lock alone is held while mappings are invalidated: [`mm::Mappable`]'s methods never take it.
//!
//! Start reading in `super_block.rs`, then `inode.rs`.

mod content;
mod data;
mod directory;
mod entries;
mod extent;
mod inode;
mod metadata;
mod open;
mod options;
mod super_block;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod xattr;

pub use content::seals;
pub use entries::Entries;
pub(crate) use entries::FIRST_COOKIE;
pub(crate) use inode::NewInode;
pub use inode::{SocketSlot, TmpfsInode};
pub(crate) use metadata::now;
pub use open::RegularFile;
pub(crate) use open::read_dots;
pub use options::TmpfsOptions;
pub use super_block::Tmpfs;
