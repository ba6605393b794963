//! A gofer in a thread, for tests.

use super::{GoferFs, Limits};
use gofer::Client;
use gofer::server::{Access, Root, Sharing};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// A directory of the host, gone when dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fs-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, data: impl AsRef<[u8]>) {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A gofer for one directory, and the file system over it.
pub(crate) struct Served {
    pub fs: Arc<GoferFs>,
    socket: std::os::fd::OwnedFd,
    server: Option<JoinHandle<()>>,
}

impl Served {
    pub fn new(path: &Path, access: Access, sharing: Sharing, limits: Limits) -> Served {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let root = std::fs::File::open(path).unwrap();
        let root = Root::new(7, root.into(), access, sharing).unwrap();
        let server = std::thread::spawn(move || gofer::server::serve(theirs, vec![root]).unwrap());
        let socket = ours.try_clone().unwrap();
        let client = Arc::new(Client::connect(ours).unwrap());
        let root = client.roots()[0];
        let fs = GoferFs::with_limits(client, &root, "test", limits);
        Served { fs, socket, server: Some(server) }
    }

    /// After this every question to the gofer fails.
    pub fn stop(&mut self) {
        rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both).unwrap();
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}
