//! What the guest sees: which files of the host, where, and what is made up around them.
//!
//! Computed before anything is opened or started. Nothing of the host is visible but by a line
//! here: `Builder::show` is the only place where a root is handed out.

mod bind;
mod host;
mod system;

pub use bind::{Bind, parse_root, parse_tmpfs};
pub use host::Host;

use sentry::config::{Attributes, MountKind, Step, ViewConfig};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files of the host that the gofer serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoot {
    /// The number by which the sentry knows it.
    pub id: u32,
    /// Where it is: a directory or a regular file.
    pub source: PathBuf,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whether others may change it meanwhile.
    pub shared: bool,
}

/// What is visible, and how it is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// For the sentry.
    pub config: ViewConfig,
    /// For the gofer.
    pub roots: Vec<HostRoot>,
    /// Where the program starts unless the caller says otherwise: the caller's own directory, if
    /// it is there.
    pub cwd: PathBuf,
}

/// What the view depends on.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// `--root`, followed to its end.
    pub root: Option<&'a Path>,
    /// The caller's current directory, without links. None where it is gone.
    pub cwd: Option<&'a Path>,
    /// The program's file, if the caller named it by a path.
    pub program: Option<&'a Path>,
    /// The home directory to make up, empty.
    pub home: Option<&'a Path>,
    /// `--ro` and `--rw`.
    pub binds: &'a [Bind],
    /// `--tmpfs`.
    pub tmpfs: &'a [PathBuf],
}

impl View {
    /// Decides what is visible.
    pub fn new(host: &Host, request: &Request<'_>) -> View {
        let mut builder = match request.root {
            Some(root) => system::other_root(host, root),
            None => system::default_root(host, request),
        };
        // What the caller asks for comes instead of what is made up: nothing of the latter may end
        // up in a directory of the host that is shown there.
        for target in request.binds.iter().map(|bind| &bind.target).chain(request.tmpfs) {
            builder.clear(target);
        }
        for bind in request.binds {
            builder.parents(&bind.target);
            let root = builder.show(&bind.source, bind.read_only, true);
            builder.mount(&bind.target, MountKind::Gofer { root, read_only: bind.read_only });
        }
        for path in request.tmpfs {
            builder.parents(path);
            let attributes = Attributes::root_owned(0o1777);
            builder.mount(path, MountKind::Memory { attributes });
        }
        let cwd = request.cwd.filter(|cwd| builder.copies_host && builder.is_shown(cwd));
        builder.finish(cwd.unwrap_or(Path::new("/")))
    }
}

/// A view in the making. Every path is absolute and without dots.
struct Builder<'a> {
    host: &'a Host,
    /// Attributes of made-up directories are the host's?
    copies_host: bool,
    root: MountKind,
    directories: BTreeMap<PathBuf, Attributes>,
    links: BTreeMap<PathBuf, PathBuf>,
    mounts: BTreeMap<PathBuf, MountKind>,
    roots: Vec<HostRoot>,
}

impl<'a> Builder<'a> {
    fn new(host: &'a Host) -> Builder<'a> {
        let attributes = host.attributes(Path::new("/")).unwrap_or(Attributes::root_owned(0o755));
        Builder {
            host,
            copies_host: true,
            root: MountKind::Memory { attributes },
            directories: BTreeMap::new(),
            links: BTreeMap::new(),
            mounts: BTreeMap::new(),
            roots: Vec::new(),
        }
    }

    /// Makes files of the host available; gives the number to mount them by.
    fn show(&mut self, source: &Path, read_only: bool, shared: bool) -> u32 {
        // A view has some dozens of roots.
        let id = self.roots.len() as u32;
        self.roots.push(HostRoot { id, source: source.to_owned(), read_only, shared });
        id
    }

    /// Mounts something; what was to be mounted there before is forgotten.
    fn mount(&mut self, path: &Path, kind: MountKind) {
        self.mounts.insert(path.to_owned(), kind);
    }

    /// Forgets what was to be at a path and below it.
    fn clear(&mut self, path: &Path) {
        self.directories.retain(|other, _| !other.starts_with(path));
        self.links.retain(|other, _| !other.starts_with(path));
        self.mounts.retain(|other, _| !other.starts_with(path));
    }

    /// Mounts a directory of the host at its own path, with memory above it.
    fn overlay(&mut self, path: &Path) {
        let root = self.show(path, true, false);
        self.mount(path, MountKind::Overlay { root });
    }

    /// What covers a path.
    fn covering(&self, path: &Path) -> &MountKind {
        path.ancestors().find_map(|above| self.mounts.get(above)).unwrap_or(&self.root)
    }

    /// Are the host's own files seen there?
    fn is_shown(&self, path: &Path) -> bool {
        matches!(self.covering(path), MountKind::Overlay { .. } | MountKind::Gofer { .. })
    }

    /// Can something be made up there?
    fn is_free(&self, path: &Path) -> bool {
        matches!(self.covering(path), MountKind::Memory { .. })
    }

    /// Makes up a directory that looks like the host's, and those above it.
    fn directory(&mut self, path: &Path) {
        self.parents(path);
        let taken = self.directories.contains_key(path) || self.links.contains_key(path);
        if self.is_free(path) && !taken {
            let copied = if self.copies_host { self.host.attributes(path) } else { None };
            let attributes = copied.unwrap_or(Attributes::root_owned(0o755));
            self.directories.insert(path.to_owned(), attributes);
        }
    }

    /// Makes up the directories above a path.
    fn parents(&mut self, path: &Path) {
        if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("/")) {
            self.directory(parent);
        }
    }

    /// Makes up a symbolic link.
    fn link(&mut self, path: &Path, target: &Path) {
        self.parents(path);
        if self.is_free(path) {
            self.links.insert(path.to_owned(), target.to_owned());
        }
    }

    /// Puts the steps in order. Shallow ones come first, so that what lies in something comes
    /// after it, whatever the order in which it was asked for.
    fn finish(self, cwd: &Path) -> View {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        // A root that was covered by another mount at the same place is of no use to anybody.
        let used = |id: u32| {
            self.mounts.values().chain([&self.root]).any(|kind| match kind {
                MountKind::Overlay { root } | MountKind::Gofer { root, .. } => *root == id,
                _ => false,
            })
        };
        let roots = self.roots.iter().filter(|root| used(root.id)).cloned().collect();
        let mut steps = Vec::new();
        for (path, attributes) in self.directories {
            steps.push(Step::Directory { path: bytes(&path), attributes });
        }
        for (path, target) in self.links {
            steps.push(Step::Symlink { path: bytes(&path), target: bytes(&target) });
        }
        for (path, kind) in self.mounts {
            steps.push(Step::Mount { path: bytes(&path), kind });
        }
        steps.sort_by_key(|step| step.path().iter().filter(|byte| **byte == b'/').count());
        View { config: ViewConfig { root: self.root, steps }, roots, cwd: cwd.to_owned() }
    }
}

#[cfg(test)]
mod tests;
