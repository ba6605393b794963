//! Fixed trees of directories, files and links, made from tables.

use super::Flavor;
use super::dir::{DirInode, Directory, FIRST};
use super::link::{Link, LinkInode};
use super::text::{Text, TextInode};
use abi::file::FileType;
use abi::{Errno, SysResult};
use std::borrow::Cow;
use std::sync::Arc;
use vfs::cred::MAY_WRITE;
use vfs::{Attr, Credentials, DirEntry, DirSink, InodeRef, LinkTarget};

/// What the functions of a tree's tables get.
pub(crate) trait Context: Send + Sync + 'static {
    /// Of which file system the tree is.
    fn flavor(&self) -> Flavor;
}

/// Makes a text.
pub(crate) type Generate<C> = fn(&C) -> SysResult<Vec<u8>>;

/// Takes a write.
pub(crate) type Store<C> = fn(&C, &[u8]) -> SysResult<()>;

/// One entry of a table.
pub(crate) enum Entry<C> {
    /// A directory with permissions 0555.
    Dir(Entries<C>),
    /// A file that never changes.
    Fixed(Cow<'static, str>),
    /// A setting: as a fixed file, but with the mode it has in Linux (0644). Nobody can change it,
    /// as in a container, where it is on a read-only mount (EROFS).
    Setting(Cow<'static, str>),
    /// A file made when it is read, with these permissions.
    Text(u32, Generate<C>),
    /// A file that root can write.
    Stored(Generate<C>, Store<C>),
    /// A link to this.
    Link(Cow<'static, str>),
    /// A link that depends on who asks.
    DynamicLink(Generate<C>),
}

/// A directory's entries: name, what.
pub(crate) type Entries<C> = Vec<(Cow<'static, str>, Entry<C>)>;

/// Entries with names that the program has.
pub(crate) fn entries<C, const N: usize>(list: [(&'static str, Entry<C>); N]) -> Entries<C> {
    list.into_iter().map(|(name, entry)| (Cow::Borrowed(name), entry)).collect()
}

/// Settings: name and value, a line each.
pub(crate) fn settings<C>(list: &[(&'static str, &'static str)]) -> Entries<C> {
    let line = |value: &str| Entry::Setting(format!("{value}\n").into());
    list.iter().map(|(name, value)| (Cow::Borrowed(*name), line(value))).collect()
}

/// Makes inodes with consecutive numbers.
pub(crate) struct Builder<C> {
    context: Arc<C>,
    next_ino: u64,
    dir_mode: u32,
}

impl<C: Context> Builder<C> {
    /// Numbers begin at `first_ino`; directories get `dir_mode`.
    pub fn new(context: Arc<C>, first_ino: u64, dir_mode: u32) -> Builder<C> {
        Builder { context, next_ino: first_ino, dir_mode }
    }

    /// A directory with these entries. `parent`: `st_ino` of its "..", None where it is a root.
    pub fn dir(&mut self, list: Entries<C>, parent: Option<u64>) -> StaticDir {
        let ino = self.take_ino();
        let children = list
            .into_iter()
            .map(|(name, entry)| {
                let child_ino = self.next_ino;
                let (kind, inode) = self.entry(entry, ino);
                Child { name, ino: child_ino, kind, inode }
            })
            .collect();
        let flavor = self.context.flavor();
        StaticDir { flavor, mode: self.dir_mode, ino, parent: parent.unwrap_or(ino), children }
    }

    fn take_ino(&mut self) -> u64 {
        let ino = self.next_ino;
        self.next_ino += 1;
        ino
    }

    /// The inode for an entry of the directory `parent`; its number is the next one.
    fn entry(&mut self, entry: Entry<C>, parent: u64) -> (FileType, InodeRef) {
        let (mode, content) = match entry {
            Entry::Dir(list) => {
                let dir = DirInode::make(self.dir(list, Some(parent)));
                return (FileType::Directory, dir);
            }
            Entry::Link(target) => return self.link(Target::Fixed(target)),
            Entry::DynamicLink(generate) => return self.link(Target::Dynamic(generate)),
            Entry::Fixed(text) => (0o444, Content::Fixed(text)),
            Entry::Setting(text) => (0o644, Content::Setting(text)),
            Entry::Text(mode, generate) => (mode, Content::Text(generate)),
            Entry::Stored(generate, store) => (0o644, Content::Stored(generate, store)),
        };
        let ino = self.take_ino();
        let file = StaticText { context: self.context.clone(), ino, mode, content };
        (FileType::Regular, TextInode::make(file))
    }

    fn link(&mut self, target: Target<C>) -> (FileType, InodeRef) {
        let ino = self.take_ino();
        let link = StaticLink { context: self.context.clone(), ino, target };
        (FileType::Symlink, LinkInode::make(link))
    }
}

struct Child {
    name: Cow<'static, str>,
    ino: u64,
    kind: FileType,
    inode: InodeRef,
}

/// A directory that never changes.
pub(crate) struct StaticDir {
    flavor: Flavor,
    mode: u32,
    ino: u64,
    parent: u64,
    children: Vec<Child>,
}

impl StaticDir {
    /// The number of directories in it.
    pub fn subdirs(&self) -> u32 {
        self.children.iter().filter(|child| child.kind == FileType::Directory).count() as u32
    }

    /// The position after its last entry.
    pub fn end(&self) -> u64 {
        FIRST + self.children.len() as u64
    }

    /// As [`Directory::list`]; false when the sink is full.
    pub fn list_until_full(&self, pos: u64, sink: &mut DirSink<'_>) -> bool {
        let entries = self.children.iter().zip(FIRST..).filter(|(_, at)| *at >= pos);
        let mut entries = entries.map(|(child, at)| DirEntry {
            ino: child.ino,
            next: at + 1,
            kind: child.kind,
            name: child.name.as_bytes(),
        });
        entries.all(sink)
    }
}

impl Directory for StaticDir {
    fn flavor(&self) -> Flavor {
        self.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        let attr = self.flavor.attr(FileType::Directory, self.mode, self.ino);
        Ok(Attr { nlink: 2 + self.subdirs(), ..attr })
    }

    fn parent_ino(&self) -> u64 {
        self.parent
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        let child = self.children.iter().find(|child| child.name.as_bytes() == name);
        child.map(|child| child.inode.clone()).ok_or(Errno::ENOENT)
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        self.list_until_full(pos, sink);
        Ok(())
    }

    fn caches_lookups(&self) -> bool {
        true
    }
}

enum Content<C> {
    Fixed(Cow<'static, str>),
    Setting(Cow<'static, str>),
    Text(Generate<C>),
    Stored(Generate<C>, Store<C>),
}

struct StaticText<C> {
    context: Arc<C>,
    ino: u64,
    mode: u32,
    content: Content<C>,
}

impl<C: Context> Text for StaticText<C> {
    fn flavor(&self) -> Flavor {
        self.context.flavor()
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.flavor().attr(FileType::Regular, self.mode, self.ino))
    }

    fn generate(&self) -> SysResult<Vec<u8>> {
        match &self.content {
            Content::Fixed(text) | Content::Setting(text) => Ok(text.as_bytes().to_vec()),
            Content::Text(generate) | Content::Stored(generate, _) => generate(&self.context),
        }
    }

    fn store(&self, data: &[u8]) -> SysResult<()> {
        match &self.content {
            Content::Stored(_, store) => store(&self.context, data),
            _ => Err(Errno::EIO),
        }
    }

    fn permission(&self, _cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        let refused = matches!(self.content, Content::Setting(_)) && mask & MAY_WRITE != 0;
        refused.then_some(Err(Errno::EROFS))
    }
}

enum Target<C> {
    Fixed(Cow<'static, str>),
    Dynamic(Generate<C>),
}

struct StaticLink<C> {
    context: Arc<C>,
    ino: u64,
    target: Target<C>,
}

impl<C: Context> Link for StaticLink<C> {
    fn flavor(&self) -> Flavor {
        self.context.flavor()
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.flavor().attr(FileType::Symlink, 0o777, self.ino))
    }

    fn target(&self) -> SysResult<LinkTarget> {
        Ok(LinkTarget::Path(match &self.target {
            Target::Fixed(target) => target.as_bytes().to_vec(),
            Target::Dynamic(generate) => generate(&self.context)?,
        }))
    }
}
