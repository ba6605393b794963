//! The table of nodes: which name in which directory each number stands for.
//!
//! Directories may hold an `O_PATH` fd, the least recently used of which are closed when there are
//! too many; everything else is only a name in its directory, so that a walk over a large tree
//! costs memory and not fds. A node lives while the client holds references to it or children of
//! it are in the table.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::errno::Errno;
use crate::protocol::{Attr, Device, FileType, NodeId};

/// What makes a file itself, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    dev: Device,
    ino: u64,
    pub(crate) file_type: FileType,
}

impl Identity {
    pub(crate) fn of(attr: &Attr) -> Identity {
        Identity { dev: attr.dev, ino: attr.ino, file_type: attr.file_type() }
    }

    /// ESTALE unless these are the attributes of the same file.
    pub(crate) fn check(self, attr: &Attr) -> Result<(), Errno> {
        if self == Identity::of(attr) { Ok(()) } else { Err(Errno::ESTALE) }
    }
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The root of this index.
    Root,
    /// A name in a directory.
    Entry { parent: NodeId, name: Box<[u8]> },
    /// Nowhere any more: removed or replaced. A directory whose fd is still held can be used.
    Detached,
}

/// A copy of what is known of a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeView {
    pub(crate) root: usize,
    pub(crate) identity: Identity,
    pub(crate) place: Place,
}

struct Node {
    view: NodeView,
    references: u64,
    children: BTreeMap<Box<[u8]>, NodeId>,
    /// An `O_PATH` fd, and when it was last used.
    fd: Option<(Arc<OwnedFd>, u64)>,
}

/// A directory with an fd, and the names that lead from it to the one asked for.
pub(crate) type Anchor = (Arc<OwnedFd>, Vec<Box<[u8]>>);

pub(crate) struct NodeTable {
    nodes: BTreeMap<NodeId, Node>,
    next: u64,
    /// Nodes with an fd, by time of last use. Roots are not in it.
    used: BTreeMap<u64, NodeId>,
    clock: u64,
    max_nodes: usize,
    max_fds: usize,
}

impl NodeTable {
    /// A table of the roots alone; root `i` is node `i + 1`.
    pub(crate) fn new(
        roots: impl Iterator<Item = (Arc<OwnedFd>, Identity)>,
        max_nodes: usize,
        max_fds: usize,
    ) -> NodeTable {
        let mut table = NodeTable {
            nodes: BTreeMap::new(),
            next: 1,
            used: BTreeMap::new(),
            clock: 0,
            max_nodes,
            max_fds: max_fds.max(1),
        };
        for (root, (fd, identity)) in roots.enumerate() {
            let view = NodeView { root, identity, place: Place::Root };
            let node = Node { view, references: 1, children: BTreeMap::new(), fd: Some((fd, 0)) };
            table.nodes.insert(NodeId(table.next), node);
            table.next += 1;
        }
        table.max_nodes += table.nodes.len();
        table
    }

    pub(crate) fn get(&self, id: NodeId) -> Result<NodeView, Errno> {
        self.nodes.get(&id).map(|node| node.view.clone()).ok_or(Errno::EBADF)
    }

    /// The nearest directory at or above a directory that has an fd, and the way down from it.
    pub(crate) fn anchor(&mut self, id: NodeId) -> Result<Anchor, Errno> {
        let mut names = Vec::new();
        let mut at = id;
        loop {
            let node = self.nodes.get_mut(&at).ok_or(Errno::EBADF)?;
            if let Some((fd, used)) = &mut node.fd {
                let fd = Arc::clone(fd);
                if node.view.place != Place::Root {
                    self.used.remove(used);
                    self.clock += 1;
                    *used = self.clock;
                    self.used.insert(self.clock, at);
                }
                names.reverse();
                return Ok((fd, names));
            }
            match &node.view.place {
                Place::Entry { parent, name } => {
                    names.push(name.clone());
                    at = *parent;
                }
                Place::Root | Place::Detached => return Err(Errno::ESTALE),
            }
        }
    }

    /// Keeps the fd of a directory; gives back those that are to be closed for it, so that the
    /// caller can do it without the table's lock.
    #[must_use]
    pub(crate) fn keep(&mut self, id: NodeId, fd: &Arc<OwnedFd>) -> Vec<Arc<OwnedFd>> {
        match self.nodes.get_mut(&id) {
            Some(node) if node.fd.is_none() => {
                self.clock += 1;
                node.fd = Some((Arc::clone(fd), self.clock));
                self.used.insert(self.clock, id);
            }
            _ => {}
        }
        self.shed(self.max_fds)
    }

    /// Takes fds out of the table, the least recently used first, until `keep` are left.
    #[must_use]
    pub(crate) fn shed(&mut self, keep: usize) -> Vec<Arc<OwnedFd>> {
        let mut closed = Vec::new();
        while self.used.len() > keep {
            let Some((_, id)) = self.used.pop_first() else { break };
            if let Some((fd, _)) = self.nodes.get_mut(&id).and_then(|node| node.fd.take()) {
                closed.push(fd);
            }
        }
        closed
    }

    /// How many fds are kept for directories that are no roots.
    pub(crate) fn kept(&self) -> usize {
        self.used.len()
    }

    /// The node for a name that was just looked up, with one reference more.
    pub(crate) fn enter(
        &mut self,
        parent: NodeId,
        name: &[u8],
        identity: Identity,
    ) -> Result<NodeId, Errno> {
        let directory = self.nodes.get(&parent).ok_or(Errno::ESTALE)?;
        let root = directory.view.root;
        if let Some(&id) = directory.children.get(name) {
            if let Some(node) = self.nodes.get_mut(&id)
                && node.view.identity == identity
            {
                node.references = node.references.saturating_add(1);
                return Ok(id);
            }
            self.detach(parent, name);
        }
        if self.nodes.len() >= self.max_nodes {
            return Err(Errno::ENFILE);
        }
        let id = NodeId(self.next);
        let place = Place::Entry { parent, name: name.into() };
        let view = NodeView { root, identity, place };
        // Detaching may have been the last thing that kept the directory.
        let directory = self.nodes.get_mut(&parent).ok_or(Errno::ESTALE)?;
        directory.children.insert(name.into(), id);
        self.next += 1;
        self.nodes.insert(id, Node { view, references: 1, children: BTreeMap::new(), fd: None });
        Ok(id)
    }

    /// Takes references back.
    pub(crate) fn forget(&mut self, id: NodeId, count: u64) {
        if let Some(node) = self.nodes.get_mut(&id)
            && node.view.place != Place::Root
        {
            node.references = node.references.saturating_sub(count);
            self.collect(id);
        }
    }

    /// Removes a node that nothing needs, and then perhaps its directory, and so on upwards.
    fn collect(&mut self, id: NodeId) {
        let mut at = id;
        loop {
            match self.nodes.get(&at) {
                Some(node)
                    if node.references == 0
                        && node.children.is_empty()
                        && node.view.place != Place::Root => {}
                _ => return,
            }
            let Some(node) = self.nodes.remove(&at) else { return };
            if let Some((_, used)) = node.fd {
                self.used.remove(&used);
            }
            let Place::Entry { parent, name } = node.view.place else { return };
            if let Some(directory) = self.nodes.get_mut(&parent) {
                directory.children.remove(&name);
            }
            at = parent;
        }
    }

    /// The name no longer leads to the node it led to.
    pub(crate) fn detach(&mut self, parent: NodeId, name: &[u8]) {
        let Some(id) = self.unlink(parent, name) else { return };
        if let Some(node) = self.nodes.get_mut(&id) {
            node.view.place = Place::Detached;
        }
        self.collect(id);
        self.collect(parent);
    }

    /// Follows a rename that the host has done.
    pub(crate) fn rename(
        &mut self,
        (old_parent, old_name): (NodeId, &[u8]),
        (new_parent, new_name): (NodeId, &[u8]),
        exchange: bool,
    ) {
        if (old_parent, old_name) == (new_parent, new_name) {
            return;
        }
        let moved = self.unlink(old_parent, old_name);
        let other = self.unlink(new_parent, new_name);
        // rename(2) of one hard link onto another does nothing; then a walk will find the old
        // name again, and make a node of its own for it.
        self.place(moved, new_parent, new_name);
        if exchange {
            self.place(other, old_parent, old_name);
        } else if let Some(id) = other {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.view.place = Place::Detached;
            }
            self.collect(id);
        }
        self.collect(old_parent);
        self.collect(new_parent);
    }

    fn unlink(&mut self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.nodes.get_mut(&parent)?.children.remove(name)
    }

    fn place(&mut self, id: Option<NodeId>, parent: NodeId, name: &[u8]) {
        let Some(id) = id else { return };
        let known = !self.is_beneath(parent, id)
            && self.nodes.get_mut(&parent).is_some_and(|directory| {
                directory.children.insert(name.into(), id);
                true
            });
        if let Some(node) = self.nodes.get_mut(&id) {
            node.view.place =
                if known { Place::Entry { parent, name: name.into() } } else { Place::Detached };
        }
    }

    /// Whether the table has `id` at or beneath `above`. The host allows no directory to move into
    /// itself, but where others have moved directories meanwhile the table may see one: without
    /// this check it would get a circle.
    fn is_beneath(&self, id: NodeId, above: NodeId) -> bool {
        let mut at = id;
        loop {
            if at == above {
                return true;
            }
            match self.nodes.get(&at).map(|node| &node.view.place) {
                Some(Place::Entry { parent, .. }) => at = *parent,
                _ => return false,
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(ino: u64, mode: u32) -> Identity {
        Identity::of(&Attr { ino, mode, ..Attr::default() })
    }

    fn fd() -> Arc<OwnedFd> {
        Arc::new(std::fs::File::open("/dev/null").unwrap().into())
    }

    fn table(max_nodes: usize, max_fds: usize) -> NodeTable {
        NodeTable::new([(fd(), identity(1, libc::S_IFDIR))].into_iter(), max_nodes, max_fds)
    }

    const ROOT: NodeId = NodeId(1);

    #[test]
    fn a_name_keeps_its_node_while_it_leads_to_the_same_file() {
        let mut table = table(10, 10);
        let a = table.enter(ROOT, b"a", identity(2, libc::S_IFREG)).unwrap();
        assert_eq!(table.enter(ROOT, b"a", identity(2, libc::S_IFREG)), Ok(a));
        let b = table.enter(ROOT, b"a", identity(3, libc::S_IFREG)).unwrap();
        assert_ne!(a, b);
        assert_eq!(table.get(a).unwrap().place, Place::Detached);
        table.forget(a, 2);
        table.forget(b, 1);
        assert_eq!(table.len(), 1);
        table.forget(ROOT, 1000);
        assert!(table.get(ROOT).is_ok());
    }

    #[test]
    fn a_directory_lives_as_long_as_its_children() {
        let mut table = table(10, 10);
        let dir = table.enter(ROOT, b"d", identity(2, libc::S_IFDIR)).unwrap();
        let file = table.enter(dir, b"f", identity(3, libc::S_IFREG)).unwrap();
        table.forget(dir, 1);
        assert!(table.get(dir).is_ok());
        table.forget(file, u64::MAX);
        assert_eq!(table.get(dir).unwrap_err(), Errno::EBADF);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn fds_are_bounded_and_the_oldest_go_first() {
        let mut table = table(10, 2);
        let ids: Vec<_> = (0..4u8)
            .map(|i| table.enter(ROOT, &[b'a' + i], identity(10 + u64::from(i), libc::S_IFDIR)))
            .map(Result::unwrap)
            .collect();
        let _ = table.keep(ids[0], &fd());
        let _ = table.keep(ids[1], &fd());
        table.anchor(ids[0]).unwrap();
        assert_eq!(table.keep(ids[2], &fd()).len(), 1);
        assert_eq!(table.kept(), 2);
        assert!(table.anchor(ids[0]).unwrap().1.is_empty());
        assert_eq!(table.anchor(ids[1]).unwrap().1, [b"b".as_slice().into()]);
        assert_eq!(table.shed(0).len(), 2);
        for id in ids {
            table.forget(id, 1);
        }
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn renames_carry_nodes_along() {
        let mut table = table(10, 2);
        let dir = table.enter(ROOT, b"d", identity(2, libc::S_IFDIR)).unwrap();
        let a = table.enter(ROOT, b"a", identity(3, libc::S_IFREG)).unwrap();
        let b = table.enter(dir, b"b", identity(4, libc::S_IFREG)).unwrap();
        table.rename((ROOT, b"a"), (dir, b"b"), true);
        assert_eq!(table.get(a).unwrap().place, Place::Entry { parent: dir, name: (*b"b").into() });
        assert_eq!(
            table.get(b).unwrap().place,
            Place::Entry { parent: ROOT, name: (*b"a").into() }
        );
        table.rename((dir, b"b"), (ROOT, b"a"), false);
        assert_eq!(table.get(b).unwrap().place, Place::Detached);
        for id in [a, b, dir] {
            table.forget(id, 1);
        }
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn no_circles() {
        let mut table = table(10, 2);
        let x = table.enter(ROOT, b"x", identity(2, libc::S_IFDIR)).unwrap();
        let y = table.enter(x, b"y", identity(3, libc::S_IFDIR)).unwrap();
        table.rename((ROOT, b"x"), (y, b"x"), false);
        assert_eq!(table.get(x).unwrap().place, Place::Detached);
        assert_eq!(table.anchor(y).unwrap_err(), Errno::ESTALE);
        table.forget(x, 1);
        table.forget(y, 1);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn nodes_are_bounded() {
        let mut table = table(1, 2);
        table.enter(ROOT, b"a", identity(3, libc::S_IFREG)).unwrap();
        let full = table.enter(ROOT, b"b", identity(4, libc::S_IFREG));
        assert_eq!(full, Err(Errno::ENFILE));
    }
}
