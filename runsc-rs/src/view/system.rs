//! The two kinds of root: the default one, made of the host's system directories, and another
//! root file system.

use super::host::Host;
use super::{Builder, Request};
use sentry::config::{Attributes, MountKind};
use std::path::Path;

/// Directories at the top whose files are shown, where the host has them. A symbolic link of that
/// name (`/bin` on merged systems) stays a link. Names that begin with `lib` belong to them.
const SYSTEM: &[&str] = &["bin", "sbin", "usr", "etc", "opt"];

/// Packages of systems that keep them elsewhere.
const STORES: &[&str] = &["/nix/store", "/gnu/store"];

/// Directories that are there, empty, where the host has them: programs expect to find them, and
/// the list of names says nothing about the host. In them, so are those on the second list.
const EMPTY: &[&str] = &["boot", "home", "media", "mnt", "root", "run", "srv", "var", "run/lock"];

/// What is empty below /var, as far as the host has it.
const EMPTY_VAR: &[&str] = &["backups", "cache", "lib", "local", "lock", "log", "mail", "opt"];
const EMPTY_VAR_MORE: &[&str] = &["run", "spool", "lib/misc", "spool/mail"];

/// Fresh file systems in memory, and the permissions of their top.
const FRESH: &[(&str, u32)] =
    &[("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/run", 0o755), ("/dev/shm", 0o1777)];

/// The default view: nothing of the host but its system directories, the current directory and
/// the program.
pub fn default_root<'a>(host: &'a Host, request: &Request<'_>) -> Builder<'a> {
    let mut builder = Builder::new(host);
    builder.mount(Path::new("/proc"), MountKind::Proc);
    builder.mount(Path::new("/dev"), MountKind::Dev);
    builder.mount(Path::new("/dev/pts"), MountKind::Pts);
    builder.mount(Path::new("/sys"), MountKind::Sys);
    for (path, mode) in FRESH {
        fresh(&mut builder, path, *mode);
    }
    for name in host.names(Path::new("/")) {
        let is_system =
            name.to_str().is_some_and(|name| SYSTEM.contains(&name) || name.starts_with("lib"));
        if is_system {
            show_or_link(&mut builder, &Path::new("/").join(name));
        }
    }
    for store in STORES.iter().map(Path::new).filter(|store| host.is_dir(store)) {
        builder.parents(store);
        builder.overlay(store);
    }
    let var = EMPTY_VAR.iter().chain(EMPTY_VAR_MORE).map(|name| format!("/var/{name}"));
    for path in EMPTY.iter().map(|name| format!("/{name}")).chain(var) {
        let path = Path::new(&path);
        match host.lstat(path) {
            Ok(metadata) if metadata.is_dir() => builder.directory(path),
            // As /var/run -> /run. Where it leads to may be anything, and is not there.
            Ok(metadata) if metadata.is_symlink() => {
                if let Ok(target) = host.read_link(path) {
                    builder.link(path, &target);
                }
            }
            _ => {}
        }
    }
    // The root directory shows everything: a program started from there gets no more than from
    // anywhere else.
    if let Some(cwd) = request.cwd.filter(|cwd| *cwd != Path::new("/"))
        && builder.is_free(cwd)
        && host.is_dir(cwd)
    {
        builder.parents(cwd);
        builder.overlay(cwd);
    }
    if let Some(program) = request.program {
        show_program(&mut builder, program);
    }
    if let Some(home) = request.home.filter(|home| *home != Path::new("/")) {
        builder.directory(home);
    }
    builder
}

/// `--root`: one overlay, with what no file system can hold mounted over it.
pub fn other_root<'a>(host: &'a Host, root: &Path) -> Builder<'a> {
    let mut builder = Builder::new(host);
    builder.copies_host = root == Path::new("/");
    let id = builder.show(root, true, false);
    builder.root = MountKind::Overlay { root: id };
    builder.mount(Path::new("/proc"), MountKind::Proc);
    builder.mount(Path::new("/dev"), MountKind::Dev);
    builder.mount(Path::new("/dev/pts"), MountKind::Pts);
    fresh(&mut builder, "/dev/shm", 0o1777);
    // The host's own would tell about its hardware.
    builder.mount(Path::new("/sys"), MountKind::Sys);
    builder
}

fn fresh(builder: &mut Builder<'_>, path: &str, mode: u32) {
    let path = Path::new(path);
    builder.parents(path);
    let copied = if builder.copies_host { builder.host.attributes(path) } else { None };
    let attributes = Attributes { mtime: None, ..Attributes::root_owned(mode) };
    // Owner and permissions are what programs check; a host where /tmp is not sticky is none to
    // copy.
    let attributes =
        copied.map_or(attributes, |host| Attributes { mtime: host.mtime, ..attributes });
    builder.mount(path, MountKind::Memory { attributes });
}

fn show_or_link(builder: &mut Builder<'_>, path: &Path) {
    match builder.host.lstat(path) {
        Ok(metadata) if metadata.is_dir() => builder.overlay(path),
        Ok(metadata) if metadata.is_symlink() => {
            if let Ok(target) = builder.host.read_link(path) {
                builder.link(path, &target);
            }
        }
        _ => {}
    }
}

/// Shows the program's own file, with the links that lead to it, where nothing shows it already.
/// A program that is not there is the sentry's to report.
fn show_program(builder: &mut Builder<'_>, program: &Path) {
    let Ok(trace) = builder.host.trace(program) else { return };
    let is_file = builder.host.lstat(&trace.end).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return;
    }
    for (place, target) in &trace.links {
        builder.link(place, target);
    }
    if builder.is_free(&trace.end) {
        builder.parents(&trace.end);
        let root = builder.show(&trace.end, true, false);
        builder.mount(&trace.end, MountKind::Gofer { root, read_only: true });
    }
}
