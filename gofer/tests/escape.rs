//! Attempts to get at what is not beneath the root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Gofer, READ, ROOT, TempDir, names, node, read, root, walk};
use gofer::Errno;
use gofer::protocol::{FileType, OpenFlags, SetAttr, WalkStop};
use gofer::server::{Access, Root, Sharing};

/// `secret` lies beside the root `jail`.
fn jail() -> TempDir {
    let dir = TempDir::new();
    fs::create_dir_all(dir.path().join("jail/sub")).unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::write(dir.path().join("jail/sub/own"), "own").unwrap();
    dir
}

#[test]
fn no_name_leads_upwards() {
    let dir = jail();
    let gofer = Gofer::serve(&dir.path().join("jail"), Access::ReadWrite);
    let sub = node(&gofer, "sub");
    for bad in [&b".."[..], b".", b"", b"/", b"/etc", b"../secret", b"sub/own", b"own\0"] {
        assert_eq!(gofer.walk(sub, &[bad], None).unwrap_err(), Errno::EINVAL, "{bad:?}");
        assert_eq!(gofer.mkdir(sub, bad, 0o755, Default::default()).unwrap_err(), Errno::EINVAL);
        assert_eq!(gofer.unlink(sub, bad).unwrap_err(), Errno::EINVAL);
        let renamed = gofer.rename((sub, b"own"), (sub, bad), Default::default());
        assert_eq!(renamed.unwrap_err(), Errno::EINVAL);
    }
    assert_eq!(gofer.walk(sub, &[&[b'a'; 256]], None).unwrap_err(), Errno::ENAMETOOLONG);
}

#[test]
fn symbolic_links_are_never_followed() {
    let dir = jail();
    let inside = dir.path().join("jail");
    let secret = dir.path().join("secret");
    symlink(&secret, inside.join("absolute")).unwrap();
    symlink("../secret", inside.join("relative")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("/proc/self/root", inside.join("magic")).unwrap();
    symlink("sub/own", inside.join("harmless")).unwrap();
    let gofer = Gofer::serve(&inside, Access::ReadWrite);
    for link in ["absolute", "relative", "up", "magic", "harmless"] {
        let walked = gofer.walk(ROOT, &[link.as_bytes()], Some(READ)).unwrap();
        assert_eq!(walked.nodes[0].attr.file_type(), FileType::Symlink);
        assert_eq!(walked.file.unwrap().unwrap_err(), Errno::ELOOP);
        let link_node = walked.nodes[0].node;
        assert_eq!(gofer.open(link_node, READ).unwrap_err(), Errno::ELOOP);
        assert_eq!(gofer.read_dir_all(link_node).unwrap_err(), Errno::ENOTDIR);
        let beyond = walk(&gofer, &format!("{link}/secret"));
        assert_eq!((beyond.nodes.len(), beyond.stop), (1, WalkStop::Symlink));
        // Attributes are the link's own.
        let set = SetAttr { size: Some(0), ..SetAttr::default() };
        assert_eq!(gofer.set_attr(link_node, set).unwrap_err(), Errno::EINVAL);
        let set = SetAttr { mode: Some(0o777), ..SetAttr::default() };
        assert_eq!(gofer.set_attr(link_node, set).unwrap_err(), Errno::EOPNOTSUPP);
        let made = gofer.create(ROOT, link.as_bytes(), 0o644, Default::default(), READ);
        assert_eq!(made.unwrap_err(), Errno::EEXIST);
    }
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    // A hard link to a link is a link.
    let link = node(&gofer, "absolute");
    let hard = gofer.link(link, ROOT, b"hard").unwrap();
    assert_eq!(hard.attr.file_type(), FileType::Symlink);
}

#[test]
fn magic_links_are_links() {
    if !Path::new("/proc/self/fd").exists() {
        eprintln!("skipped: needs /proc");
        return;
    }
    let gofer = Gofer::serve(Path::new("/proc"), Access::ReadOnly);
    let pid = std::process::id();
    for path in [format!("{pid}/root"), format!("{pid}/cwd"), format!("{pid}/exe")] {
        let walked = gofer.walk(ROOT, &names(&path), Some(READ)).unwrap();
        assert_eq!(walked.nodes[1].attr.file_type(), FileType::Symlink);
        assert_eq!(walked.file.unwrap().unwrap_err(), Errno::ELOOP);
        let beyond = walk(&gofer, &format!("{path}/etc"));
        assert_eq!(beyond.stop, WalkStop::Symlink);
    }
}

#[test]
fn a_directory_moved_out_takes_nothing_along() {
    let dir = jail();
    let gofer = Gofer::serve(&dir.path().join("jail"), Access::ReadWrite);
    let sub = node(&gofer, "sub");
    let own = node(&gofer, "sub/own");
    fs::rename(dir.path().join("jail/sub"), dir.path().join("moved")).unwrap();
    // By name it is gone; who holds it still has it, as Linux has it.
    assert_eq!(walk(&gofer, "sub").stop, WalkStop::Missing);
    assert_eq!(gofer.stat(own).unwrap().size, 3);
    // What is above it or beside it is as far away as ever.
    let walked = gofer.walk(sub, &[b"secret"], None).unwrap();
    assert_eq!(walked.stop, WalkStop::Missing);
    assert_eq!(gofer.walk(sub, &[b".."], None).unwrap_err(), Errno::EINVAL);
}

/// A directory and a link to the outside change places as fast as they can, while files beneath
/// the name are walked to, opened and made.
#[test]
fn swapping_a_directory_for_a_link_gains_nothing() {
    let dir = jail();
    let inside = dir.path().join("jail");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("own"), "outside").unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    let stop = AtomicBool::new(false);
    let gofer = Gofer::serve(&inside, Access::ReadWrite);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let at = common::root_fd(&inside);
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&at, "sub", &at, "link", flags).unwrap();
            }
        });
        let mut opened = 0;
        for round in 0..3000 {
            let Ok(walked) = gofer.walk(ROOT, &names("sub/own"), Some(READ)) else { continue };
            if let Some(Ok(file)) = &walked.file {
                assert_eq!(read(file), b"own");
                opened += 1;
            }
            if let Some(sub) = walked.nodes.first() {
                let name = format!("made{round}");
                let _ = gofer.mkdir(sub.node, name.as_bytes(), 0o755, Default::default());
            }
            gofer.forget_all(&walked.nodes);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(opened > 0);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn special_files_are_seen_and_not_opened() {
    let dir = TempDir::new();
    let fd = common::root_fd(dir.path());
    rustix::fs::mknodat(&fd, "fifo", rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
    let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    let gofer = Gofer::serve(dir.path(), Access::ReadWrite);
    let flags = OpenFlags::READ | OpenFlags::WRITE;
    for (name, file_type, errno) in
        [("fifo", FileType::Fifo, Errno::EACCES), ("socket", FileType::Socket, Errno::ENXIO)]
    {
        let walked = gofer.walk(ROOT, &[name.as_bytes()], Some(flags)).unwrap();
        assert_eq!(walked.nodes[0].attr.file_type(), file_type);
        assert_eq!(walked.file.unwrap().unwrap_err(), errno);
        assert_eq!(gofer.open(walked.nodes[0].node, READ).unwrap_err(), errno);
    }
    let dev = Gofer::serve(Path::new("/dev"), Access::ReadWrite);
    let null = dev.walk(ROOT, &[b"null"], Some(flags)).unwrap();
    assert_eq!(null.nodes[0].attr.file_type(), FileType::CharDevice);
    let rdev = fs::metadata("/dev/null").unwrap().rdev();
    let device = null.nodes[0].attr.rdev;
    assert_eq!(rustix::fs::makedev(device.major, device.minor), rdev);
    assert_eq!(null.file.unwrap().unwrap_err(), Errno::EACCES);

    let allowed = Root::new(0, fd, Access::ReadWrite, Sharing::Shared);
    let gofer = Gofer::start(vec![allowed.unwrap().allow_special_files()], common::limits());
    assert!(gofer.open(node(&gofer, "fifo"), READ).is_ok());
    assert_eq!(gofer.open(node(&gofer, "socket"), READ).unwrap_err(), Errno::ENXIO);
}

#[test]
fn nothing_gets_from_one_root_into_another() {
    let dir = jail();
    fs::create_dir(dir.path().join("writable")).unwrap();
    let gofer = Gofer::start(
        vec![
            root(1, &dir.path().join("jail"), Access::ReadOnly),
            root(2, &dir.path().join("writable"), Access::ReadWrite),
        ],
        common::limits(),
    );
    let writable = gofer.roots()[1].node;
    let own = node(&gofer, "sub/own");
    let sub = node(&gofer, "sub");
    assert_eq!(gofer.link(own, writable, b"own").unwrap_err(), Errno::EXDEV);
    gofer.mkdir(writable, b"d", 0o755, Default::default()).unwrap();
    for (old, new) in [((sub, &b"own"[..]), (writable, &b"x"[..])), ((writable, b"d"), (sub, b"d"))]
    {
        let renamed = gofer.rename(old, new, Default::default());
        assert_eq!(renamed.unwrap_err(), Errno::EXDEV);
    }
}
