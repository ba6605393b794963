//! Conversations between unix sockets.

mod connections;
mod packets;
mod rights;
mod streams;

use super::*;
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::stat::StatFs;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::HashMap;
use unix::UnixSocket;
use vfs::{Attr, FileOps, Inode, InodeRef, OpenFile};
use wait::Waiter;

const CLIENT: PeerCred = PeerCred { pid: 10, uid: 1000, gid: 100 };
const SERVER: PeerCred = PeerCred { pid: 20, uid: 0, gid: 0 };
const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM).union(PollEvents::WRBAND);

type Ref = Arc<dyn Socket>;

fn make(namespace: &Arc<NetNamespace>, kind: SocketKind) -> Ref {
    socket(namespace, AF_UNIX, kind as i32, 0, CLIENT).unwrap()
}

fn pair(kind: SocketKind) -> (Ref, Ref) {
    socketpair(&NetNamespace::new(), AF_UNIX, kind as i32, 0, CLIENT).unwrap()
}

fn client() -> Caller<'static> {
    Caller::nameless(CLIENT)
}

fn server() -> Caller<'static> {
    Caller::nameless(SERVER)
}

/// An address: "@name" is abstract.
fn addr(name: &str) -> Vec<u8> {
    let mut bytes = vec![AF_UNIX as u8, 0];
    bytes.extend(name.replace('@', "\0").as_bytes());
    bytes
}

fn send(socket: &Ref, data: &[u8]) -> SysResult<usize> {
    socket.send(&client(), SendMessage::bytes(data))
}

fn send_to(socket: &Ref, data: &[u8], to: &str) -> SysResult<usize> {
    let to = addr(to);
    socket.send(&client(), SendMessage { data, to: Some(&to), ..SendMessage::default() })
}

fn receive(socket: &Ref, len: usize) -> SysResult<Vec<u8>> {
    let mut buf = vec![0; len];
    let received = socket.receive(&mut buf, MsgFlags::empty())?;
    buf.truncate(received.len);
    Ok(buf)
}

fn set(socket: &Ref, name: i32, value: i32) {
    socket.set_option(libc::SOL_SOCKET, name, &value.to_ne_bytes()).unwrap();
}

fn get(socket: &Ref, name: i32) -> i32 {
    let value = socket.get_option(libc::SOL_SOCKET, name).unwrap();
    i32::from_ne_bytes(value.try_into().unwrap())
}

fn peer_cred(socket: &Ref) -> PeerCred {
    let value = socket.get_option(libc::SOL_SOCKET, libc::SO_PEERCRED).unwrap();
    zerocopy::FromBytes::read_from_bytes(value.as_slice()).unwrap()
}

/// A listening stream socket with this abstract name.
fn listener(namespace: &Arc<NetNamespace>, kind: SocketKind, name: &str, backlog: i32) -> Ref {
    let socket = make(namespace, kind);
    socket.bind(&server(), &addr(name)).unwrap();
    socket.listen(&server(), backlog).unwrap();
    socket
}

/// Runs `attempt` until it is no longer EAGAIN, as a blocking call does.
fn block<T>(
    socket: &Ref,
    mask: PollEvents,
    mut attempt: impl FnMut() -> SysResult<T>,
) -> SysResult<T> {
    let waiter = Waiter::new();
    let _registration = socket.wait_queue().register(mask.bits(), waiter.clone());
    loop {
        match attempt() {
            Err(Errno::EAGAIN) => waiter.wait(None),
            result => return result,
        };
    }
}

/// A node of a file system.
struct Node(FileType);

impl Inode for Node {
    fn file_type(&self) -> FileType {
        self.0
    }
    fn attr(&self) -> SysResult<Attr> {
        Ok(Attr::default())
    }
    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }
    fn statfs(&self) -> SysResult<StatFs> {
        Ok(StatFs::default())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A file system with one directory.
#[derive(Default)]
struct Paths(Mutex<HashMap<Vec<u8>, InodeRef>>);

impl SocketPaths for Paths {
    fn create(&self, path: &[u8]) -> SysResult<InodeRef> {
        let mut nodes = self.0.lock();
        if nodes.contains_key(path) {
            return Err(Errno::EEXIST);
        }
        let inode: InodeRef = Arc::new(Node(FileType::Socket));
        nodes.insert(path.to_vec(), inode.clone());
        Ok(inode)
    }

    fn find(&self, path: &[u8]) -> SysResult<InodeRef> {
        self.0.lock().get(path).cloned().ok_or(Errno::ENOENT)
    }
}

#[test]
fn what_is_not_there() {
    let namespace = NetNamespace::new();
    let socket =
        |family, kind, protocol| super::socket(&namespace, family, kind, protocol, CLIENT).err();
    assert_eq!(socket(libc::AF_INET, 1, 0), Some(Errno::EAFNOSUPPORT));
    assert_eq!(socket(-1, 1, 0), Some(Errno::EAFNOSUPPORT));
    assert_eq!(socket(AF_UNIX, 99, 0), Some(Errno::EINVAL));
    assert_eq!(socket(AF_UNIX, 4, 0), Some(Errno::ESOCKTNOSUPPORT));
    assert_eq!(socket(AF_UNIX, 1, 2), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(socket(AF_UNIX, 3, 1), None);
}

#[test]
fn a_socket_is_a_file() {
    let (a, b) = pair(SocketKind::Stream);
    let (a, b) =
        (SocketFile::open(a, OpenFlags::NONBLOCK), SocketFile::open(b, OpenFlags::empty()));
    let mut buf = [0; 8];
    assert_eq!(a.write(b"ping"), Ok(4));
    assert_eq!(b.poll(), READABLE | WRITABLE);
    assert_eq!(b.read(&mut buf), Ok(4));
    assert_eq!(b.seek(0, 0), Err(Errno::ESPIPE));
    let attr = a.path().inode().attr().unwrap();
    assert_eq!((attr.mode, attr.uid), (0o140777, CLIENT.uid));
    assert_eq!(&*a.path().dentry.name(), format!("socket:[{}]", attr.ino).as_bytes());
    assert!(a.is_nonblocking() && !b.is_nonblocking());
    assert_eq!(a.ops_as::<SocketFile>().unwrap().socket().kind(), SocketKind::Stream);
}
