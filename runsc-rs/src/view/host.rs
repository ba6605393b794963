//! What the host has, without opening any of it.

use sentry::config::Attributes;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Symbolic links followed on one path before it is a loop, as Linux has it.
const MAX_LINKS: usize = 40;

/// The host's files, from some directory on: `/`, or in tests one that looks like it.
#[derive(Clone, Debug)]
pub struct Host {
    base: PathBuf,
}

/// How a path leads to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The symbolic links on the way: where each lies (a path without links), and its target.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Where the way ends: a path without links and dots.
    pub end: PathBuf,
}

impl Host {
    /// The host as this process sees it.
    pub fn real() -> Host {
        Host { base: PathBuf::from("/") }
    }

    /// A host whose `/` is `base`.
    pub fn at(base: PathBuf) -> Host {
        Host { base }
    }

    /// Where an absolute path really is.
    pub fn locate(&self, path: &Path) -> PathBuf {
        self.base.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The attributes of a file, of the link itself if it is one.
    pub fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        std::fs::symlink_metadata(self.locate(path))
    }

    /// Where a link leads.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(self.locate(path))
    }

    /// Is it a directory, and not a link to one?
    pub fn is_dir(&self, path: &Path) -> bool {
        self.lstat(path).is_ok_and(|metadata| metadata.is_dir())
    }

    /// The names in a directory, in order; none where it cannot be read.
    pub fn names(&self, path: &Path) -> Vec<std::ffi::OsString> {
        let entries = std::fs::read_dir(self.locate(path)).into_iter().flatten();
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    }

    /// What a made-up directory must look like to pass for the host's.
    pub fn attributes(&self, path: &Path) -> Option<Attributes> {
        let metadata = self.lstat(path).ok().filter(Metadata::is_dir)?;
        Some(Attributes {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: Some((metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap_or(0))),
        })
    }

    /// Follows an absolute path, links and all, to a file that exists.
    pub fn trace(&self, path: &Path) -> io::Result<Trace> {
        let mut links = Vec::new();
        let mut end = PathBuf::from("/");
        let mut pending = components(path);
        while let Some(name) = pending.pop() {
            if name.as_os_str() == ".." {
                end.pop();
                continue;
            }
            let next = end.join(&name);
            let metadata = self.lstat(&next)?;
            if !metadata.is_symlink() {
                if !pending.is_empty() && !metadata.is_dir() {
                    return Err(rustix::io::Errno::NOTDIR.into());
                }
                end = next;
                continue;
            }
            if links.len() == MAX_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = self.read_link(&next)?;
            if target.is_absolute() {
                end = PathBuf::from("/");
            }
            pending.extend(components(&target));
            links.push((next, target));
        }
        Ok(Trace { links, end })
    }
}

/// The names of a path, last first, `..` among them.
fn components(path: &Path) -> Vec<PathBuf> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_followed_through_links() {
        let dir = TempDir::new();
        dir.file("usr/bin/tool-1.0", "");
        symlink("usr/bin", dir.path().join("bin")).unwrap();
        symlink("/bin/../bin/tool-1.0", dir.path().join("usr/bin/tool")).unwrap();
        let host = Host::at(dir.path().to_owned());
        let trace = host.trace(Path::new("/bin/./tool")).unwrap();
        assert_eq!(trace.end, Path::new("/usr/bin/tool-1.0"));
        let places: Vec<_> = trace.links.iter().map(|(place, _)| place.as_path()).collect();
        assert_eq!(places, [Path::new("/bin"), Path::new("/usr/bin/tool"), Path::new("/bin")]);
        assert_eq!(host.trace(Path::new("/../..")).unwrap().end, Path::new("/"));
    }

    #[test]
    fn loops_and_missing_files_are_errors() {
        let dir = TempDir::new();
        dir.file("file", "");
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let host = Host::at(dir.path().to_owned());
        for path in ["/a", "/nothing", "/file/x"] {
            assert!(host.trace(Path::new(path)).is_err(), "{path}");
        }
    }
}
