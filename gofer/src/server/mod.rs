//! The server: what the gofer process runs.
//!
//! [`Server::new`] prepares while the process still may do anything, [`Server::run`] needs only the
//! calls listed in [`crate::seccomp`]; confine the process between the two.

mod change;
mod dispatch;
mod host;
mod nodes;
mod pool;
mod root;
mod tree;
mod xattr;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nodes::{Identity, NodeTable};
pub use root::{Access, Root, Sharing};

use crate::errno::Errno;
use crate::protocol::MAX_ROOTS;

/// What the server may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Directories whose fd is kept; others are opened again when needed.
    pub kept_directories: usize,
    /// Nodes that the client may hold at a time; beyond, ENFILE. A node takes about 200 bytes.
    pub nodes: usize,
    /// Threads, at most. The second and later ones are made when a request stalls.
    pub threads: usize,
}

impl Default for Limits {
    /// For this process's RLIMIT_NOFILE: half of it for kept directories, the rest for roots, files
    /// being opened and fds on their way to the sentry.
    fn default() -> Limits {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = usize::try_from(files.unwrap_or(u64::MAX) / 2).unwrap_or(usize::MAX);
        Limits { kept_directories: half.clamp(1, 4096), nodes: 1 << 20, threads: 4 }
    }
}

/// A gofer that is ready to run.
pub struct Server {
    socket: OwnedFd,
    files: Files,
    threads: usize,
}

/// The roots, and the nodes that the client has walked to.
struct Files {
    roots: Vec<Root>,
    nodes: Mutex<NodeTable>,
}

impl Server {
    /// Takes the socket (`SOCK_SEQPACKET`, connected to the sentry) and the roots. Sets the umask
    /// of the process to 0: the sentry applies its tasks' own.
    pub fn new(socket: OwnedFd, roots: Vec<Root>, limits: Limits) -> io::Result<Server> {
        if roots.len() > MAX_ROOTS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many roots"));
        }
        if rustix::net::sockopt::socket_type(socket.as_fd())? != rustix::net::SocketType::SEQPACKET
        {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a packet socket"));
        }
        rustix::process::umask(rustix::fs::Mode::empty());
        // The first thread of a process makes glibc install a signal handler (for setuid(2) of all
        // threads), which is not among the calls allowed later.
        std::thread::Builder::new().spawn(|| ())?.join().ok();
        let known: Vec<_> =
            roots.iter().map(|root| (root.fd(), Identity::of(root.attr()))).collect();
        let nodes = NodeTable::new(known.into_iter(), limits.nodes, limits.kept_directories);
        let files = Files { roots, nodes: Mutex::new(nodes) };
        Ok(Server { socket, files, threads: limits.threads.max(1) })
    }

    /// Answers requests until the sentry closes its end, which is `Ok`.
    pub fn run(self) -> io::Result<()> {
        pool::run(Arc::new(self))
    }
}

/// Serves `roots` on `socket` until the other end closes: [`Server::new`] and [`Server::run`] in
/// one, with default limits, for callers that have nothing to do between them.
pub fn serve(socket: OwnedFd, roots: Vec<Root>) -> io::Result<()> {
    Server::new(socket, roots, Limits::default())?.run()
}

impl Files {
    /// The node table. No host call is made while this is held, but for closing an `O_PATH` fd.
    fn nodes(&self) -> MutexGuard<'_, NodeTable> {
        // A panic elsewhere leaves a table that is still worth serving from.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The root at an index that came out of the node table.
    fn root(&self, index: usize) -> Result<&Root, Errno> {
        self.roots.get(index).ok_or(Errno::EBADF)
    }
}
