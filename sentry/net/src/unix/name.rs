//! Names of unix sockets: `struct sockaddr_un`, and who is bound to which.

use super::UnixSocket;
use crate::socket::SocketKind;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use vfs::InodeRef;

/// Size of the family at the start of an address.
const FAMILY_LEN: usize = 2;
/// sizeof(struct sockaddr_un).
const MAX_LEN: usize = FAMILY_LEN + 108;

/// An address as the user gave it.
#[derive(Debug, PartialEq, Eq)]
pub enum UnixAddress<'a> {
    /// Only the family: bind(2) chooses a name.
    Unnamed,
    /// A name of the network namespace, with any bytes.
    Abstract(&'a [u8]),
    /// A path.
    Path(&'a [u8]),
}

impl UnixAddress<'_> {
    /// EINVAL for what is no address of this family.
    pub fn parse(addr: &[u8]) -> SysResult<UnixAddress<'_>> {
        let (family, name) = addr.split_first_chunk::<FAMILY_LEN>().ok_or(Errno::EINVAL)?;
        if i32::from(u16::from_ne_bytes(*family)) != libc::AF_UNIX || addr.len() > MAX_LEN {
            return Err(Errno::EINVAL);
        }
        match name {
            [] => Ok(UnixAddress::Unnamed),
            [0, name @ ..] => Ok(UnixAddress::Abstract(name)),
            path => {
                let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
                Ok(UnixAddress::Path(&path[..end]))
            }
        }
    }
}

/// Is this an address of family AF_UNSPEC, by which connect(2) dissolves an association?
pub(super) fn is_unspecified(addr: &[u8]) -> bool {
    addr.first_chunk().is_some_and(|f| i32::from(u16::from_ne_bytes(*f)) == libc::AF_UNSPEC)
}

/// The address of a socket without a name.
pub(super) fn unnamed() -> Vec<u8> {
    (libc::AF_UNIX as u16).to_ne_bytes().to_vec()
}

/// The name a socket is bound to.
pub(super) enum Name {
    Abstract(Box<[u8]>),
    /// The path as it was given to bind(2), and the node. The reference keeps the node's identity,
    /// also when its name is gone.
    Path(Box<[u8]>, InodeRef),
}

impl Name {
    /// As getsockname(2) shows it.
    pub fn to_address(&self) -> Vec<u8> {
        let mut address = unnamed();
        match self {
            Name::Abstract(name) => {
                address.push(0);
                address.extend_from_slice(name);
            }
            Name::Path(path, _) => {
                address.extend_from_slice(path);
                address.push(0);
            }
        }
        address
    }
}

type Abstracts = HashMap<(SocketKind, Box<[u8]>), Weak<UnixSocket>>;

/// The abstract names of a network namespace.
#[derive(Default)]
pub struct Names {
    abstracts: Mutex<Abstracts>,
    next_auto: AtomicU32,
}

/// Sockets bound to nodes of file systems, by the inode's address, which their names keep valid.
/// Shared by all network namespaces, as the file systems are.
static NODES: LazyLock<Mutex<HashMap<usize, Weak<UnixSocket>>>> = LazyLock::new(Mutex::default);

fn node_key(inode: &InodeRef) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

impl Names {
    /// Gives an abstract name to a socket. EADDRINUSE.
    pub(super) fn bind_abstract(&self, name: &[u8], socket: &UnixSocket) -> SysResult<Name> {
        let mut abstracts = self.abstracts.lock();
        let key = (socket.kind, name.into());
        if abstracts.contains_key(&key) {
            return Err(Errno::EADDRINUSE);
        }
        abstracts.insert(key, socket.me.clone());
        Ok(Name::Abstract(name.into()))
    }

    /// Gives it one of five hexadecimal digits that is free. ENOSPC where none is.
    pub(super) fn bind_auto(&self, socket: &UnixSocket) -> SysResult<Name> {
        for _ in 0..=0xf_ffff {
            let number = self.next_auto.fetch_add(1, Ordering::Relaxed) & 0xf_ffff;
            match self.bind_abstract(format!("{number:05x}").as_bytes(), socket) {
                Err(Errno::EADDRINUSE) => {}
                result => return result,
            }
        }
        Err(Errno::ENOSPC)
    }

    /// Gives a node to a socket, which has just made it.
    pub(super) fn bind_node(path: &[u8], inode: InodeRef, socket: &UnixSocket) -> Name {
        NODES.lock().insert(node_key(&inode), socket.me.clone());
        Name::Path(path.into(), inode)
    }

    /// The socket is going.
    pub(super) fn release(&self, kind: SocketKind, name: &Name) {
        match name {
            Name::Abstract(name) => {
                self.abstracts.lock().remove(&(kind, name.clone()));
            }
            Name::Path(_, inode) => {
                NODES.lock().remove(&node_key(inode));
            }
        }
    }

    /// Who has the abstract name? ECONNREFUSED.
    pub(super) fn find_abstract(
        &self,
        kind: SocketKind,
        name: &[u8],
    ) -> SysResult<Arc<UnixSocket>> {
        let found = self.abstracts.lock().get(&(kind, name.into())).cloned();
        found.and_then(|socket| socket.upgrade()).ok_or(Errno::ECONNREFUSED)
    }

    /// Who is bound to the node? ECONNREFUSED where nobody is, EPROTOTYPE for another type.
    pub(super) fn find_node(kind: SocketKind, inode: &InodeRef) -> SysResult<Arc<UnixSocket>> {
        let found = NODES.lock().get(&node_key(inode)).cloned();
        let socket = found.and_then(|socket| socket.upgrade()).ok_or(Errno::ECONNREFUSED)?;
        if socket.kind == kind { Ok(socket) } else { Err(Errno::EPROTOTYPE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &[u8]) -> SysResult<Vec<u8>> {
        let address = [&unnamed(), name].concat();
        Ok(match UnixAddress::parse(&address)? {
            UnixAddress::Unnamed => b"unnamed".to_vec(),
            UnixAddress::Abstract(name) => [b"abstract:", name].concat(),
            UnixAddress::Path(path) => [b"path:", path].concat(),
        })
    }

    #[test]
    fn addresses() {
        assert_eq!(parse(b""), Ok(b"unnamed".to_vec()));
        assert_eq!(parse(b"\0a\0b"), Ok(b"abstract:a\0b".to_vec()));
        assert_eq!(parse(b"/tmp/x\0garbage"), Ok(b"path:/tmp/x".to_vec()));
        assert_eq!(parse(&[b'x'; 108]).map(|path| path.len()), Ok(5 + 108));
        assert_eq!(parse(&[b'x'; 109]), Err(Errno::EINVAL));
        assert_eq!(UnixAddress::parse(&[2, 0, 1, 2]), Err(Errno::EINVAL));
        assert_eq!(UnixAddress::parse(&[1]), Err(Errno::EINVAL));
        assert!(is_unspecified(&[0, 0]) && !is_unspecified(&[1, 0]));
    }
}
