//! The client library: how the sentry asks its gofer.
//!
//! Calls are synchronous and may come from any number of threads; none waits for another's answer
//! longer than it takes to receive it. Apart from futex, the host calls made are `sendmsg`,
//! `recvmsg` and `close`.

mod connection;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use connection::Connection;

use crate::errno::Errno;
use crate::protocol::{
    Attr, DirEntry, Forgotten, Listing, MAX_FORGET, MAX_TARGET, MAX_WALK, MAX_XATTR, Name, NodeId,
    OpenFlags, Owner, RenameFlags, Reply, Request, RootInfo, SetAttr, StatFs, VERSION, WalkFlags,
    WalkReply, WalkStop, WalkedNode, XattrFlags, XattrName,
};

/// How many nodes [`Client::forget`] collects before it tells the gofer.
const FORGET_BATCH: usize = 64;

/// The result of a walk.
#[derive(Debug)]
pub struct Walked {
    /// What was found, in order, with one reference each to be given back by [`Client::forget`].
    pub nodes: Vec<WalkedNode>,
    /// Why it is not more.
    pub stop: WalkStop,
    /// Where the last node points to, if it is a symbolic link.
    pub target: Option<Vec<u8>>,
    /// The last node, opened, if that was asked and all names were found.
    pub file: Option<Result<OwnedFd, Errno>>,
}

/// A new file and its fd.
#[derive(Debug)]
pub struct Created {
    /// The node, with one reference, and its attributes.
    pub node: WalkedNode,
    /// The file, open.
    pub file: OwnedFd,
}

/// A connection to a gofer.
///
/// Every method fails with EIO once the gofer has died, and with EBADF for a node that the gofer
/// does not know. ESTALE means that a node's name leads elsewhere by now: walk again.
pub struct Client {
    connection: Connection,
    roots: Vec<RootInfo>,
    forgotten: Mutex<Vec<Forgotten>>,
}

/// An answer of another kind than the request's: the gofer is broken.
fn wrong(connection: &Connection) -> Errno {
    connection.give_up();
    Errno::EIO
}

macro_rules! expect {
    ($self:ident, $request:expr, $pattern:pat => $value:expr) => {
        match $self.connection.call(&$request)? {
            ($pattern, _) => Ok($value),
            _ => Err(wrong(&$self.connection)),
        }
    };
}

impl Client {
    /// Greets the gofer at the other end of `socket`.
    pub fn connect(socket: OwnedFd) -> Result<Client, Errno> {
        let connection = Connection::new(socket);
        let (reply, _) = connection.call(&Request::Hello { version: VERSION })?;
        let Reply::Hello(hello) = reply else { return Err(wrong(&connection)) };
        if hello.version != VERSION {
            return Err(Errno::EPROTO);
        }
        Ok(Client { connection, roots: hello.roots, forgotten: Mutex::default() })
    }

    /// The roots that the gofer serves.
    pub fn roots(&self) -> &[RootInfo] {
        &self.roots
    }

    /// Whether the gofer has been found dead, or broken.
    pub fn is_dead(&self) -> bool {
        self.connection.is_dead()
    }

    /// Has `action` run once, on the thread that finds the gofer dead; at once if it is known.
    ///
    /// That is noticed by a call in progress or by the next one. To notice it while idle, watch
    /// the socket ([`AsFd`]) for `EPOLLHUP`.
    pub fn on_death(&self, action: impl FnOnce() + Send + 'static) {
        self.connection.on_death(Box::new(action));
    }

    /// Walks from `start` along `names`, and opens what is there if all are found. Longer walks
    /// than one message holds are split.
    pub fn walk(
        &self,
        start: NodeId,
        names: &[&[u8]],
        open: Option<OpenFlags>,
    ) -> Result<Walked, Errno> {
        let mut names = names;
        let mut start = start;
        let mut found = Vec::new();
        loop {
            let (now, later) = names.split_at(names.len().min(MAX_WALK));
            let open_now = if later.is_empty() { open } else { None };
            let result = self.walk_once(start, now, WalkFlags::empty(), open_now);
            let mut walked = match result {
                Ok(walked) => walked,
                Err(errno) => {
                    self.forget_all(&found);
                    return Err(errno);
                }
            };
            found.append(&mut walked.nodes);
            let last = found.last().copied();
            if walked.stop == WalkStop::Done
                && !later.is_empty()
                && let Some(last) = last
            {
                match last.attr.file_type() {
                    crate::protocol::FileType::Directory => {
                        (names, start) = (later, last.node);
                        continue;
                    }
                    crate::protocol::FileType::Symlink => walked.stop = WalkStop::Symlink,
                    _ => walked.stop = WalkStop::NotDirectory,
                }
            }
            walked.nodes = found;
            return Ok(walked);
        }
    }

    /// The attributes along a path of at most [`MAX_WALK`] names, to see whether what was learned
    /// before is still true. Gives no nodes ([`NodeId::NONE`]): there is nothing to forget.
    pub fn revalidate(&self, start: NodeId, names: &[&[u8]]) -> Result<Walked, Errno> {
        self.walk_once(start, names, WalkFlags::ATTR_ONLY, None)
    }

    fn walk_once(
        &self,
        start: NodeId,
        names: &[&[u8]],
        flags: WalkFlags,
        open: Option<OpenFlags>,
    ) -> Result<Walked, Errno> {
        if names.len() > MAX_WALK {
            return Err(Errno::EINVAL);
        }
        let names: Vec<_> = names.iter().map(|name| Name::new(name)).collect::<Result<_, _>>()?;
        let asked = names.len();
        let request = Request::Walk { start, names, flags, open: check_open(open)? };
        let (Reply::Walk(WalkReply { nodes, stop, target, open: opened }), fd) =
            self.connection.call(&request)?
        else {
            return Err(wrong(&self.connection));
        };
        let done = stop == WalkStop::Done;
        if nodes.len() > asked
            || done != (nodes.len() == asked)
            || opened.is_some() != (done && open.is_some())
        {
            return Err(wrong(&self.connection));
        }
        // Without the fd, this process had no room for it.
        let file = opened.map(|result| result.and_then(|()| fd.ok_or(Errno::EMFILE)));
        Ok(Walked { nodes, stop, target, file })
    }

    /// Some entries of a directory, from `cookie` (0: the first) on.
    pub fn read_dir(&self, node: NodeId, cookie: u64) -> Result<Listing, Errno> {
        expect!(self, Request::ReadDir { node, cookie }, Reply::Listing(listing) => listing)
    }

    /// All entries of a directory, without `.` and `..`.
    pub fn read_dir_all(&self, node: NodeId) -> Result<Vec<DirEntry>, Errno> {
        let mut entries = Vec::new();
        let mut cookie = 0;
        loop {
            let mut listing = self.read_dir(node, cookie)?;
            let empty = listing.entries.is_empty();
            entries.append(&mut listing.entries);
            match listing.next {
                None => return Ok(entries),
                // A rest that never gets smaller.
                Some(next) if empty || next == cookie => return Err(Errno::EIO),
                Some(next) => cookie = next,
            }
        }
    }

    /// Opens a regular file, and gives its attributes as of then.
    pub fn open(&self, node: NodeId, flags: OpenFlags) -> Result<(OwnedFd, Attr), Errno> {
        check_open(Some(flags))?;
        let (Reply::Opened(attr), fd) = self.connection.call(&Request::Open { node, flags })?
        else {
            return Err(wrong(&self.connection));
        };
        Ok((fd.ok_or(Errno::EMFILE)?, attr))
    }

    /// `statx(2)`
    pub fn stat(&self, node: NodeId) -> Result<Attr, Errno> {
        expect!(self, Request::Stat { node }, Reply::Attr(attr) => attr)
    }

    /// `readlink(2)`
    pub fn read_link(&self, node: NodeId) -> Result<Vec<u8>, Errno> {
        expect!(self, Request::ReadLink { node }, Reply::Target(target) => target)
    }

    /// `chmod(2)`, `chown(2)`, `truncate(2)`, `utimensat(2)`; gives the attributes after.
    pub fn set_attr(&self, node: NodeId, set: SetAttr) -> Result<Attr, Errno> {
        check_owner(set.owner)?;
        for time in [set.atime, set.mtime] {
            if let crate::protocol::SetTime::To(time) = time
                && time.nanoseconds >= 1_000_000_000
            {
                return Err(Errno::EINVAL);
            }
        }
        expect!(self, Request::SetAttr { node, set }, Reply::Attr(attr) => attr)
    }

    /// Creates a regular file and opens it; EEXIST if there is anything of that name.
    pub fn create(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        owner: Owner,
        flags: OpenFlags,
    ) -> Result<Created, Errno> {
        check_open(Some(flags))?;
        check_owner(owner)?;
        let name = Name::new(name)?;
        let request = Request::Create { parent, name, mode, owner, flags };
        let (Reply::Created(node), fd) = self.connection.call(&request)? else {
            return Err(wrong(&self.connection));
        };
        match fd {
            Some(file) => Ok(Created { node, file }),
            None => {
                self.forget(node.node, 1);
                Err(Errno::EMFILE)
            }
        }
    }

    /// `mkdir(2)`
    pub fn mkdir(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        owner: Owner,
    ) -> Result<WalkedNode, Errno> {
        check_owner(owner)?;
        let request = Request::Mkdir { parent, name: Name::new(name)?, mode, owner };
        expect!(self, request, Reply::Node(node) => node)
    }

    /// `symlink(2)`
    pub fn symlink(
        &self,
        parent: NodeId,
        name: &[u8],
        target: &[u8],
        owner: Owner,
    ) -> Result<WalkedNode, Errno> {
        check_owner(owner)?;
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() > MAX_TARGET {
            return Err(Errno::ENAMETOOLONG);
        }
        if target.contains(&0) {
            return Err(Errno::EINVAL);
        }
        let request = Request::Symlink { parent, name: Name::new(name)?, target, owner };
        expect!(self, request, Reply::Node(node) => node)
    }

    /// `mknod(2)`: FIFOs and regular files; EPERM for all others.
    pub fn mknod(
        &self,
        parent: NodeId,
        name: &[u8],
        mode: u32,
        owner: Owner,
    ) -> Result<WalkedNode, Errno> {
        check_owner(owner)?;
        let request = Request::Mknod { parent, name: Name::new(name)?, mode, owner };
        expect!(self, request, Reply::Node(node) => node)
    }

    /// `link(2)`; EXDEV between roots.
    pub fn link(&self, node: NodeId, parent: NodeId, name: &[u8]) -> Result<WalkedNode, Errno> {
        let request = Request::Link { node, parent, name: Name::new(name)? };
        expect!(self, request, Reply::Node(node) => node)
    }

    /// `unlink(2)`
    pub fn unlink(&self, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let request = Request::Unlink { parent, name: Name::new(name)?, directory: false };
        expect!(self, request, Reply::Done => ())
    }

    /// `rmdir(2)`
    pub fn rmdir(&self, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let request = Request::Unlink { parent, name: Name::new(name)?, directory: true };
        expect!(self, request, Reply::Done => ())
    }

    /// `renameat2(2)`; EXDEV between roots. Nodes follow their files.
    pub fn rename(
        &self,
        (old_parent, old_name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let (old_name, new_name) = (Name::new(old_name)?, Name::new(new_name)?);
        let request = Request::Rename { old_parent, old_name, new_parent, new_name, flags };
        expect!(self, request, Reply::Done => ())
    }

    /// `statfs(2)`
    pub fn stat_fs(&self, node: NodeId) -> Result<StatFs, Errno> {
        expect!(self, Request::StatFs { node }, Reply::StatFs(statfs) => statfs)
    }

    /// `fsync(2)`
    pub fn fsync(&self, node: NodeId) -> Result<(), Errno> {
        expect!(self, Request::Fsync { node }, Reply::Done => ())
    }

    /// `getxattr(2)`: `user.*` and `security.capability`; EOPNOTSUPP for all others.
    pub fn get_xattr(&self, node: NodeId, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let request = Request::GetXattr { node, name: XattrName::new(name)? };
        expect!(self, request, Reply::Xattr(value) => value)
    }

    /// `setxattr(2)`: `user.*`; EOPNOTSUPP for all others.
    pub fn set_xattr(
        &self,
        node: NodeId,
        name: &[u8],
        value: &[u8],
        flags: XattrFlags,
    ) -> Result<(), Errno> {
        if value.len() > MAX_XATTR {
            return Err(Errno::ERANGE);
        }
        let request = Request::SetXattr { node, name: XattrName::new(name)?, value, flags };
        expect!(self, request, Reply::Done => ())
    }

    /// `listxattr(2)`: those that [`Client::get_xattr`] would give.
    pub fn list_xattr(&self, node: NodeId) -> Result<Vec<Vec<u8>>, Errno> {
        expect!(self, Request::ListXattr { node }, Reply::XattrNames(names) => names)
    }

    /// `removexattr(2)`: `user.*`; EOPNOTSUPP for all others.
    pub fn remove_xattr(&self, node: NodeId, name: &[u8]) -> Result<(), Errno> {
        let request = Request::RemoveXattr { node, name: XattrName::new(name)? };
        expect!(self, request, Reply::Done => ())
    }

    /// Gives references back. The gofer is told when some have come together, and never answers,
    /// so this is cheap; [`Client::flush_forgotten`] tells it now.
    pub fn forget(&self, node: NodeId, count: u64) {
        if node == NodeId::NONE || count == 0 {
            return;
        }
        let batch = {
            let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
            forgotten.push(Forgotten { node, count });
            if forgotten.len() < FORGET_BATCH {
                Vec::new()
            } else {
                std::mem::take(&mut *forgotten)
            }
        };
        self.send_forgotten(&batch);
    }

    /// Gives back one reference for each.
    pub fn forget_all(&self, nodes: &[WalkedNode]) {
        nodes.iter().for_each(|walked| self.forget(walked.node, 1));
    }

    /// Tells the gofer of all references given back so far.
    pub fn flush_forgotten(&self) {
        let batch = {
            let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *forgotten)
        };
        self.send_forgotten(&batch);
    }

    fn send_forgotten(&self, batch: &[Forgotten]) {
        for nodes in batch.chunks(MAX_FORGET) {
            self.connection.tell(&Request::Forget { nodes: nodes.to_vec() });
        }
    }
}

impl AsFd for Client {
    /// The socket, to be watched for `EPOLLHUP`; not to be read or written.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

/// EINVAL for flags that the gofer would take for a broken message.
fn check_open(flags: Option<OpenFlags>) -> Result<Option<OpenFlags>, Errno> {
    let sense = flags.is_none_or(|flags| {
        flags.intersects(OpenFlags::READ | OpenFlags::WRITE)
            && (flags.contains(OpenFlags::WRITE) || !flags.contains(OpenFlags::TRUNCATE))
    });
    if sense { Ok(flags) } else { Err(Errno::EINVAL) }
}

fn check_owner(owner: Owner) -> Result<(), Errno> {
    let no_id = Some(u32::MAX);
    if owner.uid == no_id || owner.gid == no_id { Err(Errno::EINVAL) } else { Ok(()) }
}
