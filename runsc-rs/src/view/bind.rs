//! `--ro SRC[:DST]`, `--rw SRC[:DST]`, `--tmpfs DST`, `--root DIR`: what the caller asks to be
//! shown.

use super::host::Host;
use crate::error::{Context, Failure, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// A directory or file of the host, and where the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host: a path without links.
    pub source: PathBuf,
    /// Where the guest sees it.
    pub target: PathBuf,
    /// Whether changes are refused.
    pub read_only: bool,
}

impl Bind {
    /// From the value of an option. A colon in a path is written `\:`.
    pub fn parse(value: &OsStr, read_only: bool, host: &Host, cwd: &Path) -> Result<Bind> {
        let option = if read_only { "--ro" } else { "--rw" };
        let fail =
            |what: &str| Failure::own(format!("{option} {}: {what}", Path::new(value).display()));
        let (source, target) = match split(value) {
            Some(parts) => parts,
            None => return Err(fail("write it as SRC or SRC:DST (a colon in a path as \\:)")),
        };
        if source.as_os_str().is_empty() {
            return Err(fail("no source is given; write it as SRC or SRC:DST"));
        }
        let absolute = cwd.join(&source);
        let trace = host
            .trace(&absolute)
            .context(|| format!("{option} {}: cannot find {}", shown(value), source.display()))?;
        let metadata = host
            .lstat(&trace.end)
            .context(|| format!("{option} {}: cannot look at the source", shown(value)))?;
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(fail("only directories and regular files can be shown"));
        }
        let target = match target {
            Some(target) => check_target(&target).map_err(|what| fail(&what))?,
            None => plain(host, &absolute),
        };
        if target == Path::new("/") {
            return Err(fail("the root directory cannot be covered; use --root"));
        }
        Ok(Bind { source: trace.end, target, read_only })
    }
}

/// The mount point of `--tmpfs`.
pub fn parse_tmpfs(value: &Path) -> Result<PathBuf> {
    let fail = |what: &str| Failure::own(format!("--tmpfs {}: {what}", value.display()));
    match check_target(value) {
        Ok(target) if target == Path::new("/") => Err(fail("the root directory is in memory")),
        Ok(target) => Ok(target),
        Err(what) => Err(fail(&what)),
    }
}

/// The directory of `--root`.
pub fn parse_root(value: &Path, host: &Host, cwd: &Path) -> Result<PathBuf> {
    let trace = host
        .trace(&cwd.join(value))
        .context(|| format!("--root {}: cannot find it", value.display()))?;
    match host.is_dir(&trace.end) {
        true => Ok(trace.end),
        false => Err(Failure::own(format!("--root {}: not a directory", value.display()))),
    }
}

fn shown(value: &OsStr) -> String {
    Path::new(value).display().to_string()
}

/// Source and target; None where there is a colon too many.
fn split(value: &OsStr) -> Option<(PathBuf, Option<PathBuf>)> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let current = parts.last_mut()?;
        match byte {
            b'\\' if bytes.peek() == Some(&b':') => current.extend(bytes.next()),
            b':' => parts.push(Vec::new()),
            _ => current.push(byte),
        }
    }
    let mut parts = parts.into_iter().map(|part| PathBuf::from(OsString::from_vec(part)));
    let (source, target) = (parts.next()?, parts.next());
    if parts.next().is_some() { None } else { Some((source, target)) }
}

/// An absolute path without `.` and `..`.
fn check_target(target: &Path) -> std::result::Result<PathBuf, String> {
    if !target.is_absolute() {
        return Err(format!("{} must be an absolute path", target.display()));
    }
    if target.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{} must not contain '..'", target.display()));
    }
    // Drops `.` and doubled slashes.
    Ok(target.components().collect())
}

/// The path where the caller sees the source: links among the directories followed, so that it
/// has no `..`, but not one at the end.
fn plain(host: &Host, absolute: &Path) -> PathBuf {
    let followed = |path: &Path| host.trace(path).map(|trace| trace.end).unwrap_or(path.into());
    match (absolute.parent(), absolute.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => followed(parent).join(name),
        _ => followed(absolute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::os::unix::fs::symlink;

    fn host() -> (TempDir, Host) {
        let dir = TempDir::new();
        dir.dir("data/sub");
        dir.file("data/a:b", "");
        symlink("/data", dir.path().join("link")).unwrap();
        let host = Host::at(dir.path().to_owned());
        (dir, host)
    }

    fn parse(value: &str) -> std::result::Result<(PathBuf, PathBuf), String> {
        let (_dir, host) = host();
        Bind::parse(OsStr::new(value), true, &host, Path::new("/data/sub"))
            .map(|bind| (bind.source, bind.target))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn sources_and_targets() {
        for (value, source, target) in [
            ("/data", "/data", "/data"),
            ("/data:/x", "/data", "/x"),
            (".", "/data/sub", "/data/sub"),
            ("..", "/data", "/data"),
            ("../sub:/x//y/./z", "/data/sub", "/x/y/z"),
            ("/link", "/data", "/link"),
            ("/link/sub", "/data/sub", "/data/sub"),
            ("/data/a\\:b", "/data/a:b", "/data/a:b"),
        ] {
            assert_eq!(parse(value), Ok((source.into(), target.into())), "{value}");
        }
    }

    #[test]
    fn bad_values_say_what_is_wrong() {
        for (value, word) in [
            ("", "no source"),
            (":/x", "no source"),
            ("/nothing", "cannot find /nothing: No such file"),
            ("/data:x", "absolute"),
            ("/data:/x/../y", "'..'"),
            ("/data:/", "--root"),
            ("/", "--root"),
            ("/data:/x:ro", "SRC:DST"),
            ("/data/a:b", "cannot find"),
        ] {
            let message = parse(value).unwrap_err();
            assert!(message.starts_with("--ro ") && message.contains(word), "{value}: {message}");
        }
    }

    #[test]
    fn roots() {
        let (_dir, host) = host();
        let cwd = Path::new("/data");
        assert_eq!(parse_root(Path::new("sub"), &host, cwd), Ok("/data/sub".into()));
        assert!(
            parse_root(Path::new("a:b"), &host, cwd).unwrap_err().message.contains("not a dir")
        );
        assert!(parse_root(Path::new("no"), &host, cwd).is_err());
    }
}
