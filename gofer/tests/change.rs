//! Changing a tree, and a read-only tree that nothing changes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "common/samples.rs"]
mod samples;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use common::{Gofer, READ, ROOT, TempDir, node, read, socket_pair, walk};
use gofer::Errno;
use gofer::protocol::{
    Attr, FileType, MAX_MESSAGE, OpenFlags, Owner, RenameFlags, Request, SetAttr, SetTime,
    Timestamp, WalkStop, XattrFlags, decode_response,
};
use gofer::server::{Access, Server};

#[test]
fn a_read_only_root_refuses_every_change() {
    let dir = TempDir::new();
    fs::write(dir.path().join("f"), "data").unwrap();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    let before = gofer.stat(ROOT).unwrap();
    drop(gofer);

    // By hand, so that no request can be forgotten: each that says it changes something.
    let (ours, theirs) = socket_pair();
    let root = common::root(0, dir.path(), Access::ReadOnly);
    let server = Server::new(theirs, vec![root], common::limits()).unwrap();
    let server = std::thread::spawn(move || server.run());
    let mut refused = 0;
    let mut requests = samples::requests();
    requests.push(Request::Walk {
        start: ROOT,
        names: vec![],
        flags: Default::default(),
        open: Some(OpenFlags::WRITE),
    });
    for request in requests.iter().filter(|request| request.is_change()) {
        // Samples with two nodes get the root for both.
        let request = match request.clone() {
            Request::Link { parent, name, .. } => Request::Link { node: ROOT, parent, name },
            Request::Rename { old_parent, old_name, new_name, flags, .. } => {
                Request::Rename { old_parent, old_name, new_parent: ROOT, new_name, flags }
            }
            other => other,
        };
        let message = request.encode(1).unwrap();
        rustix::net::send(&ours, &message, rustix::net::SendFlags::empty()).unwrap();
        let mut buffer = vec![0; MAX_MESSAGE];
        let (length, _) =
            rustix::net::recv(&ours, buffer.as_mut_slice(), rustix::net::RecvFlags::empty())
                .unwrap();
        let (_, result) = decode_response(&buffer[..length]).unwrap();
        assert_eq!(result, Err(Errno::EROFS), "{request:?}");
        refused += 1;
    }
    assert_eq!(refused, 13);
    drop(ours);
    server.join().unwrap().unwrap();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    let after = gofer.stat(ROOT).unwrap();
    assert_eq!(Attr { atime: before.atime, ..after }, before);
    let (file, _) = gofer.open(node(&gofer, "f"), READ).unwrap();
    assert_eq!(rustix::io::write(&file, b"x").unwrap_err(), rustix::io::Errno::BADF);
}

#[test]
fn files_are_made_changed_and_removed() {
    let dir = TempDir::new();
    let host = |name: &str| dir.path().join(name);
    let gofer = Gofer::serve(dir.path(), Access::ReadWrite);
    let none = Owner::default();
    let flags = OpenFlags::READ | OpenFlags::WRITE;

    let created = gofer.create(ROOT, b"f", 0o4751, none, flags).unwrap();
    rustix::io::pwrite(&created.file, b"hello", 0).unwrap();
    assert_eq!(fs::metadata(host("f")).unwrap().mode(), libc::S_IFREG | 0o4751);
    assert_eq!(gofer.create(ROOT, b"f", 0o644, none, flags).unwrap_err(), Errno::EEXIST);
    assert_eq!(node(&gofer, "f"), created.node.node);

    let time = Timestamp { seconds: 1_000_000, nanoseconds: 5 };
    let set = SetAttr {
        mode: Some(0o600),
        size: Some(2),
        atime: SetTime::Omit,
        mtime: SetTime::To(time),
        ..SetAttr::default()
    };
    let attr = gofer.set_attr(created.node.node, set).unwrap();
    assert_eq!((attr.mode & 0o7777, attr.size, attr.mtime), (0o600, 2, time));
    let (_, attr) = gofer.open(created.node.node, flags | OpenFlags::TRUNCATE).unwrap();
    assert_eq!(attr.size, 0);

    let made = gofer.mkdir(ROOT, b"d", 0o1777, none).unwrap();
    assert_eq!(made.attr.mode, libc::S_IFDIR | 0o1777);
    let set = SetAttr { mode: Some(0o700), ..SetAttr::default() };
    assert_eq!(gofer.set_attr(made.node, set).unwrap().mode, libc::S_IFDIR | 0o700);
    let link = gofer.symlink(made.node, b"l", b"/any/where", none).unwrap();
    assert_eq!(gofer.read_link(link.node).unwrap(), b"/any/where");
    let fifo = gofer.mknod(made.node, b"p", libc::S_IFIFO | 0o622, none).unwrap();
    assert_eq!(fifo.attr.mode, libc::S_IFIFO | 0o622);
    assert!(fs::metadata(host("d/p")).unwrap().file_type().is_fifo());
    for mode in [libc::S_IFCHR, libc::S_IFBLK, libc::S_IFSOCK, libc::S_IFDIR] {
        let made = gofer.mknod(ROOT, b"dev", mode | 0o666, none);
        assert_eq!(made.unwrap_err(), Errno::EPERM);
    }
    let hard = gofer.link(created.node.node, made.node, b"hard").unwrap();
    assert_eq!((hard.attr.nlink, hard.attr.ino), (2, created.node.attr.ino));
    assert_eq!(gofer.link(made.node, ROOT, b"dirlink").unwrap_err(), Errno::EPERM);
    gofer.fsync(made.node).unwrap();
    gofer.fsync(created.node.node).unwrap();

    assert_eq!(gofer.rmdir(ROOT, b"d").unwrap_err(), Errno::ENOTEMPTY);
    assert_eq!(gofer.unlink(ROOT, b"d").unwrap_err(), Errno::EISDIR);
    for name in [&b"l"[..], b"p", b"hard"] {
        gofer.unlink(made.node, name).unwrap();
    }
    gofer.rmdir(ROOT, b"d").unwrap();
    gofer.unlink(ROOT, b"f").unwrap();
    assert_eq!(gofer.stat(created.node.node).unwrap_err(), Errno::ESTALE);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn owners_are_given_and_a_file_with_the_wrong_one_does_not_stay() {
    let dir = TempDir::new();
    let gofer = Gofer::serve(dir.path(), Access::ReadWrite);
    let owner = Owner { uid: Some(12345), gid: Some(54321) };
    let made = gofer.create(ROOT, b"f", 0o6755, owner, READ);
    if !rustix::process::geteuid().is_root() {
        assert_eq!(made.unwrap_err(), Errno::EPERM);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        eprintln!("the rest is skipped: needs root");
        return;
    }
    let attr = made.unwrap().node.attr;
    assert_eq!((attr.uid, attr.gid, attr.mode & 0o7777), (12345, 54321, 0o6755));
    let link = gofer.symlink(ROOT, b"l", b"f", owner).unwrap();
    assert_eq!((link.attr.uid, link.attr.gid), (12345, 54321));
    let set = SetAttr { owner: Owner { uid: Some(1), gid: None }, ..SetAttr::default() };
    let attr = gofer.set_attr(link.node, set).unwrap();
    assert_eq!((attr.file_type(), attr.uid, attr.gid), (FileType::Symlink, 1, 54321));
    assert_eq!(gofer.stat(node(&gofer, "f")).unwrap().uid, 12345);
}

#[test]
fn nodes_follow_renames() {
    let dir = TempDir::new();
    fs::create_dir_all(dir.path().join("a/x")).unwrap();
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("a/x/f"), "f").unwrap();
    fs::write(dir.path().join("b/g"), "gg").unwrap();
    let gofer = Gofer::serve(dir.path(), Access::ReadWrite);
    let (a, b, f, g) =
        (node(&gofer, "a"), node(&gofer, "b"), node(&gofer, "a/x/f"), node(&gofer, "b/g"));

    gofer.rename((a, b"x"), (b, b"y"), RenameFlags::empty()).unwrap();
    assert_eq!(gofer.stat(f).unwrap().size, 1);
    assert_eq!(node(&gofer, "b/y/f"), f);
    let y = node(&gofer, "b/y");
    gofer.rename((y, b"f"), (b, b"g"), RenameFlags::EXCHANGE).unwrap();
    assert_eq!((node(&gofer, "b/g"), node(&gofer, "b/y/f")), (f, g));
    let renamed = gofer.rename((y, b"f"), (b, b"g"), RenameFlags::NOREPLACE);
    assert_eq!(renamed.unwrap_err(), Errno::EEXIST);
    gofer.rename((y, b"f"), (b, b"g"), RenameFlags::empty()).unwrap();
    assert_eq!(gofer.stat(f).unwrap_err(), Errno::ESTALE);
    assert_eq!(gofer.stat(g).unwrap().size, 2);
    assert_eq!(read(&gofer.open(g, READ).unwrap().0), b"gg");
    let inside = gofer.rename((ROOT, b"b"), (y, b"b"), RenameFlags::empty());
    assert_eq!(inside.unwrap_err(), Errno::EINVAL);
    assert_eq!(walk(&gofer, "b/y/f").stop, WalkStop::Missing);
}

#[test]
fn extended_attributes_of_users_only() {
    let dir = TempDir::new();
    fs::write(dir.path().join("f"), "").unwrap();
    std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
    let gofer = Gofer::serve(dir.path(), Access::ReadWrite);
    let file = node(&gofer, "f");
    for name in [&b"trusted.a"[..], b"security.selinux", b"system.posix_acl_access", b"user.", b"a"]
    {
        assert_eq!(gofer.get_xattr(file, name).unwrap_err(), Errno::EOPNOTSUPP);
        let set = gofer.set_xattr(file, name, b"", XattrFlags::empty());
        assert_eq!(set.unwrap_err(), Errno::EOPNOTSUPP);
        assert_eq!(gofer.remove_xattr(file, name).unwrap_err(), Errno::EOPNOTSUPP);
    }
    let set = gofer.set_xattr(file, b"security.capability", b"", XattrFlags::empty());
    assert_eq!(set.unwrap_err(), Errno::EOPNOTSUPP);
    let link = node(&gofer, "l");
    assert_eq!(gofer.get_xattr(link, b"user.a").unwrap_err(), Errno::ENODATA);
    assert_eq!(gofer.list_xattr(link).unwrap().len(), 0);
    if gofer.set_xattr(file, b"user.a", b"v", XattrFlags::empty()) == Err(Errno::EOPNOTSUPP) {
        eprintln!("the rest is skipped: no extended attributes on the temporary directory");
        return;
    }
    assert_eq!(gofer.get_xattr(file, b"user.a").unwrap(), b"v");
    let set = gofer.set_xattr(file, b"user.a", b"w", XattrFlags::CREATE);
    assert_eq!(set.unwrap_err(), Errno::EEXIST);
    gofer.set_xattr(ROOT, b"user.dir", b"", XattrFlags::empty()).unwrap();
    assert_eq!(gofer.list_xattr(ROOT).unwrap(), [b"user.dir"]);
    gofer.remove_xattr(file, b"user.a").unwrap();
    assert_eq!(gofer.get_xattr(file, b"user.a").unwrap_err(), Errno::ENODATA);
}
