//! One of every message.

use gofer::Errno;
use gofer::protocol::*;

fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

fn xattr(name: &str) -> XattrName<'_> {
    XattrName::new(name.as_bytes()).unwrap()
}

pub fn requests() -> Vec<Request<'static>> {
    let node = NodeId(1);
    let parent = NodeId(1);
    let owner = Owner { uid: Some(0), gid: None };
    let time = Timestamp { seconds: -5, nanoseconds: 999_999_999 };
    let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::TRUNCATE;
    vec![
        Request::Hello { version: VERSION },
        Request::Walk {
            start: node,
            names: vec![name("d"), name("f")],
            flags: WalkFlags::ATTR_ONLY,
            open: Some(OpenFlags::READ),
        },
        Request::Walk { start: node, names: vec![], flags: WalkFlags::empty(), open: None },
        Request::ReadDir { node, cookie: 77 },
        Request::ReadDir { node, cookie: 0 },
        Request::Open { node, flags },
        Request::Stat { node },
        Request::ReadLink { node },
        Request::SetAttr {
            node,
            set: SetAttr {
                mode: Some(0o4755),
                owner,
                size: Some(1 << 40),
                atime: SetTime::Now,
                mtime: SetTime::To(time),
            },
        },
        Request::SetAttr { node, set: SetAttr::default() },
        Request::Create { parent, name: name("new"), mode: 0o644, owner, flags },
        Request::Mkdir { parent, name: name("dir"), mode: 0o755, owner },
        Request::Symlink { parent, name: name("link"), target: b"/etc/passwd", owner },
        Request::Mknod { parent, name: name("fifo"), mode: libc::S_IFIFO | 0o600, owner },
        Request::Link { node: NodeId(2), parent, name: name("hard") },
        Request::Unlink { parent, name: name("f"), directory: true },
        Request::Rename {
            old_parent: parent,
            old_name: name("a"),
            new_parent: NodeId(3),
            new_name: name("b"),
            flags: RenameFlags::EXCHANGE,
        },
        Request::StatFs { node },
        Request::Fsync { node },
        Request::GetXattr { node, name: xattr("user.a/b") },
        Request::SetXattr { node, name: xattr("user.a"), value: b"v\0", flags: XattrFlags::CREATE },
        Request::ListXattr { node },
        Request::RemoveXattr { node, name: xattr("user.a") },
        Request::Forget { nodes: vec![Forgotten { node: NodeId(9), count: u64::MAX }] },
    ]
}

#[allow(dead_code, reason = "only some test programs need it")]
pub fn responses() -> Vec<Result<Reply, Errno>> {
    let time = Timestamp { seconds: 1 << 40, nanoseconds: 1 };
    let attr = Attr {
        mode: libc::S_IFLNK | 0o777,
        nlink: 2,
        uid: 3,
        gid: 4,
        ino: u64::MAX,
        dev: Device { major: 8, minor: 1 },
        rdev: Device { major: 1, minor: 3 },
        size: 5,
        blocks: 6,
        blksize: 4096,
        atime: time,
        mtime: time,
        ctime: time,
        btime: Some(time),
    };
    let walked = WalkedNode { node: NodeId(5), attr };
    let root =
        RootInfo { id: 1, node: NodeId(1), read_only: true, shared: false, attr: Attr::default() };
    let walk = WalkReply { nodes: vec![walked], stop: WalkStop::Done, target: None, open: None };
    let entry = DirEntry {
        name: b"x".to_vec(),
        ino: 3,
        file_type: FileType::Symlink,
        next: 9,
        attr: Some(attr),
        target: Some(b"..".to_vec()),
    };
    let bare = DirEntry { attr: None, target: None, ..entry.clone() };
    vec![
        Err(Errno::ENOENT),
        Ok(Reply::Hello(HelloReply { version: 1, roots: vec![root, root] })),
        Ok(Reply::Walk(WalkReply { open: Some(Ok(())), ..walk.clone() })),
        Ok(Reply::Walk(WalkReply { open: Some(Err(Errno::EACCES)), ..walk.clone() })),
        Ok(Reply::Walk(WalkReply { stop: WalkStop::Missing, ..walk.clone() })),
        Ok(Reply::Walk(WalkReply { stop: WalkStop::NotDirectory, ..walk.clone() })),
        Ok(Reply::Walk(WalkReply { stop: WalkStop::Failed(Errno::EIO), ..walk.clone() })),
        Ok(Reply::Walk(WalkReply { stop: WalkStop::Symlink, target: Some(b"/".to_vec()), ..walk })),
        Ok(Reply::Listing(Listing { entries: vec![entry, bare], next: Some(9) })),
        Ok(Reply::Listing(Listing { entries: vec![], next: None })),
        Ok(Reply::Opened(attr)),
        Ok(Reply::Attr(attr)),
        Ok(Reply::Node(walked)),
        Ok(Reply::Created(walked)),
        Ok(Reply::Target(b"a".to_vec())),
        Ok(Reply::Done),
        Ok(Reply::StatFs(StatFs { fs_type: 1, name_max: 255, ..StatFs::default() })),
        Ok(Reply::Xattr(vec![0; MAX_XATTR])),
        Ok(Reply::XattrNames(vec![b"user.a".to_vec(), b"security.capability".to_vec()])),
    ]
}
