//! The overlay over a tmpfs and over the gofer, and against a plain tmpfs.

use super::{OverlayFs, socket_slot};
use crate::goferfs::Limits;
use crate::goferfs::testing::{Served, TempDir};
use crate::tmpfs::testing::{Random, Tree, list_some, memory};
use crate::tmpfs::{Tmpfs, TmpfsOptions};
use abi::Errno;
use abi::file::{FileType, OpenFlags};
use abi::time::Timespec;
use gofer::server::{Access, Sharing};
use mm::Backing;
use std::sync::Arc;
use vfs::inode::rename::{EXCHANGE, NOREPLACE};
use vfs::{FileSystem, NodeKind, SetAttr, TimeChange};

fn tmpfs() -> Arc<Tmpfs> {
    Tmpfs::new(memory(), TmpfsOptions::default()).unwrap()
}

/// An overlay over what `fill` makes in a tmpfs; the lower tree, to see that it stays as it was.
fn overlay(fill: impl FnOnce(&Tree)) -> (Tree, Tree, Arc<OverlayFs>) {
    let lower = tmpfs();
    let below = Tree::new(lower.clone());
    fill(&below);
    let fs = OverlayFs::new(lower, tmpfs()).unwrap();
    (Tree::new(fs.clone()), below, fs)
}

fn sample(t: &Tree) {
    for dir in ["/etc", "/usr", "/usr/bin", "/usr/lib", "/empty"] {
        t.mkdir(dir).unwrap();
    }
    t.write("/etc/passwd", b"root").unwrap();
    t.write("/usr/bin/sh", b"#!").unwrap();
    t.write("/usr/lib/libc", &[1; 9000]).unwrap();
    t.link("/usr/bin/sh", "/usr/bin/bash").unwrap();
    t.make("/bin", NodeKind::Symlink(b"usr/bin"), 0o777).unwrap();
}

/// Every path with what can be seen of it.
fn dump(t: &Tree) -> Vec<String> {
    let mut all = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(dir) = pending.pop() {
        for (name, kind, ino) in t.list(&format!("{dir}/")).unwrap() {
            let path = format!("{dir}/{name}");
            let attr = t.attr(&path).unwrap();
            assert_eq!((attr.file_type(), attr.ino), (kind, ino), "{path}");
            let what = match kind {
                FileType::Regular => format!("{} {:?}", attr.nlink, t.read(&path).unwrap()),
                FileType::Symlink => format!("-> {:?}", t.readlink(&path).unwrap()),
                _ => String::new(),
            };
            all.push(format!("{path} {:o} {} {what}", attr.mode, attr.uid));
            if kind == FileType::Directory {
                pending.push(path);
            }
        }
    }
    all.sort();
    all
}

#[test]
fn what_is_not_changed_is_the_lower_tree() {
    let (t, below, fs) = overlay(sample);
    assert_eq!(dump(&t), dump(&below));
    assert_eq!(t.read("/bin/sh").unwrap(), b"#!");
    assert_eq!(t.attr("/etc/passwd").unwrap().ino, below.attr("/etc/passwd").unwrap().ino);
    assert_eq!(t.attr("/etc/passwd").unwrap().dev, fs.dev());
    assert_eq!(t.inode("/").unwrap().statfs().unwrap().kind, 0x794c_7630);
    // Nothing is kept but the root.
    assert_eq!(fs.shared.table_len(), 1);
}

#[test]
fn writing_copies_up() {
    let (t, below, _fs) = overlay(sample);
    let before = dump(&below);
    let reader = t.open("/etc/passwd", OpenFlags::empty()).unwrap();
    let old = t.attr("/etc/passwd").unwrap();
    t.append("/etc/passwd", b" user").unwrap();
    let new = t.attr("/etc/passwd").unwrap();
    assert_eq!((new.ino, new.dev, new.size), (old.ino, old.dev, 9));
    assert!(new.ino == old.ino && new.mtime >= old.mtime);
    assert_eq!(t.read("/etc/passwd").unwrap(), b"root user");
    // As POSIX has it: all descriptions are of one file.
    let mut buf = [0; 16];
    assert_eq!(reader.read_at(&mut buf, 0), Ok(9));
    t.write("/usr/lib/libc", b"new").unwrap();
    assert_eq!(t.read("/usr/lib/libc").unwrap(), b"new");
    let change = SetAttr { size: Some(1), mode: Some(0o400), ..SetAttr::default() };
    t.set("/usr/bin/sh", &change).unwrap();
    assert_eq!(t.read("/usr/bin/bash").unwrap(), b"#");
    assert_eq!(t.attr("/usr/bin/bash").unwrap().mode, 0o100_400);
    assert_eq!(t.attr("/usr/bin/bash").unwrap().nlink, 2);
    t.write("/etc/new", b"n").unwrap();
    assert_eq!(t.names("/etc").unwrap(), ["new", "passwd"]);
    assert_eq!(dump(&below), before);
}

#[test]
fn a_copy_keeps_attributes_and_holes() {
    let at = Timespec { sec: 1_000_000, nsec: 7 };
    let (t, _below, _fs) = overlay(|t| {
        let file = t.open("/f", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
        file.write_at(b"middle", 10 << 20).unwrap();
        let change = SetAttr {
            uid: Some(7),
            gid: Some(8),
            mode: Some(0o640),
            size: Some(1 << 30),
            atime: Some(TimeChange::At(at)),
            mtime: Some(TimeChange::At(at)),
        };
        t.set("/f", &change).unwrap();
        t.inode("/f").unwrap().set_xattr(b"user.tag", b"value", 0).unwrap();
    });
    let f = t.inode("/f").unwrap();
    f.set_attr(&SetAttr { gid: Some(9), ..SetAttr::default() }).unwrap();
    let attr = f.attr().unwrap();
    assert_eq!((attr.uid, attr.gid, attr.mode, attr.size), (7, 9, 0o100_640, 1 << 30));
    assert_eq!((attr.mtime, attr.atime, attr.nlink), (at, at, 1));
    assert_eq!(attr.blocks, 8);
    assert_eq!(f.get_xattr(b"user.tag").unwrap(), b"value");
    let file = t.open("/f", OpenFlags::empty()).unwrap();
    assert_eq!(file.ops().seek_data(0, false), Ok(10 << 20));
    let mut buf = [0; 8];
    assert_eq!(file.read_at(&mut buf, 10 << 20), Ok(8));
    assert_eq!(&buf, b"middle\0\0");
}

#[test]
fn removed_names_stay_removed() {
    let (t, below, fs) = overlay(sample);
    assert_eq!(t.rmdir("/usr"), Err(Errno::ENOTEMPTY));
    t.unlink("/etc/passwd").unwrap();
    assert_eq!(t.read("/etc/passwd"), Err(Errno::ENOENT));
    assert_eq!(t.names("/etc").unwrap(), Vec::<String>::new());
    t.rmdir("/etc").unwrap();
    t.mkdir("/etc").unwrap();
    assert_eq!(t.names("/etc").unwrap(), Vec::<String>::new());
    assert_eq!(t.attr("/etc").unwrap().nlink, 2);
    t.write("/etc/passwd", b"mine").unwrap();
    assert_eq!(t.read("/etc/passwd").unwrap(), b"mine");
    assert_ne!(t.attr("/etc/passwd").unwrap().ino, below.attr("/etc/passwd").unwrap().ino);
    // One of two names: the other knows, also when nobody held the file.
    t.unlink("/usr/bin/sh").unwrap();
    assert_eq!(t.attr("/usr/bin/bash").unwrap().nlink, 1);
    t.unlink("/usr/bin/bash").unwrap();
    assert_eq!(t.unlink("/usr/bin/bash"), Err(Errno::ENOENT));
    let open = t.open("/usr/lib/libc", OpenFlags::empty()).unwrap();
    t.unlink("/usr/lib/libc").unwrap();
    let inode = open.path().inode();
    assert_eq!(inode.attr().unwrap().nlink, 0);
    assert_eq!(open.read_at(&mut [0; 8], 0), Ok(8));
    inode.set_attr(&SetAttr { size: Some(3), ..SetAttr::default() }).unwrap();
    assert_eq!(open.read_at(&mut [0; 8], 0), Ok(3));
    drop(open);
    for dir in ["/usr/lib", "/usr/bin", "/usr"] {
        t.rmdir(dir).unwrap();
    }
    t.unlink("/bin").unwrap();
    assert_eq!(t.names("/").unwrap(), ["empty", "etc"]);
    // What nobody can reach is not kept: the root is left.
    assert!(fs.shared.table_len() <= 2, "{}", fs.shared.table_len());
}

#[test]
fn moving_lower_files_and_directories() {
    let (t, below, _fs) = overlay(sample);
    let ino = t.attr("/usr").unwrap().ino;
    let free = t.inode("/").unwrap().statfs().unwrap().bfree;
    t.rename("/usr", "/moved", 0).unwrap();
    assert_eq!(t.attr("/moved").unwrap().ino, ino);
    assert_eq!(t.read("/moved/lib/libc").unwrap().len(), 9000);
    assert_eq!(t.attr("/usr"), Err(Errno::ENOENT));
    t.rename("/moved/lib/libc", "/libc", 0).unwrap();
    assert_eq!(t.read("/libc").unwrap().len(), 9000);
    assert_eq!(t.inode("/").unwrap().statfs().unwrap().bfree, free);
    assert_eq!(t.rename("/moved", "/moved/bin/x", 0), Err(Errno::EINVAL));
    assert_eq!(t.rename("/etc", "/moved", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(t.rename("/etc", "/libc", NOREPLACE), Err(Errno::EEXIST));
    assert_eq!(t.rename("/etc", "/libc", 0), Err(Errno::ENOTDIR));
    assert_eq!(t.rename("/libc", "/etc", 0), Err(Errno::EISDIR));
    t.rename("/etc", "/empty", 0).unwrap();
    assert_eq!(t.names("/empty").unwrap(), ["passwd"]);
    t.rename("/empty", "/libc", EXCHANGE).unwrap();
    assert_eq!(t.read("/libc/passwd").unwrap(), b"root");
    t.rename("/libc", "/etc", 0).unwrap();
    assert_eq!(t.names("/").unwrap(), ["bin", "empty", "etc", "moved"]);
    assert_eq!(t.names("/moved").unwrap(), ["bin", "lib"]);
    t.rename("/moved", "/usr", 0).unwrap();
    assert_eq!(t.read("/bin/sh").unwrap(), b"#!");
    assert_eq!(below.names("/").unwrap(), ["bin", "empty", "etc", "usr"]);
}

#[test]
fn links_and_special_files() {
    let (t, _below, _fs) = overlay(|t| {
        sample(t);
        t.make("/fifo", NodeKind::Fifo, 0o600).unwrap();
        t.make("/sock", NodeKind::Socket, 0o600).unwrap();
    });
    t.link("/usr/bin/sh", "/sh").unwrap();
    assert_eq!(t.attr("/usr/bin/bash").unwrap().nlink, 3);
    t.append("/sh", b"!").unwrap();
    assert_eq!(t.read("/usr/bin/bash").unwrap(), b"#!!");
    t.unlink("/usr/bin/sh").unwrap();
    t.unlink("/usr/bin/bash").unwrap();
    assert_eq!(t.attr("/sh").unwrap().nlink, 1);
    t.unlink("/sh").unwrap();
    assert_eq!(t.attr("/fifo").unwrap().file_type(), FileType::Fifo);
    assert!(socket_slot(&*t.inode("/sock").unwrap()).is_none());
    t.make("/mine", NodeKind::Socket, 0o600).unwrap();
    assert!(socket_slot(&*t.inode("/mine").unwrap()).is_some());
    let file = t.open("/etc", OpenFlags::TMPFILE | OpenFlags::RDWR).unwrap();
    file.write(b"x").unwrap();
    t.inode("/etc").unwrap().link(b"named", file.path().inode()).unwrap();
    assert_eq!(t.read("/etc/named").unwrap(), b"x");
    t.unlink("/etc/named").unwrap();
    let again = t.inode("/etc").unwrap().link(b"again", file.path().inode());
    assert_eq!(again, Err(Errno::ENOENT));
}

#[test]
fn listing_while_changing() {
    let (t, _below, _fs) = overlay(|t| {
        for i in 0..200 {
            t.write(&format!("/{i:03}"), b"").unwrap();
        }
    });
    t.write("/added", b"").unwrap();
    let dir = t.open("/", OpenFlags::DIRECTORY).unwrap();
    let first = list_some(&dir, 52).unwrap();
    assert_eq!((&*first[0].0, &*first[1].0, &*first[51].0), (".", "..", "049"));
    for i in 0..100 {
        t.unlink(&format!("/{i:03}")).unwrap();
    }
    t.write("/010", b"again").unwrap();
    t.rename("/150", "/renamed", 0).unwrap();
    let rest: Vec<String> = list_some(&dir, usize::MAX).unwrap().into_iter().map(|e| e.0).collect();
    assert_eq!(rest.len(), 99 + 3);
    assert_eq!(
        (&*rest[0], &rest[99..]),
        ("100", &["added", "010", "renamed"].map(String::from)[..])
    );
}

#[test]
fn mappings_move_to_the_copy() {
    let dir = TempDir::new();
    dir.write("lib", vec![3; 5000]);
    let limits = Limits::default();
    let served = Served::new(dir.path(), Access::ReadOnly, Sharing::Exclusive, limits);
    let t = Tree::new(OverlayFs::new(served.fs.clone(), tmpfs()).unwrap());
    let file = t.open("/lib", OpenFlags::empty()).unwrap();
    let mapping = file.ops().mappable().unwrap();
    assert!(matches!(mapping.translate(0, 8192, false), Ok(Backing::Host { len: 8192, .. })));
    t.append("/lib", b"more").unwrap();
    assert!(matches!(mapping.translate(0, 8192, false), Ok(Backing::Memory { .. })));
    assert_eq!(mapping.size(), 5004);
    assert_eq!(std::fs::read(dir.join("lib")).unwrap().len(), 5000);
}

#[test]
fn limits_of_the_upper_layer() {
    let lower = tmpfs();
    let below = Tree::new(lower.clone());
    sample(&below);
    let options = TmpfsOptions { size: Some(8192), nr_inodes: Some(4), ..TmpfsOptions::default() };
    let upper = Tmpfs::new(memory(), options).unwrap();
    let t = Tree::new(OverlayFs::new(lower, upper).unwrap());
    // 9000 bytes do not fit, and the lower file stays what it was.
    assert_eq!(t.append("/usr/lib/libc", b"x"), Err(Errno::ENOSPC));
    assert_eq!(t.read("/usr/lib/libc").unwrap().len(), 9000);
    t.write("/usr/lib/libc", b"short").unwrap();
    assert_eq!(t.read("/usr/lib/libc").unwrap(), b"short");
    t.write("/x", b"").unwrap();
    assert_eq!(t.write("/y", b""), Err(Errno::ENOSPC));
    assert_eq!(t.link("/x", "/z"), Err(Errno::ENOSPC));
    t.unlink("/x").unwrap();
    t.write("/y", b"").unwrap();
}

/// Both trees start the same; one is a plain tmpfs. Every call gives the same answer.
#[test]
fn random_operations_against_a_plain_tmpfs() {
    for seed in 1..=6 {
        let fill = |t: &Tree| {
            let mut random = Random(seed * 77);
            for step in 0..60 {
                let path = random_path(&mut random);
                match random.below(4) {
                    0 | 1 => drop(t.mkdir(&path)),
                    2 => drop(t.write(&path, format!("lower {step}").as_bytes())),
                    _ => drop(t.link(&random_path(&mut random), &path)),
                }
            }
        };
        let (t, below, fs) = overlay(fill);
        let before = dump(&below);
        let model = Tree::new(tmpfs());
        fill(&model);
        let mut random = Random(seed);
        for step in 0..1500 {
            let (a, b) = (random_path(&mut random), random_path(&mut random));
            let kind = random.below(13);
            let flags = [0, 0, NOREPLACE, EXCHANGE][random.below(4) as usize];
            let data = format!("{step}");
            let run = |t: &Tree| match kind {
                0 => t.mkdir(&a),
                1 | 2 => t.write(&a, data.as_bytes()),
                3 | 4 => t.unlink(&a),
                5 => t.rmdir(&a),
                6..9 => t.rename(&a, &b, flags),
                9 => t.link(&a, &b),
                10 => t.append(&a, data.as_bytes()).map(drop),
                11 => t.set(&a, &SetAttr { uid: Some(step), ..SetAttr::default() }),
                _ => t.make(&a, NodeKind::Symlink(b.as_bytes()), 0o777),
            };
            let what = format!("seed {seed} step {step}: {kind} {a} {b} {flags}");
            assert_eq!(run(&t), run(&model), "{what}");
            if step % 25 == 0 {
                assert_eq!(dump(&t), dump(&model), "{what}");
            }
        }
        assert_eq!(dump(&t), dump(&model));
        assert_eq!(dump(&below), before);
        drop(t);
        // Nothing holds anything in a circle.
        let shared = Arc::downgrade(&fs.shared);
        drop(fs);
        assert!(shared.upgrade().is_none());
    }
}

fn random_path(random: &mut Random) -> String {
    (0..=random.below(3)).map(|_| format!("/{}", random.below(4))).collect()
}

#[test]
fn threads_agree() {
    let (t, _below, _fs) = overlay(sample);
    let root = t.inode("/").unwrap();
    let usr = t.inode("/usr").unwrap();
    std::thread::scope(|scope| {
        for seed in 1..4 {
            let (t, root, usr) = (&t, &root, &usr);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..2000 {
                    let (from, to) = if random.below(2) == 0 { (root, usr) } else { (usr, root) };
                    let names: [&[u8]; 3] = [b"etc", b"lib", b"bin"];
                    let name = names[random.below(3) as usize];
                    match random.below(5) {
                        0 => drop(t.append("/etc/passwd", b"x")),
                        1 => drop(from.rmdir(name)),
                        _ => drop(from.rename(name, to, name, 0)),
                    }
                }
            });
        }
    });
    let found = [&root, &usr].iter().filter(|dir| dir.lookup(b"lib").is_ok()).count();
    assert_eq!(found, 1);
}

/// A tree as large as a distribution's /usr: nothing is kept of what was only looked at.
#[test]
fn a_large_tree_leaves_nothing_behind() {
    const DIRS: usize = 100;
    const FILES: usize = 200;
    let (t, _below, fs) = overlay(|t| {
        for d in 0..DIRS {
            let dir = t.inode("/").unwrap();
            let node = |kind| vfs::NewNode { kind, mode: 0o755, uid: 0, gid: 0 };
            let dir = dir.create(format!("{d}").as_bytes(), &node(NodeKind::Directory)).unwrap();
            for f in 0..FILES {
                dir.create(format!("{f}").as_bytes(), &node(NodeKind::Regular)).unwrap();
            }
        }
    });
    t.mkdir("/99/new").unwrap();
    let start = std::time::Instant::now();
    let mut count = 0;
    for (dir, ..) in t.list("/").unwrap() {
        for (file, ..) in t.list(&format!("/{dir}")).unwrap() {
            assert!(t.attr(&format!("/{dir}/{file}")).is_ok());
            count += 1;
        }
    }
    println!("{count} files listed and looked up in {:?}", start.elapsed());
    assert_eq!(count, DIRS * FILES + 1);
    // The root, and the directory that was changed.
    assert_eq!(fs.shared.table_len(), 2);
}
