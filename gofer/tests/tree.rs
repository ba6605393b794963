//! Looking at a tree: walks, directories of all sizes, many threads, few fds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use common::{Gofer, READ, ROOT, TempDir, limits, names, node, read, root, walk};
use gofer::Errno;
use gofer::protocol::{FileType, NodeId, OpenFlags, WalkStop};
use gofer::server::{Access, Limits};

fn sample() -> TempDir {
    let dir = TempDir::new();
    fs::create_dir_all(dir.path().join("usr/lib")).unwrap();
    fs::write(dir.path().join("usr/lib/libc.so"), "code").unwrap();
    symlink("lib", dir.path().join("usr/lib64")).unwrap();
    dir
}

#[test]
fn walk_open_and_stat_are_one_message() {
    let dir = sample();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    let info = gofer.roots()[0];
    assert_eq!((info.id, info.node, info.read_only, info.shared), (7, ROOT, true, true));

    let walked = gofer.walk(ROOT, &names("usr/lib/libc.so"), Some(READ)).unwrap();
    assert_eq!(walked.stop, WalkStop::Done);
    let host = fs::metadata(dir.path().join("usr/lib/libc.so")).unwrap();
    let attr = walked.nodes[2].attr;
    assert_eq!((attr.ino, attr.size, attr.mode), (host.ino(), host.size(), host.mode()));
    assert_eq!(
        (attr.mtime.seconds, i64::from(attr.mtime.nanoseconds)),
        (host.mtime(), host.mtime_nsec())
    );
    assert_eq!(gofer.stat(walked.nodes[2].node), Ok(attr));
    // The same name gives the same node.
    assert_eq!(node(&gofer, "usr/lib/libc.so"), walked.nodes[2].node);
    assert_eq!(read(&walked.file.unwrap().unwrap()), b"code");
}

#[test]
fn walks_stop_where_they_must() {
    let dir = sample();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    let missing = walk(&gofer, "usr/nothing/here");
    assert_eq!((missing.nodes.len(), missing.stop), (1, WalkStop::Missing));
    let file = walk(&gofer, "usr/lib/libc.so/x");
    assert_eq!((file.nodes.len(), file.stop), (3, WalkStop::NotDirectory));
    let link = walk(&gofer, "usr/lib64/libc.so");
    assert_eq!((link.nodes.len(), link.stop), (2, WalkStop::Symlink));
    assert_eq!(link.target.as_deref(), Some(&b"lib"[..]));
    assert_eq!(gofer.read_link(link.nodes[1].node).unwrap(), b"lib");
    let last = walk(&gofer, "usr/lib64");
    assert_eq!((last.stop, last.target.as_deref()), (WalkStop::Done, Some(&b"lib"[..])));
    let directory = gofer.walk(ROOT, &names("usr"), Some(READ)).unwrap();
    assert_eq!(directory.file.unwrap().unwrap_err(), Errno::EISDIR);
    let file = node(&gofer, "usr/lib/libc.so");
    assert_eq!(gofer.walk(file, &[b"x"], None).unwrap_err(), Errno::ENOTDIR);
    assert_eq!(gofer.read_dir_all(file).unwrap_err(), Errno::ENOTDIR);
    assert_eq!(gofer.read_link(file).unwrap_err(), Errno::EINVAL);
}

#[test]
fn revalidation_leaves_nothing_to_forget() {
    let dir = sample();
    let gofer =
        Gofer::start(vec![root(0, dir.path(), Access::ReadOnly)], Limits { nodes: 3, ..limits() });
    for _ in 0..10 {
        let walked = gofer.revalidate(ROOT, &names("usr/lib/libc.so")).unwrap();
        assert_eq!((walked.nodes.len(), walked.nodes[2].node), (3, NodeId::NONE));
        let walked = gofer.revalidate(ROOT, &names("usr/lib64")).unwrap();
        assert_eq!(walked.stop, WalkStop::Done);
    }
}

#[test]
fn nodes_are_forgotten_and_bounded() {
    let dir = TempDir::new();
    for i in 0..100 {
        fs::write(dir.path().join(i.to_string()), "").unwrap();
    }
    let gofer =
        Gofer::start(vec![root(0, dir.path(), Access::ReadOnly)], Limits { nodes: 10, ..limits() });
    for i in 0..100 {
        let file = node(&gofer, &i.to_string());
        gofer.forget(file, 1);
        gofer.flush_forgotten();
        // Forgetting is not answered; what comes after it is handled after it, or beside it.
        while gofer.stat(file) != Err(Errno::EBADF) {}
    }
    let kept: Vec<_> = (0..10).map(|i| node(&gofer, &i.to_string())).collect();
    assert_eq!(walk(&gofer, "11").stop, WalkStop::Failed(Errno::ENFILE));
    assert_eq!(gofer.stat(kept[0]).unwrap().size, 0);
}

#[test]
fn a_directory_of_20000_comes_with_all_attributes() {
    let dir = TempDir::new();
    for i in 0..20_000 {
        fs::File::create(dir.path().join(format!("entry-{i:05}"))).unwrap();
    }
    symlink("target", dir.path().join("link")).unwrap();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    let entries = gofer.read_dir_all(ROOT).unwrap();
    assert_eq!(entries.len(), 20_001);
    let distinct: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
    assert_eq!(distinct.len(), 20_001);
    for entry in &entries {
        let attr = entry.attr.unwrap();
        assert_eq!((attr.ino, attr.file_type()), (entry.ino, entry.file_type));
    }
    let link = entries.iter().find(|entry| entry.name == b"link").unwrap();
    assert_eq!(link.target.as_deref(), Some(&b"target"[..]));
}

#[test]
fn deep_trees_and_few_fds() {
    const DEPTH: usize = 1500;
    let dir = TempDir::new();
    let gofer = Gofer::start(
        vec![root(0, dir.path(), Access::ReadWrite)],
        Limits { kept_directories: 2, ..limits() },
    );
    let name = [b'n'; 100];
    let mut at = ROOT;
    for _ in 0..DEPTH {
        at = gofer.mkdir(at, &name, 0o755, Default::default()).unwrap().node;
    }
    let created = gofer.create(at, b"leaf", 0o644, Default::default(), OpenFlags::WRITE).unwrap();
    // Other directories push the fds of the deep ones out.
    for i in 0..5 {
        let name = format!("other{i}");
        let other = gofer.mkdir(ROOT, name.as_bytes(), 0o755, Default::default()).unwrap();
        gofer.read_dir_all(other.node).unwrap();
    }
    assert_eq!(gofer.stat(created.node.node).unwrap().file_type(), FileType::Regular);
    let path = vec![&name[..]; DEPTH];
    let walked = gofer.walk(ROOT, &path, None).unwrap();
    assert_eq!((walked.stop, walked.nodes.len()), (WalkStop::Done, DEPTH));
    assert_eq!(walked.nodes[DEPTH - 1].node, at);

    // Too deep for remove_dir_all by path: take it down from below.
    gofer.unlink(at, b"leaf").unwrap();
    for depth in (0..DEPTH).rev() {
        let parent = if depth == 0 { ROOT } else { walked.nodes[depth - 1].node };
        gofer.rmdir(parent, &name).unwrap();
    }
}

#[test]
fn a_root_may_be_a_file() {
    let dir = TempDir::new();
    let path = dir.path().join("resolv.conf");
    fs::write(&path, "old").unwrap();
    let gofer = Gofer::serve(&path, Access::ReadWrite);
    assert_eq!(gofer.roots()[0].attr.file_type(), FileType::Regular);
    let (file, _) = gofer.open(ROOT, OpenFlags::READ | OpenFlags::WRITE).unwrap();
    rustix::io::pwrite(&file, b"new", 0).unwrap();
    // Replaced on the host: the mount stays with the file it was made of, as Linux has it.
    fs::write(dir.path().join("other"), "other").unwrap();
    fs::rename(dir.path().join("other"), &path).unwrap();
    let (file, _) = gofer.open(ROOT, READ).unwrap();
    assert_eq!(read(&file), b"new");
    assert_eq!(gofer.walk(ROOT, &[b"x"], None).unwrap_err(), Errno::ENOTDIR);

    let gofer = Gofer::serve(&path, Access::ReadOnly);
    assert_eq!(gofer.open(ROOT, OpenFlags::WRITE).unwrap_err(), Errno::EROFS);
    assert_eq!(read(&gofer.open(ROOT, READ).unwrap().0), b"other");
}

#[test]
fn stale_nodes_say_so() {
    let dir = sample();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    let file = node(&gofer, "usr/lib/libc.so");
    let path = dir.path().join("usr/lib/libc.so");
    fs::write(dir.path().join("usr/new"), "newer").unwrap();
    fs::rename(dir.path().join("usr/new"), &path).unwrap();
    assert_eq!(gofer.stat(file).unwrap_err(), Errno::ESTALE);
    assert_eq!(gofer.open(file, READ).unwrap_err(), Errno::ESTALE);
    let again = node(&gofer, "usr/lib/libc.so");
    assert_ne!(file, again);
    assert_eq!(gofer.stat(again).unwrap().size, 5);
    fs::remove_file(&path).unwrap();
    assert_eq!(gofer.stat(again).unwrap_err(), Errno::ESTALE);
    assert_eq!(gofer.stat(NodeId(999)).unwrap_err(), Errno::EBADF);
}

#[test]
fn many_threads_share_one_client() {
    let dir = TempDir::new();
    for i in 0..8 {
        let sub = dir.path().join(i.to_string());
        fs::create_dir(&sub).unwrap();
        for j in 0..50 {
            fs::write(sub.join(j.to_string()), format!("{i}/{j}")).unwrap();
        }
    }
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let gofer = &gofer;
            scope.spawn(move || {
                for round in 0..20 {
                    for j in 0..50 {
                        let path = format!("{i}/{j}");
                        let walked = gofer.walk(ROOT, &names(&path), Some(READ)).unwrap();
                        assert_eq!(read(&walked.file.unwrap().unwrap()), path.as_bytes());
                        gofer.forget_all(&walked.nodes);
                    }
                    if round % 5 == 0 {
                        let directory = node(gofer, &i.to_string());
                        assert_eq!(gofer.read_dir_all(directory).unwrap().len(), 50);
                    }
                }
            });
        }
    });
}

#[test]
fn host_mounts_are_crossed_and_told_by_their_device() {
    if !Path::new("/proc/self").exists() {
        eprintln!("skipped: needs /proc");
        return;
    }
    let gofer = Gofer::serve(Path::new("/"), Access::ReadOnly);
    let proc = walk(&gofer, "proc");
    assert_ne!(proc.nodes[0].attr.dev, gofer.roots()[0].attr.dev);
    let statfs = gofer.stat_fs(proc.nodes[0].node).unwrap();
    assert_eq!(statfs.fs_type, 0x9fa0);
}
