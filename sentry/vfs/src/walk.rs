//! Path walk: path_resolution(7).

#![allow(missing_docs)] // bitflags' own constants; each is described in its man page

use crate::cred::{Caps, Credentials, MAY_EXEC};
use crate::inode::LinkTarget;
use crate::mount::{MountTable, Path};
use abi::file::FileType;
use abi::{Errno, NAME_MAX, SysResult};
use std::sync::Arc;

/// Symbolic links followed in one walk before ELOOP.
const MAX_LINKS: u32 = 40;

/// Longest path, the text of links included, that one walk goes through.
const MAX_REMAINING: usize = 16 * abi::PATH_MAX;

/// Where a walk starts and on whose behalf it goes.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct PathContext<'a> {
    pub table: &'a MountTable,
    /// What "/" is, and above which ".." does not lead.
    pub root: &'a Path,
    /// Where relative paths start.
    pub start: &'a Path,
    pub cred: &'a Credentials,
}

bitflags::bitflags! {
    /// How to walk.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct WalkFlags: u32 {
        /// Follow a symbolic link in the last component.
        const FOLLOW = 1;
        /// An empty path is the start itself (AT_EMPTY_PATH), not ENOENT.
        const EMPTY = 2;
        /// The last component must be a directory.
        const DIRECTORY = 4;
        /// RESOLVE_NO_SYMLINKS: following a link is ELOOP.
        const NO_SYMLINKS = 8;
        /// RESOLVE_NO_MAGICLINKS: following a link of /proc is ELOOP.
        const NO_MAGICLINKS = 16;
        /// RESOLVE_NO_XDEV: going to another mount is EXDEV.
        const NO_XDEV = 32;
        /// RESOLVE_BENEATH: leaving the root, which the caller has set to the start, is EXDEV.
        const BENEATH = 64;
        /// RESOLVE_IN_ROOT: the caller has set the root to the start; a jump out of it is EXDEV.
        const IN_ROOT = 128;
    }
}

/// The last component of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name, and whether slashes followed it.
    Name(Vec<u8>, bool),
    /// "."
    Dot,
    /// ".."
    DotDot,
    /// The path was "/" (or only slashes).
    Root,
}

/// What is still to be walked, last component first. Bounded by MAX_REMAINING and MAX_LINKS.
struct Pending {
    components: Vec<Vec<u8>>,
    links: u32,
    trailing_slash: bool,
}

impl Pending {
    fn push(&mut self, path: &[u8]) -> SysResult<()> {
        let have: usize = self.components.iter().map(|c| c.len() + 1).sum();
        if have + path.len() > MAX_REMAINING {
            return Err(Errno::ENAMETOOLONG);
        }
        if self.components.is_empty() && path.last() == Some(&b'/') {
            self.trailing_slash = true;
        }
        let parts = path.rsplit(|b| *b == b'/').filter(|part| !part.is_empty());
        self.components.extend(parts.map(<[u8]>::to_vec));
        Ok(())
    }
}

/// Where a missing name would be: the directory, the name, and whether a slash followed it.
pub type Missing = (Path, Vec<u8>, bool);

/// Where the last component was found.
enum Found {
    /// It exists (or is "/", "." or "..").
    Place(Path),
    /// It does not: the directory, and the name.
    Missing(Path, Vec<u8>),
}

impl PathContext<'_> {
    /// Resolves the whole path.
    pub fn walk(&self, path: &[u8], flags: WalkFlags) -> SysResult<Path> {
        if path.is_empty() {
            return match flags.contains(WalkFlags::EMPTY) {
                true => Ok(self.start.clone()),
                false => Err(Errno::ENOENT),
            };
        }
        let (found, trailing_slash) = self.resolve(path, flags)?;
        match found {
            Found::Missing(..) => Err(Errno::ENOENT),
            Found::Place(place) => {
                let must_be_dir = trailing_slash || flags.contains(WalkFlags::DIRECTORY);
                if must_be_dir && place.inode().file_type() != FileType::Directory {
                    return Err(Errno::ENOTDIR);
                }
                Ok(place)
            }
        }
    }

    /// As [`PathContext::walk`], following links, but a missing last component is no error: gives
    /// the directory it would be in (after links), its name, and whether a slash followed.
    /// For O_CREAT.
    pub fn walk_or_missing(
        &self,
        path: &[u8],
        flags: WalkFlags,
    ) -> SysResult<Result<Path, Missing>> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let (found, trailing_slash) = self.resolve(path, flags)?;
        Ok(match found {
            Found::Place(place) => Ok(place),
            Found::Missing(dir, name) => Err((dir, name, trailing_slash)),
        })
    }

    /// Resolves all but the last component, which is not looked up.
    pub fn walk_parent(&self, path: &[u8]) -> SysResult<(Path, Last)> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
        let slashes = end != path.len();
        let body = &path[..end];
        if body.is_empty() {
            return Ok((self.root.clone(), Last::Root));
        }
        let cut = body.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        let (head, name) = body.split_at(cut);
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let dir =
            if head.is_empty() { self.start.clone() } else { self.walk(head, WalkFlags::FOLLOW)? };
        self.check_search(&dir)?;
        let last = match name {
            b"." => Last::Dot,
            b".." => Last::DotDot,
            name => Last::Name(name.to_vec(), slashes),
        };
        Ok((dir, last))
    }

    fn resolve(&self, path: &[u8], flags: WalkFlags) -> SysResult<(Found, bool)> {
        let follow = flags.contains(WalkFlags::FOLLOW);
        let mut pending = Pending { components: Vec::new(), links: 0, trailing_slash: false };
        pending.push(path)?;
        let mut at = if path.first() == Some(&b'/') {
            self.jump_to_root(self.start, flags)?
        } else {
            self.start.clone()
        };
        while let Some(name) = pending.components.pop() {
            self.check_search(&at)?;
            let last = pending.components.is_empty();
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    if flags.contains(WalkFlags::BENEATH) && at.is_same(self.root) {
                        return Err(Errno::EXDEV);
                    }
                    at = same_mount(flags, &at, self.table.topmost(at.parent(self.root)))?;
                    continue;
                }
                name if name.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
                _ => {}
            }
            let next = match at.dentry.lookup(&name) {
                Ok(dentry) => self.table.topmost(Path { mount: at.mount.clone(), dentry }),
                Err(Errno::ENOENT) if last => {
                    return Ok((Found::Missing(at, name), pending.trailing_slash));
                }
                Err(errno) => return Err(errno),
            };
            let next = same_mount(flags, &at, next)?;
            let is_link = next.inode().file_type() == FileType::Symlink;
            if is_link && (follow || !last || pending.trailing_slash) {
                pending.links += 1;
                if pending.links > MAX_LINKS || flags.contains(WalkFlags::NO_SYMLINKS) {
                    return Err(Errno::ELOOP);
                }
                match next.inode().readlink()? {
                    LinkTarget::Magic(_) if flags.contains(WalkFlags::NO_MAGICLINKS) => {
                        return Err(Errno::ELOOP);
                    }
                    LinkTarget::Magic(_)
                        if flags.intersects(WalkFlags::BENEATH | WalkFlags::IN_ROOT) =>
                    {
                        return Err(Errno::EXDEV);
                    }
                    LinkTarget::Magic(place) => {
                        at = same_mount(flags, &at, self.table.topmost(place))?;
                    }
                    LinkTarget::Path(target) => {
                        if target.is_empty() {
                            return Err(Errno::ENOENT);
                        }
                        if target.first() == Some(&b'/') {
                            at = self.jump_to_root(&at, flags)?;
                        }
                        pending.push(&target)?;
                    }
                }
            } else {
                at = next;
            }
        }
        Ok((Found::Place(at), pending.trailing_slash))
    }

    /// Where "/" leads, coming from `from`.
    fn jump_to_root(&self, from: &Path, flags: WalkFlags) -> SysResult<Path> {
        if flags.contains(WalkFlags::BENEATH) {
            return Err(Errno::EXDEV);
        }
        same_mount(flags, from, self.root.clone())
    }

    /// ENOTDIR, or EACCES without search permission.
    fn check_search(&self, dir: &Path) -> SysResult<()> {
        if dir.inode().file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        // Root may search everything: the attributes need not be asked for.
        if self.cred.has_cap(Caps::DAC_OVERRIDE) || self.cred.has_cap(Caps::DAC_READ_SEARCH) {
            return Ok(());
        }
        check_inode(self.cred, dir, MAY_EXEC)
    }
}

/// EXDEV where a step goes to another mount and must not.
fn same_mount(flags: WalkFlags, from: &Path, to: Path) -> SysResult<Path> {
    if flags.contains(WalkFlags::NO_XDEV) && !Arc::ptr_eq(&from.mount, &to.mount) {
        return Err(Errno::EXDEV);
    }
    Ok(to)
}

/// The permission check for a place: the file system's own idea, else the mode bits.
pub fn check_inode(cred: &Credentials, place: &Path, mask: u32) -> SysResult<()> {
    match place.inode().permission(cred, mask) {
        Some(answer) => answer,
        None => cred.check(&place.inode().attr()?, mask),
    }
}
