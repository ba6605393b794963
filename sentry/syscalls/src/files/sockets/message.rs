//! Sending and receiving: sendmsg(2), recvmsg(2) and their kin.

use super::control::{Control, deliver};
use super::{MAX_ADDRESS, find, read_address, with_caller, write_address};
use crate::args::Flags;
use crate::files::blocking::retry;
use crate::files::buffers::{Bounce, CHUNK, MAX_MESSAGE, MAX_VECTORS, UserBuffers};
use abi::file::PollEvents;
use abi::signal::Signal;
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::time::deadline_in;
use kernel::{CallResult, SysError, TaskContext};
use net::{MsgFlags, Received, Rights, SendMessage, Socket, SocketKind};
use std::sync::Arc;
use std::time::Instant;
use vfs::{Fd, OpenFile};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct msghdr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct MsgHdr {
    name: u64,
    namelen: i32,
    pad0: u32,
    iov: u64,
    iovlen: u64,
    control: u64,
    controllen: u64,
    flags: u32,
    pad1: u32,
}

/// The length of `struct mmsghdr`: a `struct msghdr`, the length of the message, padding.
const MMSGHDR_LEN: u64 = 64;

/// Offsets of what recvmsg(2) writes back.
const NAMELEN: u64 = 8;
const CONTROLLEN: u64 = 40;
const FLAGS: u64 = 48;
const MESSAGE_LEN: u64 = 56;

/// A socket, and how one call uses it.
struct Channel {
    file: Arc<OpenFile>,
    socket: Arc<dyn Socket>,
    flags: MsgFlags,
}

impl Channel {
    fn new(cx: &TaskContext<'_>, fd: Fd, flags: Flags) -> SysResult<Channel> {
        let (file, socket) = find(cx, fd)?;
        // Unknown flags mean nothing, as in Linux.
        Ok(Channel { file, socket, flags: MsgFlags::from_bits_truncate(flags.0) })
    }

    fn is_stream(&self) -> bool {
        self.socket.kind() == SocketKind::Stream
    }

    fn nonblocking(&self) -> bool {
        self.flags.contains(MsgFlags::DONTWAIT)
    }

    /// Sends the buffers: a stream takes them in parts, anything else as one message.
    fn send(
        &self,
        cx: &TaskContext<'_>,
        buffers: &UserBuffers,
        to: Option<&[u8]>,
        control: &Control,
    ) -> CallResult {
        if !self.is_stream() && buffers.len() > MAX_MESSAGE {
            return Err(Errno::EMSGSIZE.into());
        }
        let part = if self.is_stream() { CHUNK } else { MAX_MESSAGE };
        let mut bounce = Bounce::for_message(buffers.len().min(part));
        let mm = cx.mm();
        let mut done = 0;
        loop {
            let want = (buffers.len() - done).min(part);
            let have = match buffers.copy_in(&mm, done, &mut bounce[..want]) {
                Ok(have) if have == want || self.is_stream() => have,
                _ if done > 0 => return Ok(done as u64),
                _ => return Err(Errno::EFAULT.into()),
            };
            let mut sent = 0;
            loop {
                // What comes along goes with the first byte.
                let first = done + sent == 0;
                match self.send_part(cx, &bounce[sent..have], to, control, first) {
                    Ok(n) => sent += n.min(have - sent),
                    Err(_) if done + sent > 0 => return Ok((done + sent) as u64),
                    Err(error) => return Err(error),
                }
                if sent == have || !self.is_stream() {
                    break;
                }
            }
            done += sent;
            if have < want || done == buffers.len() || !self.is_stream() {
                return Ok(done as u64);
            }
        }
    }

    fn send_part(
        &self,
        cx: &TaskContext<'_>,
        data: &[u8],
        to: Option<&[u8]>,
        control: &Control,
        first: bool,
    ) -> CallResult<usize> {
        let result = retry(cx, &self.file, PollEvents::OUT, self.nonblocking(), || {
            let files = if first { control.files.clone() } else { Vec::new() };
            let cred = control.cred;
            let message =
                SendMessage { data, to, flags: self.flags, rights: Rights::new(files)?, cred };
            with_caller(cx, |caller| self.socket.send(caller, message))
        });
        let quiet = self.flags.contains(MsgFlags::NOSIGNAL) || !self.is_stream();
        if result == Err(SysError::Errno(Errno::EPIPE)) && !quiet {
            cx.task.signal_self(Signal::SIGPIPE);
        }
        result
    }

    /// Receives into the buffers: what the call returns, and what came with it.
    fn receive(
        &self,
        cx: &TaskContext<'_>,
        buffers: &UserBuffers,
    ) -> CallResult<(usize, Received)> {
        let part = if self.is_stream() { CHUNK } else { MAX_MESSAGE };
        let mut bounce = Bounce::for_message(buffers.len().min(part));
        let (mm, mut done) = (cx.mm(), 0);
        let mut all: Option<Received> = None;
        let waits_for_all = self.is_stream()
            && self.flags.contains(MsgFlags::WAITALL)
            && !self.flags.contains(MsgFlags::PEEK);
        loop {
            let want = (buffers.len() - done).min(part);
            let result = retry(cx, &self.file, PollEvents::IN, self.nonblocking(), || {
                self.socket.receive(&mut bounce[..want], self.flags)
            });
            let received = match (result, all.take()) {
                (Ok(received), None) => received,
                (Ok(more), Some(before)) => Received { len: more.len, ..merge(before, more) },
                (Err(_), Some(before)) => return Ok((done, before)),
                (Err(error), None) => return Err(error),
            };
            let copied = match received.len {
                0 => 0,
                len => buffers.copy_out(&mm, done, &bounce[..len])?,
            };
            if copied < received.len {
                return Err(Errno::EFAULT.into());
            }
            done += copied;
            let more = waits_for_all && copied > 0 && received.rights.is_empty();
            if !more || done == buffers.len() {
                let whole = self.flags.contains(MsgFlags::TRUNC) && !self.is_stream();
                return Ok((if whole { received.full_len } else { done }, received));
            }
            all = Some(received);
        }
    }
}

/// What came with a later part of the same call.
fn merge(before: Received, more: Received) -> Received {
    Received { from: before.from.or(more.from), cred: before.cred.or(more.cred), ..more }
}

/// sendto(2).
pub(crate) fn sendto(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    buf: UserAddr,
    len: usize,
    flags: Flags,
    addr: UserAddr,
    addr_len: i32,
) -> CallResult {
    let buffers = UserBuffers::one(buf, len)?;
    let channel = Channel::new(cx, fd, flags)?;
    let to = match addr.non_null() {
        Some(addr) => Some(read_address(cx, addr, addr_len)?),
        None => None,
    };
    channel.send(cx, &buffers, to.as_deref(), &Control::default())
}

/// recvfrom(2).
pub(crate) fn recvfrom(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    buf: UserAddr,
    len: usize,
    flags: Flags,
    addr: UserAddr,
    addr_len: UserAddr,
) -> CallResult {
    let buffers = UserBuffers::one(buf, len)?;
    let channel = Channel::new(cx, fd, flags)?;
    let (len, received) = channel.receive(cx, &buffers)?;
    if !addr.is_null() {
        write_address(cx, addr, addr_len, received.from.as_deref().unwrap_or_default())?;
    }
    Ok(len as u64)
}

/// The header and the buffers it names. EMSGSIZE for too many of them.
fn read_header(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<(MsgHdr, UserBuffers)> {
    let mut header: MsgHdr = cx.read(addr)?;
    if header.namelen < 0 {
        return Err(Errno::EINVAL);
    }
    header.namelen = header.namelen.min(MAX_ADDRESS as i32);
    if header.iovlen > MAX_VECTORS as u64 {
        return Err(Errno::EMSGSIZE);
    }
    let buffers = UserBuffers::read(cx, UserAddr(header.iov), header.iovlen as usize)?;
    Ok((header, buffers))
}

/// sendmsg(2).
pub(crate) fn sendmsg(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    message: UserAddr,
    flags: Flags,
) -> CallResult {
    send_message(cx, &Channel::new(cx, fd, flags)?, message)
}

fn send_message(cx: &TaskContext<'_>, channel: &Channel, message: UserAddr) -> CallResult {
    let (header, buffers) = read_header(cx, message)?;
    let to = match header.name {
        0 => None,
        _ if header.namelen == 0 => None,
        name => Some(read_address(cx, UserAddr(name), header.namelen)?),
    };
    let control = Control::read(cx, UserAddr(header.control), header.controllen)?;
    channel.send(cx, &buffers, to.as_deref(), &control)
}

/// recvmsg(2).
pub(crate) fn recvmsg(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    message: UserAddr,
    flags: Flags,
) -> CallResult {
    receive_message(cx, &Channel::new(cx, fd, flags)?, message)
}

fn receive_message(cx: &TaskContext<'_>, channel: &Channel, message: UserAddr) -> CallResult {
    let (header, buffers) = read_header(cx, message)?;
    let (len, mut received) = channel.receive(cx, &buffers)?;
    let mut flags = received.flags;
    let close_on_exec = channel.flags.contains(MsgFlags::CMSG_CLOEXEC);
    let control = UserAddr(header.control);
    let room = usize::try_from(header.controllen).unwrap_or(usize::MAX);
    let written = deliver(cx, &mut received, control, room, close_on_exec, &mut flags)?;
    if header.name != 0 {
        let from = received.from.unwrap_or_default();
        let shown = &from[..from.len().min(header.namelen as usize)];
        cx.mm().write_bytes(UserAddr(header.name), shown)?;
        cx.write(message.offset(NAMELEN), &(from.len() as i32))?;
    }
    flags.set(MsgFlags::CMSG_CLOEXEC, close_on_exec);
    cx.write(message.offset(FLAGS), &flags.bits())?;
    cx.write(message.offset(CONTROLLEN), &(written as u64))?;
    Ok(len as u64)
}

/// sendmmsg(2).
pub(crate) fn sendmmsg(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    messages: UserAddr,
    count: u32,
    flags: Flags,
) -> CallResult {
    let channel = Channel::new(cx, fd, flags)?;
    for_each(cx, messages, count, |message| {
        let sent = send_message(cx, &channel, message)?;
        Ok((sent, true))
    })
}

/// recvmmsg(2). As in Linux, the timeout is looked at after each message only.
pub(crate) fn recvmmsg(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    messages: UserAddr,
    count: u32,
    flags: Flags,
    timeout: UserAddr,
) -> CallResult {
    let deadline = match timeout.non_null() {
        Some(addr) => deadline_in(cx.read::<Timespec>(addr)?.to_duration().ok_or(Errno::EINVAL)?),
        None => None,
    };
    let mut channel = Channel::new(cx, fd, flags)?;
    let for_one = channel.flags.contains(MsgFlags::WAITFORONE);
    channel.flags.remove(MsgFlags::WAITFORONE);
    let result = for_each(cx, messages, count, |message| {
        let len = receive_message(cx, &channel, message)?;
        channel.flags.set(MsgFlags::DONTWAIT, for_one || channel.nonblocking());
        let in_time = deadline.is_none_or(|at| Instant::now() < at);
        Ok((len, in_time))
    });
    if let Some(addr) = timeout.non_null() {
        cx.write(addr, &Timespec::from(kernel::time::remaining(deadline)))?;
    }
    result
}

/// Does `each` for a list of messages, and writes their lengths, until one fails or `each` says
/// that it is enough. How many were done; the error if none.
fn for_each(
    cx: &TaskContext<'_>,
    messages: UserAddr,
    count: u32,
    mut each: impl FnMut(UserAddr) -> CallResult<(u64, bool)>,
) -> CallResult {
    let count = u64::from(count).min(MAX_VECTORS as u64);
    for done in 0..count {
        let message = messages.offset(done * MMSGHDR_LEN);
        let (len, more) = match each(message) {
            Ok(answer) => answer,
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        };
        cx.write(message.offset(MESSAGE_LEN), &(len as u32))?;
        if !more {
            return Ok(done + 1);
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn offsets_are_those_of_the_structure() {
        assert_eq!(size_of::<MsgHdr>(), 56);
        assert_eq!(offset_of!(MsgHdr, namelen) as u64, NAMELEN);
        assert_eq!(offset_of!(MsgHdr, controllen) as u64, CONTROLLEN);
        assert_eq!(offset_of!(MsgHdr, flags) as u64, FLAGS);
        assert_eq!(size_of::<MsgHdr>() as u64, MESSAGE_LEN);
    }
}
