//! Sockets: making, naming and connecting them, and their options. Messages are in `message.rs`,
//! what comes along with them in `control.rs`.

mod control;
pub(crate) mod message;

use super::blocking::retry;
use super::events::install_pair;
use super::paths::CWD;
use crate::args::Flags;
use abi::file::{OpenFlags, PollEvents};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use net::{Caller, NetNamespace, PeerCred, SendMessage, Shutdown, Socket, SocketFile, SocketPaths};
use std::sync::{Arc, LazyLock};
use vfs::cred::MAY_WRITE;
use vfs::{Fd, InodeRef, NodeKind, OpenFile, WalkFlags};

/// The sandbox's.
static NAMESPACE: LazyLock<Arc<NetNamespace>> = LazyLock::new(NetNamespace::new);

/// The longest address: `struct sockaddr_storage`.
const MAX_ADDRESS: usize = 128;

/// The longest option that is looked at.
const MAX_OPTION: usize = 4096;

/// The names that unix sockets have in the caller's file system.
struct Paths<'c, 't>(&'c TaskContext<'t>);

impl SocketPaths for Paths<'_, '_> {
    fn create(&self, path: &[u8]) -> SysResult<InodeRef> {
        let mode = 0o777 & !self.0.fs().umask();
        let place =
            self.0.with_path(CWD, path, |paths| paths.make_node(path, NodeKind::Socket, mode))?;
        Ok(place.inode().clone())
    }

    fn find(&self, path: &[u8]) -> SysResult<InodeRef> {
        self.0.with_path(CWD, path, |paths| {
            let place = paths.walk(path, WalkFlags::FOLLOW)?;
            vfs::walk::check_inode(paths.cred, &place, MAY_WRITE)?;
            Ok(place.inode().clone())
        })
    }
}

fn identity(cx: &TaskContext<'_>) -> PeerCred {
    let cred = cx.cred();
    PeerCred { pid: cx.group().pid(), uid: cred.euid, gid: cred.egid }
}

/// Runs `f` with the caller as sockets know it.
fn with_caller<R>(cx: &TaskContext<'_>, f: impl FnOnce(&Caller<'_>) -> R) -> R {
    f(&Caller { cred: identity(cx), paths: &Paths(cx) })
}

/// The socket at a descriptor. EBADF, ENOTSOCK.
fn find(cx: &TaskContext<'_>, fd: Fd) -> SysResult<(Arc<OpenFile>, Arc<dyn Socket>)> {
    let file = cx.file(fd)?;
    let socket = file.ops_as::<SocketFile>().ok_or(Errno::ENOTSOCK)?.socket().clone();
    Ok((file, socket))
}

/// write(2) on a socket: as sendto(2), so that the receiver learns who sent it. None where the file
/// is no socket.
pub(super) fn send_bytes(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    bytes: &[u8],
) -> Option<SysResult<usize>> {
    let socket = file.ops_as::<SocketFile>()?.socket();
    Some(with_caller(cx, |caller| socket.send(caller, SendMessage::bytes(bytes))))
}

/// An address, as the guest gives it. EINVAL for a length that is none.
fn read_address(cx: &TaskContext<'_>, addr: UserAddr, len: i32) -> SysResult<Vec<u8>> {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    cx.mm().read_array(addr, len, MAX_ADDRESS)
}

/// Writes as much of an address as there is room for, and how long it is.
fn write_address(
    cx: &TaskContext<'_>,
    addr: UserAddr,
    len: UserAddr,
    address: &[u8],
) -> SysResult<()> {
    let room: i32 = cx.read(len)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    cx.mm().write_bytes(addr, &address[..address.len().min(room)])?;
    cx.write(len, &(address.len() as i32))
}

/// The type without its flags, and those. EINVAL for unknown ones.
fn split_kind(kind: i32) -> SysResult<(i32, OpenFlags)> {
    const TYPE_MASK: i32 = 15;
    let flags = OpenFlags::from_bits_retain((kind & !TYPE_MASK) as u32);
    check_flags(flags)?;
    Ok((kind & TYPE_MASK, flags))
}

fn check_flags(flags: OpenFlags) -> SysResult<()> {
    let known = OpenFlags::NONBLOCK | OpenFlags::CLOEXEC;
    if known.contains(flags) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// socket(2).
pub(crate) fn socket(
    cx: &mut TaskContext<'_>,
    family: i32,
    kind: i32,
    protocol: i32,
) -> CallResult {
    let (kind, flags) = split_kind(kind)?;
    let socket = net::socket(&NAMESPACE, family, kind, protocol, identity(cx))?;
    let file = SocketFile::open(socket, flags);
    Ok(cx.install(file, flags.contains(OpenFlags::CLOEXEC))?.0 as u64)
}

/// socketpair(2).
pub(crate) fn socketpair(
    cx: &mut TaskContext<'_>,
    family: i32,
    kind: i32,
    protocol: i32,
    fds: UserAddr,
) -> CallResult {
    let (kind, flags) = split_kind(kind)?;
    let (a, b) = net::socketpair(&NAMESPACE, family, kind, protocol, identity(cx))?;
    let (a, b) = (SocketFile::open(a, flags), SocketFile::open(b, flags));
    install_pair(cx, a, b, flags.contains(OpenFlags::CLOEXEC), fds)
}

/// bind(2).
pub(crate) fn bind(cx: &mut TaskContext<'_>, fd: Fd, addr: UserAddr, len: i32) -> CallResult {
    let (_, socket) = find(cx, fd)?;
    let address = read_address(cx, addr, len)?;
    with_caller(cx, |caller| socket.bind(caller, &address))?;
    Ok(0)
}

/// listen(2).
pub(crate) fn listen(cx: &mut TaskContext<'_>, fd: Fd, backlog: i32) -> CallResult {
    let (_, socket) = find(cx, fd)?;
    with_caller(cx, |caller| socket.listen(caller, backlog))?;
    Ok(0)
}

/// accept(2).
pub(crate) fn accept(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    addr: UserAddr,
    len: UserAddr,
) -> CallResult {
    accept4(cx, fd, addr, len, Flags(0))
}

/// accept4(2).
pub(crate) fn accept4(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    addr: UserAddr,
    len: UserAddr,
    flags: Flags,
) -> CallResult {
    let flags = OpenFlags::from_bits_retain(flags.0);
    check_flags(flags)?;
    let (file, socket) = find(cx, fd)?;
    cx.files().check_room(cx.group().limits().nofile())?;
    let accepted = retry(cx, &file, PollEvents::IN, false, || socket.accept())?;
    let new = SocketFile::open(accepted.clone(), flags);
    if !addr.is_null() {
        let peer = accepted.peer_address().map_err(|_| Errno::ECONNABORTED)?;
        write_address(cx, addr, len, &peer)?;
    }
    Ok(cx.install(new, flags.contains(OpenFlags::CLOEXEC))?.0 as u64)
}

/// connect(2).
pub(crate) fn connect(cx: &mut TaskContext<'_>, fd: Fd, addr: UserAddr, len: i32) -> CallResult {
    let (file, socket) = find(cx, fd)?;
    let address = read_address(cx, addr, len)?;
    let waits = !file.is_nonblocking();
    retry(cx, &file, PollEvents::OUT, false, || {
        with_caller(cx, |caller| socket.connect(caller, &address)).map_err(|errno| match errno {
            // Under way: whoever can wait does.
            Errno::EINPROGRESS | Errno::EALREADY if waits => Errno::EAGAIN,
            errno => errno,
        })
    })?;
    Ok(0)
}

/// shutdown(2).
pub(crate) fn shutdown(cx: &mut TaskContext<'_>, fd: Fd, how: i32) -> CallResult {
    let (_, socket) = find(cx, fd)?;
    socket.shutdown(Shutdown::new(how)?)?;
    Ok(0)
}

/// getsockname(2).
pub(crate) fn getsockname(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    addr: UserAddr,
    len: UserAddr,
) -> CallResult {
    let (_, socket) = find(cx, fd)?;
    write_address(cx, addr, len, &socket.local_address()?)?;
    Ok(0)
}

/// getpeername(2).
pub(crate) fn getpeername(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    addr: UserAddr,
    len: UserAddr,
) -> CallResult {
    let (_, socket) = find(cx, fd)?;
    write_address(cx, addr, len, &socket.peer_address()?)?;
    Ok(0)
}

/// setsockopt(2).
pub(crate) fn setsockopt(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    level: i32,
    name: i32,
    value: UserAddr,
    len: i32,
) -> CallResult {
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let (_, socket) = find(cx, fd)?;
    let value: Vec<u8> = cx.mm().read_array(value, len.min(MAX_OPTION) as u64, MAX_OPTION)?;
    socket.set_option(level, name, &value)?;
    Ok(0)
}

/// getsockopt(2).
pub(crate) fn getsockopt(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    level: i32,
    name: i32,
    value: UserAddr,
    len: UserAddr,
) -> CallResult {
    let (_, socket) = find(cx, fd)?;
    let room: i32 = cx.read(len)?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let option = socket.get_option(level, name)?;
    let shown = &option[..option.len().min(room)];
    cx.mm().write_bytes(value, shown)?;
    cx.write(len, &(shown.len() as i32))?;
    Ok(0)
}
