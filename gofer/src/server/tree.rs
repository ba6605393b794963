//! From nodes to host files, and what can be asked without changing anything.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno as HostErrno;

use super::Files;
use super::dispatch::Handled;
use super::host;
use super::nodes::{Identity, NodeView, Place};
use crate::errno::Errno;
use crate::protocol::{
    Attr, DirEntry, FileType, Listing, MAX_INLINE_TARGET, MAX_MESSAGE, Name, NodeId, OpenFlags,
    Reply, StatFs, WalkFlags, WalkReply, WalkStop, WalkedNode,
};

/// The longest path given to one `openat2`, below `PATH_MAX`.
const PATH_CHUNK: usize = 4000;
/// What one `getdents64` may return: about as many entries as fit a message with attributes.
const DIRENT_BUFFER: usize = 16 * 1024;
/// Room in a listing's message for what is not entries.
const LISTING_OVERHEAD: usize = 64;

/// What is known of a node, and the directory fd and the name under which it can be reached now.
/// The name is empty if the fd is the node itself.
pub(super) type Located = (NodeView, Arc<OwnedFd>, Box<[u8]>);

impl Files {
    pub(super) fn view(&self, node: NodeId) -> Result<NodeView, Errno> {
        self.nodes().get(node)
    }

    /// `openat2`, which when fds run out closes kept ones and tries again.
    pub(super) fn open_at(
        &self,
        dir: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        loop {
            match host::open(dir, path, flags, mode) {
                Err(HostErrno::MFILE | HostErrno::NFILE) => {
                    let closed = {
                        let mut nodes = self.nodes();
                        let keep = nodes.kept() / 2;
                        nodes.shed(keep)
                    };
                    if closed.is_empty() {
                        return Err(Errno::EMFILE);
                    }
                }
                result => return Ok(result?),
            }
        }
    }

    /// The `O_PATH` fd of a directory, kept or opened again.
    pub(super) fn directory(&self, node: NodeId) -> Result<Arc<OwnedFd>, Errno> {
        let view = self.view(node)?;
        if view.identity.file_type != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let (anchor, names) = self.nodes().anchor(node)?;
        if names.is_empty() {
            return Ok(anchor);
        }
        let mut at = anchor;
        let mut names = names.iter().peekable();
        while names.peek().is_some() {
            let mut path = Vec::new();
            while let Some(name) = names.next_if(|name| path.len() + name.len() < PATH_CHUNK) {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let opened = self.open_at(at.as_fd(), &path, flags, Mode::empty());
            at = Arc::new(opened.map_err(gone)?);
        }
        // Names on the way may lead elsewhere than they did; what counts is where they end.
        view.identity.check(&host::stat_fd(&at)?)?;
        let closed = self.nodes().keep(node, &at);
        drop(closed);
        Ok(at)
    }

    /// Where a node can be reached now.
    pub(super) fn locate(&self, node: NodeId) -> Result<Located, Errno> {
        let view = self.view(node)?;
        if view.identity.file_type == FileType::Directory {
            return Ok((view, self.directory(node)?, Box::default()));
        }
        match view.place.clone() {
            Place::Root => {
                let fd = self.root(view.root)?.fd();
                Ok((view, fd, Box::default()))
            }
            Place::Entry { parent, name } => Ok((view, self.directory(parent)?, name)),
            Place::Detached => Err(Errno::ESTALE),
        }
    }

    /// The attributes of a node, certainly its own.
    pub(super) fn stat(&self, node: NodeId) -> Result<Attr, Errno> {
        let (view, fd, name) = self.locate(node)?;
        let attr = if name.is_empty() {
            host::stat_fd(&fd)?
        } else {
            host::stat_child(fd.as_fd(), &name).map_err(gone)?
        };
        view.identity.check(&attr)?;
        Ok(attr)
    }

    /// An `O_PATH` fd of a node of any type.
    pub(super) fn path_fd(&self, node: NodeId) -> Result<Arc<OwnedFd>, Errno> {
        let (view, fd, name) = self.locate(node)?;
        if name.is_empty() {
            return Ok(fd);
        }
        let opened = self.open_at(fd.as_fd(), &name, OFlags::PATH, Mode::empty()).map_err(gone)?;
        view.identity.check(&host::stat_fd(&opened)?)?;
        Ok(Arc::new(opened))
    }

    /// A node opened for use by the gofer itself; regular files and directories only.
    pub(super) fn real_fd(&self, node: NodeId, flags: OpenFlags) -> Result<Arc<OwnedFd>, Errno> {
        let view = self.view(node)?;
        match view.identity.file_type {
            FileType::Directory => {
                let dir = self.directory(node)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                self.open_at(dir.as_fd(), b".", flags, Mode::empty()).map(Arc::new)
            }
            FileType::Regular => Ok(self.open(node, flags)?.0),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Opens a file for the sentry, and gives the attributes of what was opened.
    pub(super) fn open(
        &self,
        node: NodeId,
        flags: OpenFlags,
    ) -> Result<(Arc<OwnedFd>, Attr), Errno> {
        let (view, dir, name) = self.locate(node)?;
        if name.is_empty() {
            // A directory, or the root itself: only a root that is a file gives an fd.
            let fd = self.root(view.root)?.open_file(flags)?;
            truncate_if_asked(&fd, flags)?;
            let attr = host::stat_fd(&fd)?;
            return Ok((fd, attr));
        }
        let before = host::stat_child(dir.as_fd(), &name).map_err(gone)?;
        view.identity.check(&before)?;
        self.open_entry(&view, dir.as_fd(), &name, flags)
    }

    /// Opens a name that was just seen to lead to a file with this identity.
    ///
    /// Seen first, because to open a device or a FIFO can itself have an effect; seen again after,
    /// because the name may have changed in between. Truncation waits until all is certain.
    fn open_entry(
        &self,
        view: &NodeView,
        dir: BorrowedFd<'_>,
        name: &[u8],
        flags: OpenFlags,
    ) -> Result<(Arc<OwnedFd>, Attr), Errno> {
        self.root(view.root)?.may_open(view.identity.file_type)?;
        let fd = self.open_at(dir, name, host::open_flags(flags), Mode::empty()).map_err(gone)?;
        view.identity.check(&host::stat_fd(&fd)?)?;
        truncate_if_asked(&fd, flags)?;
        let attr = host::stat_fd(&fd)?;
        Ok((Arc::new(fd), attr))
    }

    pub(super) fn walk(
        &self,
        start: NodeId,
        names: &[Name<'_>],
        flags: WalkFlags,
        open: Option<OpenFlags>,
    ) -> Handled {
        let mut reply =
            WalkReply { nodes: Vec::new(), stop: WalkStop::Done, target: None, open: None };
        let mut at = start;
        if !names.is_empty() && self.view(start)?.identity.file_type != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        for name in names {
            reply.stop = match reply.nodes.last().map(|node| node.attr.file_type()) {
                None | Some(FileType::Directory) => WalkStop::Done,
                Some(FileType::Symlink) => WalkStop::Symlink,
                Some(_) => WalkStop::NotDirectory,
            };
            if reply.stop != WalkStop::Done {
                break;
            }
            match self.step(at, *name) {
                Ok((node, target)) => {
                    at = node.node;
                    reply.target = target;
                    reply.nodes.push(node);
                }
                Err(Errno::ENOENT) => {
                    reply.stop = WalkStop::Missing;
                    break;
                }
                Err(errno) => {
                    reply.stop = WalkStop::Failed(errno);
                    break;
                }
            }
        }
        let mut fd = None;
        if let Some(open) = open
            && reply.stop == WalkStop::Done
        {
            let opened = self.open(at, open);
            reply.open = Some(opened.as_ref().map(|_| ()).map_err(|errno| *errno));
            if let Ok((opened, attr)) = opened {
                fd = Some(opened);
                // Truncation has changed them.
                if let Some(last) = reply.nodes.last_mut() {
                    last.attr = attr;
                }
            }
        }
        if flags.contains(WalkFlags::ATTR_ONLY) {
            let mut table = self.nodes();
            for walked in reply.nodes.iter_mut().rev() {
                table.forget(walked.node, 1);
                walked.node = NodeId::NONE;
            }
        }
        Ok((Reply::Walk(reply), fd))
    }

    /// Looks up one name, and reads it if it is a symbolic link.
    fn step(&self, parent: NodeId, name: Name<'_>) -> Result<(WalkedNode, Option<Vec<u8>>), Errno> {
        let dir = self.directory(parent)?;
        let name = name.as_bytes();
        let attr = host::stat_child(dir.as_fd(), name)?;
        let target = match attr.file_type() {
            FileType::Symlink => Some(host::read_link(dir.as_fd(), name)?),
            _ => None,
        };
        let node = self.nodes().enter(parent, name, Identity::of(&attr))?;
        Ok((WalkedNode { node, attr }, target))
    }

    pub(super) fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        if self.view(node)?.identity.file_type != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        host::read_link(self.path_fd(node)?.as_fd(), b"")
    }

    /// One message full of entries. Nothing is remembered between two of them: the cookie is the
    /// file system's own position in the directory.
    pub(super) fn read_dir(&self, node: NodeId, cookie: u64) -> Result<Listing, Errno> {
        if self.view(node)?.identity.file_type != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let dir = self.real_fd(node, OpenFlags::READ)?;
        if cookie != 0 {
            rustix::fs::seek(&dir, SeekFrom::Start(cookie))?;
        }
        let mut buffer = [MaybeUninit::uninit(); DIRENT_BUFFER];
        let mut host_entries = RawDir::new(&dir, &mut buffer);
        let mut listing = Listing { entries: Vec::new(), next: None };
        let mut room = MAX_MESSAGE - LISTING_OVERHEAD;
        let mut next = cookie;
        while let Some(host_entry) = host_entries.next() {
            let host_entry = host_entry?;
            let after = host_entry.next_entry_cookie();
            let name = host_entry.file_name();
            // A name that is no name can only come from a broken file system.
            if host::is_dot(name) || Name::new(name.to_bytes()).is_err() {
                next = after;
                continue;
            }
            let attr = match host::stat_child(dir.as_fd(), name.to_bytes()) {
                // Removed meanwhile.
                Err(Errno::ENOENT) => {
                    next = after;
                    continue;
                }
                attr => attr.ok(),
            };
            let is_link = attr.is_some_and(|attr| attr.file_type() == FileType::Symlink);
            let target = is_link
                .then(|| host::read_link(dir.as_fd(), name.to_bytes()).ok())
                .flatten()
                .filter(|target| target.len() <= MAX_INLINE_TARGET);
            let entry = DirEntry {
                name: name.to_bytes().to_vec(),
                ino: host_entry.ino(),
                file_type: FileType::from_mode(host_entry.file_type().as_raw_mode()),
                next: after,
                attr,
                target,
            };
            match room.checked_sub(entry.encoded_len()) {
                Some(left) => room = left,
                None => {
                    listing.next = Some(next);
                    return Ok(listing);
                }
            }
            next = after;
            listing.entries.push(entry);
        }
        Ok(listing)
    }

    pub(super) fn stat_fs(&self, node: NodeId) -> Result<StatFs, Errno> {
        let statfs = rustix::fs::fstatfs(self.path_fd(node)?)?;
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(StatFs {
            fs_type: unsigned(statfs.f_type),
            block_size: unsigned(statfs.f_bsize),
            blocks: statfs.f_blocks,
            blocks_free: statfs.f_bfree,
            blocks_available: statfs.f_bavail,
            files: statfs.f_files,
            files_free: statfs.f_ffree,
            name_max: unsigned(statfs.f_namelen),
            fragment_size: unsigned(statfs.f_frsize),
            flags: unsigned(statfs.f_flags),
        })
    }

    pub(super) fn fsync(&self, node: NodeId) -> Result<(), Errno> {
        Ok(rustix::fs::fsync(self.real_fd(node, OpenFlags::READ)?)?)
    }
}

fn truncate_if_asked(fd: &OwnedFd, flags: OpenFlags) -> Result<(), Errno> {
    if flags.contains(OpenFlags::TRUNCATE) {
        rustix::fs::ftruncate(fd, 0)?;
    }
    Ok(())
}

/// What it means for a node that its name leads nowhere, or to something of another kind.
pub(super) fn gone(errno: Errno) -> Errno {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => Errno::ESTALE,
        other => other,
    }
}
