//! Sockets of the local machine: unix(7), socketpair(2), sendmsg(2), shutdown(2).

use crate::calls::{self, close, fcntl, getpid, open, pipe, read, ready, write};
use crate::case::{Case, Outcome, child, reap, until_asleep};
use crate::sys::{BAD, SysResult, zeroed};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "unix";
    stream_pair_is_two_way: "a stream pair carries bytes both ways, without boundaries";
    dgram_pair_keeps_boundaries: "a datagram pair keeps messages apart and cuts them";
    seqpacket_keeps_boundaries: "SOCK_SEQPACKET keeps messages, and ends";
    socketpair_errors: "socketpair's EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EFAULT";
    closed_peer: "a closed peer gives end of file, and EPIPE with SIGPIPE";
    msg_nosignal: "MSG_NOSIGNAL gives EPIPE without SIGPIPE";
    shutdown_halves: "SHUT_WR ends the peer's reading, SHUT_RD one's own";
    dontwait_and_peek: "MSG_DONTWAIT is EAGAIN, MSG_PEEK leaves the bytes, MSG_TRUNC counts";
    waitall_collects: "MSG_WAITALL waits for the whole length";
    rights_pass_descriptors: "SCM_RIGHTS makes descriptors of the same open file";
    rights_cloexec_and_truncation: "MSG_CMSG_CLOEXEC, and MSG_CTRUNC without room";
    credentials_are_the_senders: "SO_PEERCRED and SCM_CREDENTIALS name the process";
    bind_connect_accept: "bind, listen, connect and accept in the file system";
    connect_errors: "ENOENT, ECONNREFUSED, EPROTOTYPE and EINVAL of connect";
    bind_errors: "EADDRINUSE and EINVAL of bind";
    abstract_names: "abstract names need no file, and vanish with the socket";
    autobind_gives_a_name: "bind without a name gives five hexadecimal digits";
    accept_errors: "accept's EAGAIN, EINVAL, EBADF and ENOTSOCK";
    backlog_is_bounded: "a full backlog is EAGAIN for a nonblocking connect";
    names_are_reported: "getsockname and getpeername";
    dgram_sendto_named: "sendto a bound datagram socket, with the sender's name";
    not_connected_is_enotconn: "send and receive without a peer";
    socket_options: "SO_TYPE, SO_ERROR, SO_DOMAIN, SO_ACCEPTCONN, and ENOPROTOOPT";
    poll_of_pair: "poll states of a stream pair";
    not_a_socket_is_enotsock: "socket calls on a pipe are ENOTSOCK";
    receive_timeout_is_eagain: "SO_RCVTIMEO ends a receive with EAGAIN";
}

const STREAM: i32 = libc::SOCK_STREAM;
const DGRAM: i32 = libc::SOCK_DGRAM;

fn pair(kind: i32) -> SysResult<(i32, i32)> {
    let mut fds = [0i32; 2];
    sys!(SYS_socketpair, libc::AF_UNIX, kind, 0, &mut fds)?;
    Ok((fds[0], fds[1]))
}

fn socket(kind: i32) -> SysResult<i32> {
    sys!(SYS_socket, libc::AF_UNIX, kind, 0).map(|fd| fd as i32)
}

fn send(fd: i32, bytes: &[u8], flags: i32) -> SysResult {
    sys!(SYS_sendto, fd, bytes, bytes.len(), flags, 0, 0)
}

fn recv(fd: i32, buffer: &mut [u8], flags: i32) -> SysResult {
    let len = buffer.len();
    sys!(SYS_recvfrom, fd, buffer, len, flags, 0, 0)
}

/// An address and its length; a name that starts with a NUL is abstract.
fn address(name: &[u8]) -> (libc::sockaddr_un, usize) {
    let mut address = zeroed::<libc::sockaddr_un>();
    address.sun_family = libc::AF_UNIX as u16;
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    let terminator = usize::from(name.first().is_some_and(|b| *b != 0));
    (address, 2 + name.len() + terminator)
}

fn bind(fd: i32, name: &[u8]) -> SysResult {
    let (address, len) = address(name);
    sys!(SYS_bind, fd, &address, len)
}

fn connect(fd: i32, name: &[u8]) -> SysResult {
    let (address, len) = address(name);
    sys!(SYS_connect, fd, &address, len)
}

fn stream_pair_is_two_way(_: &mut Case) -> Outcome {
    let (a, b) = pair(STREAM)?;
    write(a, b"abc")?;
    write(a, b"def")?;
    let mut buffer = [0u8; 10];
    check_eq!(read(b, &mut buffer)?, 6, "bytes read");
    write(b, b"back")?;
    check_eq!(read(a, &mut buffer)?, 4, "bytes read the other way");
    Ok(())
}

fn dgram_pair_keeps_boundaries(_: &mut Case) -> Outcome {
    let (a, b) = pair(DGRAM)?;
    for message in [&b"one"[..], b"", b"three"] {
        write(a, message)?;
    }
    let mut buffer = [0u8; 10];
    check_eq!(read(b, &mut buffer)?, 3, "first message");
    check_eq!(read(b, &mut buffer)?, 0, "empty message");
    check_eq!(read(b, &mut buffer[..2])?, 2, "third message, cut");
    check_errno!(recv(b, &mut buffer, libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn seqpacket_keeps_boundaries(_: &mut Case) -> Outcome {
    let (a, b) = pair(libc::SOCK_SEQPACKET)?;
    write(a, b"one")?;
    write(a, b"three")?;
    close(a)?;
    let mut buffer = [0u8; 10];
    let sizes = [read(b, &mut buffer)?, read(b, &mut buffer)?, read(b, &mut buffer)?];
    check_eq!(sizes, [3, 5, 0], "messages and the end");
    Ok(())
}

fn socketpair_errors(_: &mut Case) -> Outcome {
    let mut fds = [0i32; 2];
    check_errno!(sys!(SYS_socketpair, 77, STREAM, 0, &mut fds), EAFNOSUPPORT);
    check_errno!(sys!(SYS_socketpair, libc::AF_UNIX, STREAM, 77, &mut fds), EPROTONOSUPPORT);
    check_errno!(sys!(SYS_socketpair, libc::AF_UNIX, 9, 0, &mut fds), ESOCKTNOSUPPORT);
    check_errno!(sys!(SYS_socketpair, libc::AF_UNIX, 14, 0, &mut fds), EINVAL);
    check_errno!(sys!(SYS_socketpair, libc::AF_UNIX, STREAM, 0, BAD), EFAULT);
    check_errno!(sys!(SYS_socket, libc::AF_UNIX, STREAM, 77), EPROTONOSUPPORT);
    Ok(())
}

fn pending() -> SysResult<u64> {
    let mut set = 0u64;
    sys!(SYS_rt_sigpending, &mut set, 8)?;
    Ok(set)
}

fn closed_peer(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGPIPE))?;
    let (a, b) = pair(STREAM)?;
    write(a, b"x")?;
    close(a)?;
    check_eq!(read(b, &mut [0; 4])?, 1, "bytes left");
    check_eq!(read(b, &mut [0; 4])?, 0, "end");
    check_errno!(write(b, b"x"), EPIPE);
    check_eq!(pending()?, sys::bit(libc::SIGPIPE), "pending signals");
    // Bytes never read make it a reset.
    let (a, b) = pair(STREAM)?;
    write(b, b"unread")?;
    close(a)?;
    check_errno!(read(b, &mut [0; 4]), ECONNRESET);
    Ok(())
}

fn msg_nosignal(_: &mut Case) -> Outcome {
    let (a, b) = pair(STREAM)?;
    close(a)?;
    check_errno!(send(b, b"x", libc::MSG_NOSIGNAL), EPIPE);
    Ok(())
}

fn shutdown_halves(_: &mut Case) -> Outcome {
    sys::ignore(libc::SIGPIPE)?;
    let (a, b) = pair(STREAM)?;
    write(a, b"last")?;
    sys!(SYS_shutdown, a, libc::SHUT_WR)?;
    check_errno!(write(a, b"x"), EPIPE);
    check_eq!(read(b, &mut [0; 8])?, 4, "bytes before the end");
    check_eq!(read(b, &mut [0; 8])?, 0, "end");
    write(b, b"other way")?;
    check_eq!(read(a, &mut [0; 20])?, 9, "bytes the other way");
    sys!(SYS_shutdown, a, libc::SHUT_RD)?;
    check_eq!(read(a, &mut [0; 8])?, 0, "read after SHUT_RD");
    check_errno!(write(b, b"x"), EPIPE);
    check_errno!(sys!(SYS_shutdown, a, 9), EINVAL);
    // Unlike TCP, without a connection it is not an error.
    sys!(SYS_shutdown, socket(STREAM)?, libc::SHUT_RD)?;
    Ok(())
}

fn dontwait_and_peek(_: &mut Case) -> Outcome {
    let (a, b) = pair(DGRAM)?;
    let mut buffer = [0u8; 4];
    check_errno!(recv(b, &mut buffer, libc::MSG_DONTWAIT), EAGAIN);
    send(a, b"sixsix", 0)?;
    check_eq!(recv(b, &mut buffer, libc::MSG_PEEK)?, 4, "peeked");
    check_eq!(recv(b, &mut buffer, libc::MSG_PEEK | libc::MSG_TRUNC)?, 6, "real length");
    check_eq!(recv(b, &mut buffer, 0)?, 4, "received");
    check_errno!(recv(b, &mut buffer, libc::MSG_DONTWAIT), EAGAIN);
    check_errno!(send(a, b"x", libc::MSG_OOB), EOPNOTSUPP);
    Ok(())
}

fn waitall_collects(_: &mut Case) -> Outcome {
    let (a, b) = pair(STREAM)?;
    let pid = child(|| {
        let mut buffer = [0u8; 6];
        check_eq!(recv(b, &mut buffer, libc::MSG_WAITALL)?, 6, "bytes received");
        Ok(())
    })?;
    write(a, b"abc")?;
    until_asleep(pid, pid)?;
    write(a, b"defg")?;
    reap(pid)
}

/// A control message of one kind, header and payload of 32-bit words, padded to 8 bytes.
fn control(kind: i32, words: &[i32]) -> Vec<i32> {
    let len = 16 + 4 * words.len();
    let mut message = vec![len as i32, 0, libc::SOL_SOCKET, kind];
    message.extend_from_slice(words);
    message.resize(message.len().next_multiple_of(2), 0);
    message
}

fn message(bytes: &mut [usize; 2], control: &mut [i32]) -> libc::msghdr {
    let mut header = zeroed::<libc::msghdr>();
    header.msg_iov = bytes.as_mut_ptr().cast();
    header.msg_iovlen = 1;
    if !control.is_empty() {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = 4 * control.len();
    }
    header
}

fn send_control(fd: i32, bytes: &[u8], control: &mut [i32]) -> SysResult {
    let mut vector = [bytes.as_ptr().expose_provenance(), bytes.len()];
    let header = message(&mut vector, control);
    sys!(SYS_sendmsg, fd, &header, 0)
}

/// Receives one message with control data of up to `room` words: (length, flags, control words).
fn recv_control(fd: i32, room: usize, flags: i32) -> SysResult<(usize, i32, Vec<i32>)> {
    let mut buffer = [0u8; 16];
    let mut vector = [buffer.as_mut_ptr().expose_provenance(), 16];
    let mut control = vec![0i32; room];
    let mut header = message(&mut vector, &mut control);
    let len = sys!(SYS_recvmsg, fd, &mut header, flags)?;
    control.truncate(header.msg_controllen.div_ceil(4));
    Ok((len, header.msg_flags, std::hint::black_box(control)))
}

fn rights_pass_descriptors(c: &mut Case) -> Outcome {
    let (a, b) = pair(STREAM)?;
    let file = c.open_file("f")?;
    write(file, b"0123456789")?;
    let (r, w) = pipe(0)?;
    send_control(a, b"x", &mut control(libc::SCM_RIGHTS, &[file, w]))?;
    close(w)?;
    let (len, _, words) = recv_control(b, 16, 0)?;
    check_eq!((len, words[0], words[3]), (1, 24, libc::SCM_RIGHTS), "length and header");
    let (got_file, got_w) = (words[4], words[5]);
    check!(got_file != file, "a new number, got {got_file}");
    calls::lseek(got_file, 4, libc::SEEK_SET)?;
    check_eq!(calls::lseek(file, 0, libc::SEEK_CUR)?, 4, "offset shared");
    write(got_w, b"through")?;
    check_eq!(read(r, &mut [0; 16])?, 7, "bytes through the passed pipe");
    // A message never received keeps the file open until the socket goes.
    send_control(a, b"y", &mut control(libc::SCM_RIGHTS, &[got_w]))?;
    close(got_w)?;
    fcntl(r, libc::F_SETFL, i64::from(libc::O_NONBLOCK))?;
    check_errno!(read(r, &mut [0]), EAGAIN);
    close(b)?;
    close(a)?;
    check_eq!(read(r, &mut [0])?, 0, "read when the message is gone");
    Ok(())
}

fn rights_cloexec_and_truncation(_: &mut Case) -> Outcome {
    let (a, b) = pair(DGRAM)?;
    send_control(a, b"x", &mut control(libc::SCM_RIGHTS, &[0]))?;
    let (_, flags, words) = recv_control(b, 16, libc::MSG_CMSG_CLOEXEC)?;
    check_eq!(fcntl(words[4], libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    check_eq!(flags & libc::MSG_CTRUNC, 0, "MSG_CTRUNC");
    send_control(a, b"x", &mut control(libc::SCM_RIGHTS, &[0, 0]))?;
    let (_, flags, words) = recv_control(b, 5, 0)?;
    check!(flags & libc::MSG_CTRUNC != 0, "MSG_CTRUNC without room");
    check_eq!(words[0], 20, "length of the header: one descriptor");
    send_control(a, b"x", &mut control(libc::SCM_RIGHTS, &[0]))?;
    let (_, flags, words) = recv_control(b, 0, 0)?;
    check!(flags & libc::MSG_CTRUNC != 0 && words.is_empty(), "MSG_CTRUNC without any room");
    check_errno!(send_control(a, b"x", &mut control(libc::SCM_RIGHTS, &[999])), EBADF);
    Ok(())
}

fn credentials_are_the_senders(_: &mut Case) -> Outcome {
    let (a, b) = pair(STREAM)?;
    let (uid, gid) = (sys!(SYS_geteuid)? as i32, sys!(SYS_getegid)? as i32);
    let (mut credentials, mut len) = ([0i32; 3], 12i32);
    let level = libc::SOL_SOCKET;
    sys!(SYS_getsockopt, a, level, libc::SO_PEERCRED, &mut credentials, &mut len)?;
    check_eq!(credentials, [getpid(), uid, gid], "SO_PEERCRED of a pair: its maker");
    sys!(SYS_setsockopt, b, level, libc::SO_PASSCRED, &1i32, 4)?;
    let pid = child(|| {
        write(a, b"x")?;
        Ok(())
    })?;
    let (_, _, words) = recv_control(b, 16, 0)?;
    check_eq!(words[3], libc::SCM_CREDENTIALS, "kind of control message");
    check_eq!(&words[4..7], &[pid, uid, gid], "credentials of the sender");
    reap(pid)
}

fn listener(name: &[u8], flags: i32) -> SysResult<i32> {
    let fd = socket(STREAM | flags)?;
    bind(fd, name)?;
    sys!(SYS_listen, fd, 8)?;
    Ok(fd)
}

fn bind_connect_accept(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let server = listener(path.as_bytes(), 0)?;
    let mode = calls::stat(&path)?.st_mode;
    check_eq!(mode, libc::S_IFSOCK | 0o755, "mode of the socket file");
    let pid = child(|| {
        let client = socket(STREAM)?;
        connect(client, path.as_bytes())?;
        write(client, b"hello")?;
        check_eq!(read(client, &mut [0; 8])?, 3, "bytes of the answer");
        check_errno!(connect(client, path.as_bytes()), EISCONN);
        Ok(())
    })?;
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let mut poll = [calls::pollfd(server, libc::POLLIN)];
    check_eq!(sys!(SYS_poll, &mut poll, 1, 8000)?, 1, "poll of the listener");
    let conn = sys!(SYS_accept4, server, 0, 0, flags)? as i32;
    check_eq!(fcntl(conn, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    fcntl(conn, libc::F_SETFL, 0)?;
    check_eq!(read(conn, &mut [0; 8])?, 5, "bytes of the request");
    let (mut credentials, mut len) = ([0i32; 3], 12i32);
    sys!(SYS_getsockopt, conn, libc::SOL_SOCKET, libc::SO_PEERCRED, &mut credentials, &mut len)?;
    check_eq!(credentials[0], pid, "SO_PEERCRED of the client");
    write(conn, b"bye")?;
    reap(pid)
}

fn connect_errors(c: &mut Case) -> Outcome {
    let client = socket(STREAM)?;
    check_errno!(connect(client, c.path("none")?.as_bytes()), ENOENT);
    check_errno!(connect(client, c.file("f", b"")?.as_bytes()), ECONNREFUSED);
    check_errno!(connect(client, b"\0no such abstract name"), ECONNREFUSED);
    let path = c.path("s")?;
    let bound = socket(STREAM)?;
    bind(bound, path.as_bytes())?;
    check_errno!(connect(client, path.as_bytes()), ECONNREFUSED);
    let datagram = socket(DGRAM)?;
    check_errno!(connect(datagram, path.as_bytes()), EPROTOTYPE);
    let (address, _) = address(b"x");
    check_errno!(sys!(SYS_connect, client, &address, 1), EINVAL);
    check_errno!(sys!(SYS_connect, client, &address, 200), EINVAL);
    check_errno!(sys!(SYS_connect, client, BAD, 10), EFAULT);
    Ok(())
}

fn bind_errors(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let fd = socket(STREAM)?;
    bind(fd, path.as_bytes())?;
    check_errno!(bind(fd, c.path("t")?.as_bytes()), EINVAL);
    check_errno!(bind(socket(STREAM)?, path.as_bytes()), EADDRINUSE);
    check_errno!(bind(socket(STREAM)?, c.path("none/s")?.as_bytes()), ENOENT);
    // The file outlives the socket, and still is in the way.
    close(fd)?;
    check_errno!(bind(socket(STREAM)?, path.as_bytes()), EADDRINUSE);
    let (mut address, len) = address(b"x");
    address.sun_family = libc::AF_INET as u16;
    check_errno!(sys!(SYS_bind, socket(STREAM)?, &address, len), EINVAL);
    Ok(())
}

/// An abstract name nobody else uses.
fn abstract_name() -> Vec<u8> {
    format!("\0syscall-cases.{}", getpid()).into_bytes()
}

fn abstract_names(_: &mut Case) -> Outcome {
    let name = abstract_name();
    let server = listener(&name, 0)?;
    check_errno!(bind(socket(STREAM)?, &name), EADDRINUSE);
    let client = socket(STREAM)?;
    connect(client, &name)?;
    write(client, b"abc")?;
    let conn = sys!(SYS_accept, server, 0, 0)? as i32;
    check_eq!(read(conn, &mut [0; 8])?, 3, "bytes read");
    close(server)?;
    check_errno!(connect(socket(STREAM)?, &name), ECONNREFUSED);
    listener(&name, 0)?;
    Ok(())
}

fn autobind_gives_a_name(_: &mut Case) -> Outcome {
    let fd = socket(DGRAM)?;
    let (address, _) = address(b"");
    sys!(SYS_bind, fd, &address, 2)?;
    let (mut name, mut len) = ([0u8; 110], 110i32);
    sys!(SYS_getsockname, fd, &mut name, &mut len)?;
    check_eq!((len, name[2]), (8, 0), "length of the name and its first byte");
    check!(name[3..8].iter().all(u8::is_ascii_hexdigit), "five digits, got {:?}", &name[3..8]);
    Ok(())
}

fn accept_errors(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let server = listener(path.as_bytes(), libc::SOCK_NONBLOCK)?;
    check_errno!(sys!(SYS_accept, server, 0, 0), EAGAIN);
    check_errno!(sys!(SYS_accept4, server, 0, 0, 1), EINVAL);
    check_errno!(sys!(SYS_accept, socket(STREAM)?, 0, 0), EINVAL);
    check_errno!(sys!(SYS_accept, socket(DGRAM)?, 0, 0), EOPNOTSUPP);
    check_errno!(sys!(SYS_listen, socket(DGRAM)?, 1), EOPNOTSUPP);
    check_errno!(sys!(SYS_listen, socket(STREAM)?, 1), EINVAL);
    check_errno!(sys!(SYS_accept, 999, 0, 0), EBADF);
    Ok(())
}

fn backlog_is_bounded(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let server = socket(STREAM)?;
    bind(server, path.as_bytes())?;
    sys!(SYS_listen, server, 1)?;
    let mut connected = 0;
    for _ in 0..4 {
        match connect(socket(STREAM | libc::SOCK_NONBLOCK)?, path.as_bytes()) {
            Ok(_) => connected += 1,
            Err(errno) => check_eq!(errno.0, libc::EAGAIN, "errno of a full backlog"),
        }
    }
    check_eq!(connected, 2, "connections with a backlog of 1");
    Ok(())
}

fn names_are_reported(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let server = listener(path.as_bytes(), 0)?;
    let client = socket(STREAM)?;
    connect(client, path.as_bytes())?;
    let (mut name, mut len) = ([0u8; 110], 110i32);
    sys!(SYS_getpeername, client, &mut name, &mut len)?;
    check_eq!(len as usize, 2 + path.len() + 1, "length of the peer's name");
    check_eq!(&name[2..2 + path.len()], path.as_bytes(), "the peer's name");
    len = 110;
    sys!(SYS_getsockname, client, &mut name, &mut len)?;
    check_eq!(len, 2, "length of an unbound name");
    len = 4;
    sys!(SYS_getsockname, server, &mut name, &mut len)?;
    check_eq!(len as usize, 2 + path.len() + 1, "full length, though cut");
    len = -1;
    check_errno!(sys!(SYS_getsockname, server, &mut name, &mut len), EINVAL);
    check_errno!(sys!(SYS_getpeername, server, &mut name, &mut len), ENOTCONN);
    Ok(())
}

fn dgram_sendto_named(c: &mut Case) -> Outcome {
    let (to, from) = (c.path("to")?, c.path("from")?);
    let (receiver, sender) = (socket(DGRAM)?, socket(DGRAM)?);
    bind(receiver, to.as_bytes())?;
    bind(sender, from.as_bytes())?;
    let (target, target_len) = address(to.as_bytes());
    sys!(SYS_sendto, sender, b"hello", 5, 0, &target, target_len)?;
    let (mut name, mut len) = ([0u8; 110], 110i32);
    let got = sys!(SYS_recvfrom, receiver, &mut [0u8; 16], 16, 0, &mut name, &mut len)?;
    check_eq!(got, 5, "bytes received");
    check_eq!(&name[2..2 + from.len()], from.as_bytes(), "the sender's name");
    connect(sender, to.as_bytes())?;
    send(sender, b"again", 0)?;
    check_eq!(recv(receiver, &mut [0; 16], 0)?, 5, "bytes after connect");
    close(receiver)?;
    check_errno!(send(sender, b"x", 0), ECONNREFUSED);
    Ok(())
}

fn not_connected_is_enotconn(_: &mut Case) -> Outcome {
    let (stream, datagram) = (socket(STREAM)?, socket(DGRAM)?);
    check_errno!(send(stream, b"x", libc::MSG_NOSIGNAL), ENOTCONN);
    check_errno!(send(datagram, b"x", 0), ENOTCONN);
    check_errno!(recv(stream, &mut [0], 0), EINVAL);
    check_errno!(recv(datagram, &mut [0], libc::MSG_DONTWAIT), EAGAIN);
    Ok(())
}

fn option(fd: i32, name: i32) -> SysResult<i32> {
    let (mut value, mut len) = (-1i32, 4i32);
    sys!(SYS_getsockopt, fd, libc::SOL_SOCKET, name, &mut value, &mut len)?;
    Ok(value)
}

fn socket_options(c: &mut Case) -> Outcome {
    let (a, _b) = pair(libc::SOCK_SEQPACKET)?;
    check_eq!(option(a, libc::SO_TYPE)?, libc::SOCK_SEQPACKET, "SO_TYPE");
    check_eq!(option(a, libc::SO_DOMAIN)?, libc::AF_UNIX, "SO_DOMAIN");
    check_eq!((option(a, libc::SO_ERROR)?, option(a, libc::SO_ACCEPTCONN)?), (0, 0), "the rest");
    let server = listener(c.path("s")?.as_bytes(), 0)?;
    check_eq!(option(server, libc::SO_ACCEPTCONN)?, 1, "SO_ACCEPTCONN");
    check_errno!(option(a, 7777), ENOPROTOOPT);
    check_errno!(sys!(SYS_setsockopt, a, libc::SOL_SOCKET, 7777, &1i32, 4), ENOPROTOOPT);
    check_errno!(sys!(SYS_setsockopt, a, libc::SOL_SOCKET, libc::SO_PASSCRED, &1i32, 2), EINVAL);
    Ok(())
}

fn poll_of_pair(_: &mut Case) -> Outcome {
    let all = libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP;
    let (a, b) = pair(STREAM)?;
    check_eq!(ready(a, all)?, libc::POLLOUT, "events at first");
    write(b, b"x")?;
    check_eq!(ready(a, all)?, libc::POLLIN | libc::POLLOUT, "events with a byte");
    sys!(SYS_shutdown, b, libc::SHUT_WR)?;
    check_eq!(ready(a, all)?, all, "events when the peer has shut down");
    close(b)?;
    check_eq!(ready(a, all)?, all | libc::POLLHUP, "events when the peer is closed");
    Ok(())
}

fn not_a_socket_is_enotsock(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    check_errno!(send(w, b"x", 0), ENOTSOCK);
    check_errno!(recv(r, &mut [0], 0), ENOTSOCK);
    check_errno!(bind(r, b"x"), ENOTSOCK);
    check_errno!(sys!(SYS_listen, r, 1), ENOTSOCK);
    check_errno!(sys!(SYS_accept, r, 0, 0), ENOTSOCK);
    check_errno!(option(r, libc::SO_TYPE), ENOTSOCK);
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    check_errno!(sys!(SYS_shutdown, null, 0), ENOTSOCK);
    check_errno!(sys!(SYS_shutdown, 999, 0), EBADF);
    Ok(())
}

fn receive_timeout_is_eagain(_: &mut Case) -> Outcome {
    let (a, _b) = pair(STREAM)?;
    let limit = libc::timeval { tv_sec: 0, tv_usec: 20_000 };
    sys!(SYS_setsockopt, a, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &limit, 16)?;
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    check_errno!(recv(a, &mut [0], 0), EAGAIN);
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 16_000_000, "close to 20 ms or more, got {waited} ns");
    Ok(())
}
