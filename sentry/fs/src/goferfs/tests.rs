//! Against a real gofer, serving a temporary directory from a thread.

use super::Limits;
use super::testing::{Served, TempDir};
use crate::tmpfs::testing::{Random, Tree, list_some};
use abi::Errno;
use abi::file::{FileType, OpenFlags};
use gofer::server::{Access, Sharing};
use mm::Backing;
use std::sync::Arc;
use vfs::inode::rename::{EXCHANGE, NOREPLACE};
use vfs::{NodeKind, SetAttr};

fn exclusive(dir: &TempDir, access: Access) -> (Served, Tree) {
    let served = Served::new(dir.path(), access, Sharing::Exclusive, Limits::default());
    let tree = Tree::new(served.fs.clone());
    (served, tree)
}

#[test]
fn reads_what_is_there() {
    let dir = TempDir::new();
    dir.write("a/file", "content");
    std::os::unix::fs::symlink("a/file", dir.join("link")).unwrap();
    let (_served, t) = exclusive(&dir, Access::ReadOnly);
    assert_eq!(t.read("/a/file").unwrap(), b"content");
    assert_eq!(t.read("/link").unwrap(), b"content");
    assert_eq!(t.readlink("/link").unwrap(), b"a/file");
    assert_eq!(t.read("/none"), Err(Errno::ENOENT));
    assert_eq!(t.read("/a/file/x"), Err(Errno::ENOTDIR));
    let host = std::fs::metadata(dir.join("a/file")).unwrap();
    use std::os::unix::fs::MetadataExt;
    let attr = t.attr("/a/file").unwrap();
    assert_eq!(attr.ino, host.ino());
    assert_eq!((attr.size, attr.nlink, attr.mode), (7, 1, host.mode()));
    assert_eq!(attr.dev, host.dev());
    assert_eq!(attr.mtime.sec, host.mtime());
    assert_eq!(t.names("/").unwrap(), ["a", "link"]);
    assert_eq!(t.write("/a/file", b"x"), Err(Errno::EROFS));
    assert_eq!(t.mkdir("/new"), Err(Errno::EROFS));
    assert_eq!(t.unlink("/link"), Err(Errno::EROFS));
    assert!(t.inode("/").unwrap().statfs().unwrap().blocks > 0);
}

#[test]
fn an_exclusive_tree_is_asked_once() {
    let dir = TempDir::new();
    for i in 0..500 {
        dir.write(&format!("d/{i}"), "x");
    }
    dir.write("lib", "library");
    let (mut served, t) = exclusive(&dir, Access::ReadOnly);
    assert_eq!(t.list("/d").unwrap().len(), 500);
    assert_eq!(t.read("/lib").unwrap(), b"library");
    for _ in 0..8 {
        assert_eq!(t.attr("/none"), Err(Errno::ENOENT));
    }
    served.stop();
    // Names, attributes, "no", and files opened before need no gofer.
    for i in 0..500 {
        assert_eq!(t.attr(&format!("/d/{i}")).unwrap().size, 1);
    }
    assert_eq!(t.attr("/d/none"), Err(Errno::ENOENT));
    assert_eq!(t.attr("/none"), Err(Errno::ENOENT));
    assert_eq!(t.list("/d").unwrap().len(), 500);
    assert_eq!(t.read("/lib").unwrap(), b"library");
    assert_eq!(t.read("/d/1"), Err(Errno::EIO));
}

#[test]
fn a_shared_tree_is_asked_each_time() {
    let dir = TempDir::new();
    dir.write("f", "1");
    let served = Served::new(dir.path(), Access::ReadWrite, Sharing::Shared, Limits::default());
    let t = Tree::new(served.fs.clone());
    assert_eq!(t.read("/f").unwrap(), b"1");
    assert_eq!(t.attr("/g"), Err(Errno::ENOENT));
    dir.write("f", "22");
    dir.write("g", "333");
    assert_eq!(t.attr("/f").unwrap().size, 2);
    assert_eq!(t.read("/f").unwrap(), b"22");
    assert_eq!(t.read("/g").unwrap(), b"333");
    assert_eq!(t.names("/").unwrap(), ["f", "g"]);
    let held = t.inode("/f").unwrap();
    std::fs::remove_file(dir.join("f")).unwrap();
    dir.write("f", "new file");
    assert_eq!(t.read("/f").unwrap(), b"new file");
    assert!(!Arc::ptr_eq(&held, &t.inode("/f").unwrap()));
    t.append("/f", b"!").unwrap();
    assert_eq!(std::fs::read(dir.join("f")).unwrap(), b"new file!");
}

#[test]
fn one_file_is_one_inode() {
    let dir = TempDir::new();
    dir.write("a", "x");
    std::fs::hard_link(dir.join("a"), dir.join("b")).unwrap();
    let (_served, t) = exclusive(&dir, Access::ReadWrite);
    t.list("/").unwrap();
    let (a, b) = (t.inode("/a").unwrap(), t.inode("/b").unwrap());
    assert!(Arc::ptr_eq(&a, &b));
    t.append("/a", b"yz").unwrap();
    assert_eq!(t.attr("/b").unwrap().size, 3);
    drop((a, b));
    assert_eq!(t.attr("/b").unwrap().size, 3);
}

#[test]
fn changes_reach_the_host() {
    let dir = TempDir::new();
    let (_served, t) = exclusive(&dir, Access::ReadWrite);
    t.list("/").unwrap();
    t.mkdir("/d").unwrap();
    assert_eq!(t.mkdir("/d"), Err(Errno::EEXIST));
    t.write("/d/f", b"hello").unwrap();
    assert_eq!(std::fs::read(dir.join("d/f")).unwrap(), b"hello");
    assert_eq!(t.attr("/d/f").unwrap().size, 5);
    assert_eq!(t.attr("/").unwrap().nlink, 3);
    t.make("/s", NodeKind::Symlink(b"d/f"), 0o777).unwrap();
    assert_eq!(t.read("/s").unwrap(), b"hello");
    t.link("/d/f", "/h").unwrap();
    assert_eq!(t.attr("/h").unwrap().nlink, 2);
    assert_eq!(t.rename("/h", "/s", NOREPLACE), Err(Errno::EEXIST));
    t.rename("/h", "/s", EXCHANGE).unwrap();
    assert_eq!(t.readlink("/h").unwrap(), b"d/f");
    t.rename("/d", "/e", 0).unwrap();
    assert_eq!(t.read("/e/f").unwrap(), b"hello");
    assert_eq!(t.attr("/d"), Err(Errno::ENOENT));
    assert_eq!(t.rmdir("/e"), Err(Errno::ENOTEMPTY));
    assert_eq!(t.names("/").unwrap(), ["e", "h", "s"]);
    let change = SetAttr { mode: Some(0o600), size: Some(2), ..SetAttr::default() };
    t.set("/s", &change).unwrap();
    assert_eq!(t.attr("/e/f").unwrap().mode & 0o7777, 0o600);
    assert_eq!(t.read("/e/f").unwrap(), b"he");
    t.unlink("/e/f").unwrap();
    t.rmdir("/e").unwrap();
    assert_eq!(t.names("/").unwrap(), ["h", "s"]);
    t.make("/fifo", NodeKind::Fifo, 0o600).unwrap();
    assert_eq!(t.attr("/fifo").unwrap().file_type(), FileType::Fifo);
    assert_eq!(t.open("/fifo", OpenFlags::empty()).err(), Some(Errno::ENXIO));
    assert_eq!(t.make("/sock", NodeKind::Socket, 0o600), Err(Errno::EPERM));
}

#[test]
fn unlinked_files_live_while_open() {
    let dir = TempDir::new();
    let (_served, t) = exclusive(&dir, Access::ReadWrite);
    t.write("/f", b"data").unwrap();
    let file = t.open("/f", OpenFlags::RDWR).unwrap();
    t.unlink("/f").unwrap();
    let inode = file.path().inode();
    assert_eq!(inode.attr().unwrap().nlink, 0);
    assert_eq!(file.write_at(b"more", 4), Ok(4));
    inode.set_attr(&SetAttr { size: Some(6), ..SetAttr::default() }).unwrap();
    inode.set_attr(&SetAttr { mode: Some(0o640), ..SetAttr::default() }).unwrap();
    assert_eq!(inode.attr().unwrap().size, 6);
    let mut buf = [0; 10];
    assert_eq!(file.read_at(&mut buf, 0), Ok(6));
    assert_eq!(t.read("/f"), Err(Errno::ENOENT));
    t.write("/f", b"other").unwrap();
    assert_eq!(t.read("/f").unwrap(), b"other");
}

/// As programs write files safely: under a temporary name, which a link or rename then replaces.
#[test]
fn a_file_is_reached_by_whatever_name_is_left() {
    for sharing in [Sharing::Exclusive, Sharing::Shared] {
        let dir = TempDir::new();
        let served = Served::new(dir.path(), Access::ReadWrite, sharing, Limits::default());
        let t = Tree::new(served.fs.clone());
        t.mkdir("/d").unwrap();
        t.write("/d/tmp", b"data").unwrap();
        let held = t.inode("/d/tmp").unwrap();
        t.link("/d/tmp", "/d/one").unwrap();
        t.link("/d/one", "/two").unwrap();
        t.unlink("/d/tmp").unwrap();
        assert_eq!(t.read("/d/one").unwrap(), b"data");
        t.set("/d/one", &SetAttr { mode: Some(0o640), ..SetAttr::default() }).unwrap();
        t.unlink("/two").unwrap();
        assert_eq!(t.read("/d/one").unwrap(), b"data");
        t.link("/d/one", "/three").unwrap();
        t.unlink("/d/one").unwrap();
        assert_eq!(t.read("/three").unwrap(), b"data");
        assert_eq!(t.attr("/three").unwrap().nlink, 1);
        drop(held);
    }
}

#[test]
fn mappings_are_of_the_host_file() {
    let dir = TempDir::new();
    dir.write("lib", vec![3; 10_000]);
    let (_served, t) = exclusive(&dir, Access::ReadWrite);
    let file = t.open("/lib", OpenFlags::empty()).unwrap();
    let mapping = file.ops().mappable().unwrap();
    let Ok(Backing::Host { offset, len, .. }) = mapping.translate(4096, 1 << 20, false) else {
        panic!("a host file");
    };
    assert_eq!((offset, len), (4096, 8192));
    assert_eq!(mapping.translate(0, 4096, true).err(), Some(Errno::EACCES));
    assert_eq!(mapping.translate(12288, 4096, false).err(), Some(Errno::ENXIO));
    let writer = t.open("/lib", OpenFlags::RDWR).unwrap();
    assert!(Arc::ptr_eq(&mapping, &writer.ops().mappable().unwrap()));
    assert!(mapping.translate(0, 4096, true).is_ok());
    t.set("/lib", &SetAttr { size: Some(100), ..SetAttr::default() }).unwrap();
    assert_eq!(mapping.translate(4096, 4096, false).err(), Some(Errno::ENXIO));
    assert_eq!(mapping.write_at(98, b"abc"), Ok(2));
}

#[test]
fn caches_are_bounded() {
    let dir = TempDir::new();
    for d in 0..20 {
        for f in 0..20 {
            dir.write(&format!("{d}/{f}"), format!("{d}/{f}"));
        }
    }
    let limits = Limits { inodes: 30, entries: 60, files: 5 };
    let served = Served::new(dir.path(), Access::ReadOnly, Sharing::Exclusive, limits);
    let t = Tree::new(served.fs.clone());
    for _ in 0..2 {
        for d in 0..20 {
            assert_eq!(t.list(&format!("/{d}")).unwrap().len(), 20);
            for f in 0..20 {
                let path = format!("/{d}/{f}");
                assert_eq!(t.read(&path).unwrap(), &path.as_bytes()[1..]);
            }
        }
    }
    let shared = &served.fs.root.shared;
    assert!(shared.recent.lock().len() <= 30);
    assert!(shared.table.lock().len() <= 32);
    assert!(shared.files.lock().len() <= 5);
    assert!(shared.listings.lock().len() <= 3);
}

#[test]
fn an_open_directory_keeps_its_positions() {
    let dir = TempDir::new();
    for i in 100..200 {
        dir.write(&format!("{i}"), "");
    }
    let (_served, t) = exclusive(&dir, Access::ReadWrite);
    // In the host's order, whatever that is.
    let entries = std::fs::read_dir(dir.path()).unwrap();
    let host: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let open = t.open("/", OpenFlags::DIRECTORY).unwrap();
    let first = list_some(&open, 52).unwrap();
    assert!(first[2..].iter().map(|entry| &entry.0).eq(&host[..50]));
    for i in 100..160 {
        t.unlink(&format!("/{i}")).unwrap();
    }
    let rest = list_some(&open, usize::MAX).unwrap();
    assert!(rest.iter().map(|entry| &entry.0).eq(&host[50..]));
    open.seek(0, 0).unwrap();
    assert_eq!(list_some(&open, usize::MAX).unwrap().len(), 42);
}

#[test]
fn random_changes_agree_with_the_host() {
    let dir = TempDir::new();
    let limits = Limits { inodes: 10, entries: 20, files: 3 };
    let served = Served::new(dir.path(), Access::ReadWrite, Sharing::Exclusive, limits);
    let t = Tree::new(served.fs.clone());
    let mut random = Random(7);
    for step in 0..1500 {
        let mut name = || {
            let depth = random.below(3);
            (0..=depth).map(|_| format!("/{}", random.below(4))).collect::<String>()
        };
        let (a, b) = (name(), name());
        let host = |path: &str| dir.join(&path[1..]);
        match random.below(9) {
            0 | 1 => drop(t.mkdir(&a)),
            2 | 3 => drop(t.write(&a, format!("{step}").as_bytes())),
            4 => drop(t.unlink(&a)),
            5 => drop(t.rmdir(&a)),
            6 => drop(t.rename(&a, &b, 0)),
            7 => drop(t.link(&a, &b)),
            _ => drop(t.list(&a)),
        }
        for path in [&a, &b] {
            use std::os::unix::fs::MetadataExt;
            let seen = t.attr(path).map(|attr| (attr.ino, attr.mode, attr.size, attr.nlink)).ok();
            let is = std::fs::symlink_metadata(host(path));
            let is = is.map(|m| (m.ino(), m.mode(), m.size(), m.nlink() as u32)).ok();
            assert_eq!(seen, is, "step {step}: {path}");
            let listed = t.names(path).ok();
            let there = std::fs::read_dir(host(path)).ok().map(|entries| {
                let mut names: Vec<String> = entries
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.sort();
                names
            });
            assert_eq!(listed, there, "step {step}: {path}");
        }
    }
}
