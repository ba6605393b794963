//! From a message to its answer.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Files, Server};
use crate::errno::Errno;
use crate::protocol::{HelloReply, NodeId, Reply, Request, RootInfo, VERSION};

/// What to send back.
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) result: Result<Reply, Errno>,
    pub(super) fd: Option<Arc<OwnedFd>>,
}

/// A handler's result: the answer, and the fd that goes with it.
pub(super) type Handled = Result<(Reply, Option<Arc<OwnedFd>>), Errno>;

impl Server {
    /// Handles one message. `None` if there is nothing to answer, or nobody to answer to.
    pub(super) fn answer(&self, message: &[u8]) -> Option<Answer> {
        let id = Request::decode_id(message).ok()?;
        let handled = match Request::decode(message) {
            Ok((_, Request::Forget { nodes })) => {
                let mut table = self.files.nodes();
                for forgotten in nodes {
                    table.forget(forgotten.node, forgotten.count);
                }
                return None;
            }
            Ok((_, request)) => self.files.handle(request),
            Err(_) => Err(Errno::EPROTO),
        };
        Some(match handled {
            Ok((reply, fd)) => Answer { id, result: Ok(reply), fd },
            Err(errno) => Answer { id, result: Err(errno), fd: None },
        })
    }
}

impl Files {
    /// Checks what holds for all requests of a kind, then has the one handled.
    fn handle(&self, request: Request<'_>) -> Handled {
        self.check_roots(&request)?;
        let plain = |reply: Reply| (reply, None);
        match request {
            Request::Hello { version } => self.hello(version).map(plain),
            Request::Walk { start, names, flags, open } => self.walk(start, &names, flags, open),
            Request::ReadDir { node, cookie } => {
                Ok(plain(Reply::Listing(self.read_dir(node, cookie)?)))
            }
            Request::Open { node, flags } => {
                let (fd, attr) = self.open(node, flags)?;
                Ok((Reply::Opened(attr), Some(fd)))
            }
            Request::Stat { node } => Ok(plain(Reply::Attr(self.stat(node)?))),
            Request::ReadLink { node } => Ok(plain(Reply::Target(self.read_link(node)?))),
            Request::StatFs { node } => Ok(plain(Reply::StatFs(self.stat_fs(node)?))),
            Request::Fsync { node } => self.fsync(node).map(|()| plain(Reply::Done)),
            Request::SetAttr { node, set } => Ok(plain(Reply::Attr(self.set_attr(node, &set)?))),
            Request::Create { parent, name, mode, owner, flags } => {
                let (node, fd) = self.create(parent, name, mode, owner, flags)?;
                Ok((Reply::Created(node), Some(Arc::new(fd))))
            }
            Request::Mkdir { parent, name, mode, owner } => {
                Ok(plain(Reply::Node(self.mkdir(parent, name, mode, owner)?)))
            }
            Request::Symlink { parent, name, target, owner } => {
                Ok(plain(Reply::Node(self.symlink(parent, name, target, owner)?)))
            }
            Request::Mknod { parent, name, mode, owner } => {
                Ok(plain(Reply::Node(self.mknod(parent, name, mode, owner)?)))
            }
            Request::Link { node, parent, name } => {
                Ok(plain(Reply::Node(self.link(node, parent, name)?)))
            }
            Request::Unlink { parent, name, directory } => {
                self.unlink(parent, name, directory).map(|()| plain(Reply::Done))
            }
            Request::Rename { old_parent, old_name, new_parent, new_name, flags } => {
                let (old, new) = ((old_parent, old_name), (new_parent, new_name));
                self.rename(old, new, flags).map(|()| plain(Reply::Done))
            }
            Request::GetXattr { node, name } => {
                Ok(plain(Reply::Xattr(self.get_xattr(node, name)?)))
            }
            Request::SetXattr { node, name, value, flags } => {
                self.set_xattr(node, name, value, flags).map(|()| plain(Reply::Done))
            }
            Request::ListXattr { node } => Ok(plain(Reply::XattrNames(self.list_xattr(node)?))),
            Request::RemoveXattr { node, name } => {
                self.remove_xattr(node, name).map(|()| plain(Reply::Done))
            }
            // Answered by nobody; see `Server::answer`.
            Request::Forget { .. } => Err(Errno::EPROTO),
        }
    }

    /// The two rules that no handler can forget, because none is asked: a read-only root is not
    /// changed, and nothing gets from one root into another (a file of a read-only root, linked
    /// into a writable one, could be written there).
    fn check_roots(&self, request: &Request<'_>) -> Result<(), Errno> {
        let (first, second) = request.nodes();
        let Some(first) = first else { return Ok(()) };
        let root = self.nodes().get(first)?.root;
        if let Some(second) = second
            && self.nodes().get(second)?.root != root
        {
            return Err(Errno::EXDEV);
        }
        if request.is_change() && self.root(root)?.read_only() {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    fn hello(&self, version: u32) -> Result<Reply, Errno> {
        if version != VERSION {
            return Err(Errno::EPROTO);
        }
        let roots = (1..).zip(&self.roots).map(|(node, root)| RootInfo {
            id: root.id(),
            node: NodeId(node),
            read_only: root.read_only(),
            shared: root.shared(),
            attr: *root.attr(),
        });
        Ok(Reply::Hello(HelloReply { version: VERSION, roots: roots.collect() }))
    }
}
