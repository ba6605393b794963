//! The semantics of tmpfs, through `vfs`.

use super::testing::{Random, Tree, list_some, memory, open_inode, read_all};
use super::{RegularFile, Tmpfs, TmpfsInode, TmpfsOptions, seals};
use abi::Errno;
use abi::file::{FileType, OpenFlags};
use abi::time::Timespec;
use mm::Backing;
use vfs::inode::rename::{EXCHANGE, NOREPLACE};
use vfs::{FileSystem, NodeKind, SetAttr, TimeChange};

const PAGE: usize = 4096;

fn tree() -> Tree {
    tree_with(TmpfsOptions::default())
}

fn tree_with(options: TmpfsOptions) -> Tree {
    Tree::new(Tmpfs::new(memory(), options).unwrap())
}

#[test]
fn files_directories_and_links() {
    let t = tree();
    t.mkdir("/d").unwrap();
    assert_eq!(t.mkdir("/d"), Err(Errno::EEXIST));
    t.write("/d/f", b"hello").unwrap();
    assert_eq!(t.read("/d/f").unwrap(), b"hello");
    t.append("/d/f", b" world").unwrap();
    assert_eq!(t.read("/d/f").unwrap(), b"hello world");
    t.link("/d/f", "/g").unwrap();
    assert_eq!(t.attr("/g").unwrap().nlink, 2);
    assert_eq!(t.attr("/g").unwrap().ino, t.attr("/d/f").unwrap().ino);
    t.make("/s", NodeKind::Symlink(b"d/f"), 0o777).unwrap();
    assert_eq!(t.readlink("/s").unwrap(), b"d/f");
    assert_eq!(t.read("/s").unwrap(), b"hello world");
    assert_eq!(t.attr("/").unwrap().nlink, 3);
    assert_eq!(t.rmdir("/d"), Err(Errno::ENOTEMPTY));
    assert_eq!(t.unlink("/d"), Err(Errno::EISDIR));
    assert_eq!(t.rmdir("/g"), Err(Errno::ENOTDIR));
    t.unlink("/d/f").unwrap();
    assert_eq!(t.attr("/g").unwrap().nlink, 1);
    t.rmdir("/d").unwrap();
    assert_eq!(t.attr("/").unwrap().nlink, 2);
    assert_eq!(t.names("/").unwrap(), ["g", "s"]);
    assert_eq!(t.read("/s"), Err(Errno::ENOENT));
}

#[test]
fn other_types() {
    let t = tree();
    t.make("/fifo", NodeKind::Fifo, 0o600).unwrap();
    t.make("/sock", NodeKind::Socket, 0o600).unwrap();
    t.make("/null", NodeKind::CharDevice(0x103), 0o666).unwrap();
    assert_eq!(t.attr("/null").unwrap().rdev, 0x103);
    assert_eq!(t.attr("/fifo").unwrap().mode, 0o010_600);
    assert_eq!(t.open("/sock", OpenFlags::RDWR).err(), Some(Errno::ENXIO));
    let sock = t.inode("/sock").unwrap();
    assert!(sock.as_any().downcast_ref::<TmpfsInode>().unwrap().socket_slot().is_some());
    let kinds: Vec<FileType> = t.list("/").unwrap().iter().map(|e| e.1).collect();
    assert_eq!(kinds, [FileType::Fifo, FileType::CharDevice, FileType::Socket]);
}

#[test]
fn rename_rules() {
    let t = tree();
    for dir in ["/a", "/a/b", "/e", "/full"] {
        t.mkdir(dir).unwrap();
    }
    t.write("/full/x", b"x").unwrap();
    t.write("/f", b"f").unwrap();
    t.write("/g", b"g").unwrap();
    assert_eq!(t.rename("/none", "/x", 0), Err(Errno::ENOENT));
    assert_eq!(t.rename("/f", "/g", NOREPLACE), Err(Errno::EEXIST));
    assert_eq!(t.rename("/f", "/none", EXCHANGE), Err(Errno::ENOENT));
    assert_eq!(t.rename("/a", "/a/b/c", 0), Err(Errno::EINVAL));
    assert_eq!(t.rename("/a", "/f", 0), Err(Errno::ENOTDIR));
    assert_eq!(t.rename("/f", "/a", 0), Err(Errno::EISDIR));
    assert_eq!(t.rename("/a", "/full", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(t.rename("/a/b", "/a", 0), Err(Errno::ENOTEMPTY));
    t.rename("/f", "/g", 0).unwrap();
    assert_eq!(t.read("/g").unwrap(), b"f");
    t.rename("/a", "/e", 0).unwrap();
    assert_eq!(t.names("/e").unwrap(), ["b"]);
    assert_eq!(t.attr("/").unwrap().nlink, 4);
    t.rename("/e/b", "/b", 0).unwrap();
    assert_eq!(t.attr("/e").unwrap().nlink, 2);
    t.rename("/g", "/full", EXCHANGE).unwrap();
    assert_eq!(t.read("/g/x").unwrap(), b"x");
    assert_eq!(t.read("/full").unwrap(), b"f");
    t.link("/full", "/again").unwrap();
    t.rename("/full", "/again", 0).unwrap();
    assert_eq!(t.names("/").unwrap(), ["again", "b", "e", "full", "g"]);
}

/// The inode's own checks: `vfs` makes them too, but only before it calls.
#[test]
fn rename_checks_of_the_inode() {
    let fs = Tmpfs::new(memory(), TmpfsOptions::default()).unwrap();
    let t = Tree::new(fs.clone());
    t.mkdir("/a").unwrap();
    t.mkdir("/a/b").unwrap();
    t.write("/f", b"").unwrap();
    let (root, b) = (fs.root(), t.inode("/a/b").unwrap());
    assert_eq!(root.rename(b"a", &b, b"c", 0), Err(Errno::EINVAL));
    assert_eq!(root.rename(b"a", &root, b"f", 0), Err(Errno::ENOTDIR));
    assert_eq!(root.rename(b"f", &root, b"a", 0), Err(Errno::EISDIR));
    assert_eq!(root.unlink(b"a"), Err(Errno::EISDIR));
    assert_eq!(root.rmdir(b"f"), Err(Errno::ENOTDIR));
    assert_eq!(root.rmdir(b"a"), Err(Errno::ENOTEMPTY));
    let other = Tmpfs::new(memory(), TmpfsOptions::default()).unwrap();
    assert_eq!(root.rename(b"f", &other.root(), b"f", 0), Err(Errno::EXDEV));
    // Nothing appears in a directory that is gone.
    t.rmdir("/a/b").unwrap();
    let node = vfs::NewNode { kind: NodeKind::Regular, mode: 0o600, uid: 0, gid: 0 };
    assert_eq!(b.create(b"x", &node).err(), Some(Errno::ENOENT));
    assert_eq!(root.rename(b"f", &b, b"x", 0), Err(Errno::ENOENT));
}

#[test]
fn unlinked_files_live_while_open() {
    let memory = memory();
    let t = Tree::new(Tmpfs::new(memory.clone(), TmpfsOptions::default()).unwrap());
    t.write("/f", &[1; 100_000]).unwrap();
    let file = t.open("/f", OpenFlags::RDWR).unwrap();
    let used = memory.used_bytes();
    t.unlink("/f").unwrap();
    assert_eq!(read_all(&file).unwrap().len(), 100_000);
    assert_eq!(file.path().inode().attr().unwrap().nlink, 0);
    assert_eq!(memory.used_bytes(), used);
    drop(file);
    assert_eq!(memory.used_bytes(), 0);
    let free = t.inode("/").unwrap().statfs().unwrap();
    assert_eq!((free.bfree, free.ffree), (free.blocks, free.files - 1));
}

#[test]
fn unnamed_files() {
    let t = tree();
    let file = t.open("/", OpenFlags::TMPFILE | OpenFlags::RDWR).unwrap();
    file.write(b"data").unwrap();
    let inode = file.path().inode().clone();
    assert_eq!(inode.attr().unwrap().nlink, 0);
    t.inode("/").unwrap().link(b"named", &inode).unwrap();
    assert_eq!(t.read("/named").unwrap(), b"data");
    t.unlink("/named").unwrap();
    assert_eq!(t.inode("/").unwrap().link(b"again", &inode), Err(Errno::ENOENT));
}

#[test]
fn listing_while_changing() {
    let t = tree();
    for i in 0..300 {
        t.write(&format!("/{i:03}"), b"").unwrap();
    }
    let dir = t.open("/", OpenFlags::DIRECTORY).unwrap();
    let first = list_some(&dir, 102).unwrap();
    assert_eq!((&*first[0].0, &*first[1].0, &*first[101].0), (".", "..", "099"));
    let position = dir.pos();
    for i in 50..150 {
        t.unlink(&format!("/{i:03}")).unwrap();
    }
    t.write("/new", b"").unwrap();
    let rest = list_some(&dir, usize::MAX).unwrap();
    assert_eq!((rest.len(), &*rest[0].0, &*rest[150].0), (151, "150", "new"));
    assert_eq!(dir.seek(position as i64, 0), Ok(position));
    assert_eq!(list_some(&dir, 1).unwrap()[0].0, "150");
}

#[test]
fn limits() {
    let size = Some(16 * PAGE as u64);
    let t = tree_with(TmpfsOptions { size, nr_inodes: Some(4), ..TmpfsOptions::default() });
    let file = t.open("/a", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
    assert_eq!(file.write(&vec![1; 20 * PAGE]), Ok(16 * PAGE));
    assert_eq!(file.write(b"x"), Err(Errno::ENOSPC));
    assert_eq!(file.write_at(b"x", 0), Ok(1));
    t.write("/b", b"").unwrap();
    assert_eq!(t.append("/b", b"x"), Err(Errno::ENOSPC));
    t.set("/a", &SetAttr { size: Some(15 * PAGE as u64), ..SetAttr::default() }).unwrap();
    assert_eq!(t.append("/b", b"x"), Ok(1));
    assert_eq!(t.attr("/b").unwrap().blocks, 8);
    t.link("/b", "/c").unwrap();
    assert_eq!(t.link("/b", "/d"), Err(Errno::ENOSPC));
    assert_eq!(t.mkdir("/d"), Err(Errno::ENOSPC));
    t.unlink("/c").unwrap();
    t.mkdir("/d").unwrap();
    let inode = t.inode("/d").unwrap();
    assert_eq!(inode.set_xattr(b"user.x", &[0; 100], 0), Err(Errno::ENOSPC));
    // A sparse file is as large as it likes, up to the largest size.
    let size = Some(i64::MAX as u64);
    t.set("/b", &SetAttr { size, ..SetAttr::default() }).unwrap();
    let size = Some(i64::MAX as u64 + 1);
    assert_eq!(t.set("/b", &SetAttr { size, ..SetAttr::default() }), Err(Errno::EFBIG));
    let b = t.open("/b", OpenFlags::RDWR).unwrap();
    assert_eq!(b.ops().allocate(0, 0, 1 << 50), Err(Errno::ENOSPC));
    assert_eq!(b.write_at(b"x", i64::MAX as u64), Err(Errno::EFBIG));
    assert_eq!(t.unlink("/b"), Ok(()));
}

#[test]
fn sparse_files() {
    let t = tree();
    let file = t.open("/f", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
    let (hole, data) = (true, false);
    file.write_at(b"end", 10 << 30).unwrap();
    let attr = t.attr("/f").unwrap();
    assert_eq!((attr.size, attr.blocks), ((10 << 30) + 3, 8));
    assert_eq!(file.ops().seek_data(0, data), Ok(10 << 30));
    assert_eq!(file.ops().seek_data(0, hole), Ok(0));
    assert_eq!(file.ops().seek_data(10 << 30, hole), Ok((10 << 30) + 3));
    assert_eq!(file.ops().seek_data((10 << 30) + 3, data), Err(Errno::ENXIO));
    file.write_at(&[7; 3 * PAGE], 5 << 20).unwrap();
    assert_eq!(file.ops().seek_data(12345, data), Ok(5 << 20));
    assert_eq!(file.ops().seek_data(5 << 20, hole), Ok((5 << 20) + 3 * PAGE as u64));
    // Punching frees pages and zeroes the rest.
    file.ops().allocate(3, (5 << 20) + 100, 2 * PAGE as u64).unwrap();
    assert_eq!(t.attr("/f").unwrap().blocks, 8 * 3);
    let mut buf = vec![9; 3 * PAGE];
    file.read_at(&mut buf, 5 << 20).unwrap();
    let expected: Vec<u8> =
        (0..3 * PAGE).map(|i| if (100..2 * PAGE + 100).contains(&i) { 0 } else { 7 }).collect();
    assert_eq!(buf, expected);
    // Allocation beyond the end keeps the size if asked to, and truncation drops it.
    let size = Some(4096);
    t.set("/f", &SetAttr { size, ..SetAttr::default() }).unwrap();
    file.ops().allocate(1, 0, 1 << 20).unwrap();
    assert_eq!(t.attr("/f").unwrap().size, 4096);
    assert_eq!(t.attr("/f").unwrap().blocks, (1 << 20) / 512);
    t.set("/f", &SetAttr { size, ..SetAttr::default() }).unwrap();
    assert_eq!(t.attr("/f").unwrap().blocks, 8);
    assert_eq!(file.ops().allocate(8, 0, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(file.ops().allocate(2, 0, 1), Err(Errno::EOPNOTSUPP));
}

#[test]
fn random_data_against_a_plain_vector() {
    const MAX: u64 = 300_000;
    let t = tree();
    let file = t.open("/f", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
    let mut model: Vec<u8> = Vec::new();
    let mut random = Random(42);
    for step in 0..3000 {
        let at = random.below(MAX);
        let len = 1 + random.below(if step % 7 == 0 { 100_000 } else { 9000 });
        let (start, end) = (at as usize, (at + len) as usize);
        match random.below(8) {
            0..3 => {
                let bytes = vec![step as u8 | 1; len as usize];
                assert_eq!(file.write_at(&bytes, at), Ok(len as usize));
                model.resize(model.len().max(end), 0);
                model[start..end].copy_from_slice(&bytes);
            }
            3 => {
                let change = SetAttr { size: Some(at), ..SetAttr::default() };
                file.path().inode().set_attr(&change).unwrap();
                model.resize(start, 0);
            }
            4 | 5 => {
                let mode = if step % 2 == 0 { 3 } else { 16 | 1 };
                file.ops().allocate(mode, at, len).unwrap();
                let size = model.len();
                model[start.min(size)..end.min(size)].fill(0);
            }
            6 if step % 5 == 0 => {
                file.ops().allocate(0, at, len).unwrap();
                model.resize(model.len().max(end), 0);
            }
            _ => {
                let mut buf = vec![0xee; len as usize];
                let count = file.read_at(&mut buf, at).unwrap();
                let expected = &model[start.min(model.len())..end.min(model.len())];
                assert_eq!(&buf[..count], expected, "step {step}");
            }
        }
        assert_eq!(file.ops().size().unwrap(), model.len() as u64);
    }
}

#[test]
fn mappings() {
    let t = tree();
    t.write("/f", &[5; 5000]).unwrap();
    let file = t.open("/f", OpenFlags::RDWR).unwrap();
    let mapped = file.ops().mappable().unwrap();
    let Backing::Memory { offset, len } = mapped.translate(0, 1 << 20, false).unwrap() else {
        panic!("tmpfs lies in memory");
    };
    assert_eq!((len, offset % PAGE as u64), (2 * PAGE as u64, 0));
    assert_eq!(mapped.translate(2 * PAGE as u64, PAGE as u64, true).err(), Some(Errno::ENXIO));
    t.set("/f", &SetAttr { size: Some(100), ..SetAttr::default() }).unwrap();
    assert_eq!(mapped.translate(PAGE as u64, PAGE as u64, false).err(), Some(Errno::ENXIO));
    assert_eq!(mapped.write_at(90, &[6; 20]), Ok(10));
    assert_eq!(mapped.size(), 100);
    drop(file);
    t.unlink("/f").unwrap();
    assert_eq!(mapped.read_at(85, &mut [0; 50]), Ok(15));
}

#[test]
fn bytes_mapped_beyond_the_end_do_not_appear() {
    let memory = memory();
    let t = Tree::new(Tmpfs::new(memory.clone(), TmpfsOptions::default()).unwrap());
    t.write("/f", b"abc").unwrap();
    let file = t.open("/f", OpenFlags::RDWR).unwrap();
    let mapped = file.ops().mappable().unwrap();
    let Ok(Backing::Memory { offset, .. }) = mapped.translate(0, PAGE as u64, true) else {
        panic!("tmpfs lies in memory");
    };
    // As a guest would, through its mapping.
    memory.write(offset, b"ABCDEF").unwrap();
    t.set("/f", &SetAttr { size: Some(6), ..SetAttr::default() }).unwrap();
    assert_eq!(t.read("/f").unwrap(), b"ABC\0\0\0");
}

#[test]
fn attributes_and_times() {
    let t = tree();
    t.write("/f", b"x").unwrap();
    let at = Timespec { sec: 1000, nsec: 5 };
    let change = SetAttr {
        mode: Some(0o6755),
        uid: Some(7),
        gid: Some(8),
        mtime: Some(TimeChange::At(at)),
        atime: Some(TimeChange::At(at)),
        ..SetAttr::default()
    };
    t.set("/f", &change).unwrap();
    let attr = t.attr("/f").unwrap();
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o106_755, 7, 8));
    assert_eq!((attr.mtime, attr.atime), (at, at));
    assert!(attr.ctime > at && attr.btime.is_some());
    // Reading: the access time is not after the others, so it is updated; then it stays.
    t.read("/f").unwrap();
    let read = t.attr("/f").unwrap().atime;
    assert!(read > at);
    t.read("/f").unwrap();
    assert_eq!(t.attr("/f").unwrap().atime, read);
    // Writing takes set-id bits away.
    t.append("/f", b"y").unwrap();
    let attr = t.attr("/f").unwrap();
    assert_eq!(attr.mode, 0o100_755);
    assert!(attr.mtime > at);
    let size = SetAttr { size: Some(0), ..SetAttr::default() };
    assert_eq!(t.set("/", &size), Err(Errno::EISDIR));
}

#[test]
fn extended_attributes() {
    let t = tree();
    t.write("/f", b"").unwrap();
    let f = t.inode("/f").unwrap();
    assert_eq!(f.get_xattr(b"user.a"), Err(Errno::ENODATA));
    assert_eq!(f.set_xattr(b"user.a", b"1", 2), Err(Errno::ENODATA));
    f.set_xattr(b"user.a", b"1", 1).unwrap();
    assert_eq!(f.set_xattr(b"user.a", b"1", 1), Err(Errno::EEXIST));
    f.set_xattr(b"user.a", b"22", 2).unwrap();
    f.set_xattr(b"security.b", b"", 0).unwrap();
    assert_eq!(f.get_xattr(b"user.a").unwrap(), b"22");
    assert_eq!(f.list_xattr().unwrap(), [&b"security.b"[..], b"user.a"]);
    f.remove_xattr(b"user.a").unwrap();
    assert_eq!(f.remove_xattr(b"user.a"), Err(Errno::ENODATA));
    assert_eq!(f.set_xattr(b"system.posix_acl_access", b"", 0), Err(Errno::EOPNOTSUPP));
    assert_eq!(f.set_xattr(b"user.", b"", 0), Err(Errno::EINVAL));
    assert_eq!(f.set_xattr(b"user.big", &[0; 65537], 0), Err(Errno::E2BIG));
}

#[test]
fn memfd_and_seals() {
    let fs = Tmpfs::new(memory(), TmpfsOptions::default()).unwrap();
    let inode = fs.new_memfd(0o777, 0, 0, 0).unwrap();
    let file = open_inode(fs.clone(), &inode, OpenFlags::RDWR);
    file.write(&[1; 5000]).unwrap();
    let sealed = file.ops_as::<RegularFile>().unwrap();
    sealed.add_seals(seals::GROW | seals::SHRINK).unwrap();
    let size = |size| inode.set_attr(&SetAttr { size: Some(size), ..SetAttr::default() });
    assert_eq!(size(4999), Err(Errno::EPERM));
    assert_eq!(size(5001), Err(Errno::EPERM));
    assert_eq!(size(5000), Ok(()));
    assert_eq!(file.write_at(&[2; 100], 4950), Err(Errno::EPERM));
    assert_eq!(file.write_at(&[2; 50], 4950), Ok(50));
    sealed.add_seals(seals::WRITE | seals::SEAL).unwrap();
    assert_eq!(file.write_at(b"x", 0), Err(Errno::EPERM));
    assert_eq!(file.ops().allocate(3, 0, 4096), Err(Errno::EPERM));
    let mapped = file.ops().mappable().unwrap();
    assert_eq!(mapped.translate(0, 4096, true).err(), Some(Errno::EPERM));
    assert!(mapped.translate(0, 4096, false).is_ok());
    assert_eq!(sealed.add_seals(seals::EXEC), Err(Errno::EPERM));
    assert_eq!(sealed.seals(), seals::GROW | seals::SHRINK | seals::WRITE | seals::SEAL);
    // An ordinary file cannot be sealed.
    let plain = Tree::new(fs);
    let file = plain.open("/f", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
    assert_eq!(file.ops_as::<RegularFile>().unwrap().add_seals(seals::GROW), Err(Errno::EPERM));
}

#[test]
fn deep_trees_are_dropped_without_recursion() {
    let fs = Tmpfs::new(memory(), TmpfsOptions::default()).unwrap();
    let mut dir = fs.root();
    let node = vfs::NewNode { kind: NodeKind::Directory, mode: 0o755, uid: 0, gid: 0 };
    for _ in 0..200_000 {
        dir = dir.create(b"d", &node).unwrap();
    }
    drop(dir);
    drop(fs);
}

#[test]
fn threads_rename_across_directories() {
    let fs = Tmpfs::new(memory(), TmpfsOptions::default()).unwrap();
    let t = Tree::new(fs.clone());
    for dir in ["/a", "/a/b", "/c"] {
        t.mkdir(dir).unwrap();
    }
    t.write("/f", b"payload").unwrap();
    let dirs: Vec<_> = ["/", "/a", "/a/b", "/c"].iter().map(|d| t.inode(d).unwrap()).collect();
    std::thread::scope(|scope| {
        for seed in 1..4 {
            let dirs = &dirs;
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..3000 {
                    let from = &dirs[random.below(4) as usize];
                    let to = &dirs[random.below(4) as usize];
                    let names: [&[u8]; 4] = [b"f", b"a", b"b", b"c"];
                    let name = names[random.below(4) as usize];
                    let _ = from.rename(name, to, name, 0);
                    let _ = from.rmdir(b"none");
                }
            });
        }
    });
    let found = dirs.iter().filter(|d| d.lookup(b"f").is_ok()).count();
    assert_eq!(found, 1);
}
