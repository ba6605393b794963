//! A gofer in a thread of the test, serving a temporary directory.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use gofer::client::{Client, Walked};
use gofer::protocol::{NodeId, OpenFlags};
use gofer::server::{Access, Limits, Root, Server, Sharing};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// A directory that is removed at the end.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gofer-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn socket_pair() -> (OwnedFd, OwnedFd) {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .unwrap()
}

pub fn root_fd(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

pub fn root(id: u32, path: &Path, access: Access) -> Root {
    Root::new(id, root_fd(path), access, Sharing::Shared).unwrap()
}

pub fn limits() -> Limits {
    Limits { kept_directories: 64, nodes: 100_000, threads: 4 }
}

/// A client, and the thread of its server.
pub struct Gofer {
    pub client: Option<Client>,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Gofer {
    pub fn start(roots: Vec<Root>, limits: Limits) -> Gofer {
        let (ours, theirs) = socket_pair();
        let server = Server::new(theirs, roots, limits).unwrap();
        let server = std::thread::spawn(move || server.run());
        Gofer { client: Some(Client::connect(ours).unwrap()), server: Some(server) }
    }

    pub fn serve(path: &Path, access: Access) -> Gofer {
        Gofer::start(vec![root(7, path, access)], limits())
    }
}

impl std::ops::Deref for Gofer {
    type Target = Client;
    fn deref(&self) -> &Client {
        self.client.as_ref().unwrap()
    }
}

impl Drop for Gofer {
    fn drop(&mut self) {
        self.client = None;
        let ended = self.server.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(Ok(())))), "{ended:?}");
        }
    }
}

pub const ROOT: NodeId = NodeId(1);

/// The components of a path.
pub fn names(path: &str) -> Vec<&[u8]> {
    path.split('/').filter(|name| !name.is_empty()).map(str::as_bytes).collect()
}

pub fn walk(client: &Client, path: &str) -> Walked {
    client.walk(ROOT, &names(path), None).unwrap()
}

/// The node of a path that exists.
pub fn node(client: &Client, path: &str) -> NodeId {
    let walked = walk(client, path);
    assert_eq!(walked.stop, gofer::protocol::WalkStop::Done, "{path}");
    walked.nodes.last().map_or(ROOT, |walked| walked.node)
}

pub fn read(file: &OwnedFd) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = rustix::io::pread(file, &mut buffer, 0).unwrap();
    buffer.truncate(length);
    buffer
}

pub const READ: OpenFlags = OpenFlags::READ;

/// A small generator of numbers that look random (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
