//! POSIX message queues: mq_overview(7).

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

use crate::calls::{
    become_user, close, cstr, fcntl, fstat, getpid, kill, now, read, ready, timespec,
};
use crate::case::{Case, ORDINARY, Outcome, child, in_child, reap, until_asleep};
use crate::sys::{BAD, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "mqueue";
    open_errors: "mq_open's ENOENT, EEXIST, EACCES, EINVAL, ENAMETOOLONG, EFAULT";
    unlink_and_go_on: "a queue without a name lives as long as it is open";
    priorities: "the highest priority first, and the oldest of these";
    send_errors: "mq_timedsend's EINVAL, EBADF, EMSGSIZE, EFAULT, EAGAIN";
    receive_errors: "mq_timedreceive's EBADF, EMSGSIZE, EAGAIN";
    timeouts: "ETIMEDOUT at the absolute time; EINVAL before the descriptor; ready needs none";
    sleeping_receiver: "a receiver sleeps until a message comes";
    sleeping_sender: "a sender sleeps until there is room";
    attributes: "mq_getsetattr shows limits and number, and sets O_NONBLOCK only";
    notify_once: "mq_notify: one signal for the first message, with value and sender";
    notify_errors: "EBUSY for a second, EINVAL, EBADF, and NULL unregisters";
    notify_not_when_awaited: "no signal when somebody waits for the message";
    poll_states: "POLLIN with a message, POLLOUT with room";
    interrupted: "EINTR by a handler, and SA_RESTART goes on";
    permissions [Root]: "EACCES to open what may not be, EPERM to unlink another's";
    file_of_the_queue: "close-on-exec, fstat and read of the descriptor";
    limits [Ordinary]: "more messages or larger ones than allowed are EINVAL";
}

/// A queue with a name of its own, without it at the end.
struct Queue {
    name: String,
    fd: i32,
}

const CREATE: i32 = libc::O_CREAT | libc::O_RDWR;

fn open(name: &str, flags: i32, attr: Option<(i64, i64)>) -> SysResult<i32> {
    let fd = match attr {
        Some((messages, size)) => {
            sys!(SYS_mq_open, &cstr(name), flags, 0o600, &[0i64, messages, size, 0, 0, 0, 0, 0])
        }
        None => sys!(SYS_mq_open, &cstr(name), flags, 0o600, 0),
    };
    fd.map(|fd| fd as i32)
}

fn unlink(name: &str) -> SysResult {
    sys!(SYS_mq_unlink, &cstr(name))
}

impl Queue {
    /// For two messages of eight bytes.
    fn new(case: &str, flags: i32) -> SysResult<Queue> {
        let name = format!("syscall-cases.{}.{case}", getpid());
        let fd = open(&name, CREATE | flags, Some((2, 8)))?;
        Ok(Queue { name, fd })
    }

    fn send(&self, priority: u32, data: &[u8]) -> SysResult {
        sys!(SYS_mq_timedsend, self.fd, data, data.len(), priority, 0)
    }

    fn receive(&self) -> SysResult<(u32, Vec<u8>)> {
        let (mut data, mut priority) = ([0u8; 8], 0u32);
        let len = sys!(SYS_mq_timedreceive, self.fd, &mut data, 8, &mut priority, 0)?;
        Ok((priority, data[..len].to_vec()))
    }

    fn attr(&self) -> SysResult<[i64; 8]> {
        let mut attr = [0; 8];
        sys!(SYS_mq_getsetattr, self.fd, 0, &mut attr)?;
        Ok(attr)
    }

    /// `struct sigevent` with SIGEV_SIGNAL.
    fn notify(&self, signal: i32, value: u64) -> SysResult {
        let mut event = [0u64; 8];
        event[0] = value;
        event[1] = signal as u64;
        sys!(SYS_mq_notify, self.fd, &event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = unlink(&self.name);
    }
}

fn open_errors(_: &mut Case) -> Outcome {
    let name = format!("syscall-cases.{}.none", getpid());
    check_errno!(open(&name, libc::O_RDWR, None), ENOENT);
    check_errno!(open("", CREATE, None), ENOENT);
    check_errno!(open("a/b", CREATE, None), EACCES);
    check_errno!(open("/ab", CREATE, None), EACCES);
    check_errno!(open(&"x".repeat(256), CREATE, None), ENAMETOOLONG);
    check_errno!(open(&name, CREATE, Some((0, 8))), EINVAL);
    check_errno!(open(&name, CREATE, Some((8, -1))), EINVAL);
    check_errno!(sys!(SYS_mq_open, BAD, CREATE, 0o600, 0), EFAULT);
    check_errno!(sys!(SYS_mq_open, &cstr(&name), libc::O_RDONLY, 0, BAD), EFAULT);
    let queue = Queue::new("open", 0)?;
    check_errno!(open(&queue.name, CREATE | libc::O_EXCL, None), EEXIST);
    check_errno!(open(&queue.name, libc::O_RDWR | libc::O_WRONLY, None), EINVAL);
    // Attributes of a queue that is there do not count.
    close(open(&queue.name, CREATE, Some((0, 0)))?)?;
    check_errno!(unlink(&name), ENOENT);
    Ok(())
}

fn unlink_and_go_on(_: &mut Case) -> Outcome {
    let queue = Queue::new("unlink", 0)?;
    unlink(&queue.name)?;
    check_errno!(open(&queue.name, libc::O_RDWR, None), ENOENT);
    queue.send(0, b"x")?;
    let another = Queue::new("unlink", libc::O_NONBLOCK)?;
    check_errno!(another.receive(), EAGAIN);
    check_eq!(queue.receive()?, (0, b"x".to_vec()), "the message");
    Ok(())
}

fn priorities(_: &mut Case) -> Outcome {
    let name = format!("syscall-cases.{}.priorities", getpid());
    let queue = Queue { fd: open(&name, CREATE, Some((5, 8)))?, name };
    for (priority, data) in [(1, b"a"), (7, b"b"), (1, b"c"), (32767, b"d"), (7, b"e")] {
        queue.send(priority, data)?;
    }
    let mut got = Vec::new();
    for _ in 0..5 {
        got.extend(queue.receive()?.1);
    }
    check_eq!(got, b"dbeac", "the order");
    Ok(())
}

fn send_errors(_: &mut Case) -> Outcome {
    let queue = Queue::new("send", libc::O_NONBLOCK)?;
    check_errno!(sys!(SYS_mq_timedsend, -1, BAD, 99, 32768, 0), EINVAL);
    check_errno!(sys!(SYS_mq_timedsend, -1, BAD, 99, 0, 0), EBADF);
    check_errno!(sys!(SYS_mq_timedsend, queue.fd, BAD, 9, 0, 0), EMSGSIZE);
    check_errno!(sys!(SYS_mq_timedsend, queue.fd, BAD, 8, 0, 0), EFAULT);
    let (reader, _writer) = crate::calls::pipe(0)?;
    check_errno!(sys!(SYS_mq_timedsend, reader, BAD, 1, 0, 0), EBADF);
    let reader = open(&queue.name, libc::O_RDONLY, None)?;
    check_errno!(sys!(SYS_mq_timedsend, reader, BAD, 99, 0, 0), EBADF);
    queue.send(0, b"")?;
    queue.send(0, b"12345678")?;
    check_errno!(queue.send(0, b"x"), EAGAIN);
    Ok(())
}

fn receive_errors(_: &mut Case) -> Outcome {
    let queue = Queue::new("receive", libc::O_NONBLOCK)?;
    check_errno!(sys!(SYS_mq_timedreceive, -1, BAD, 8, 0, 0), EBADF);
    check_errno!(sys!(SYS_mq_timedreceive, queue.fd, BAD, 7, 0, 0), EMSGSIZE);
    check_errno!(sys!(SYS_mq_timedreceive, queue.fd, BAD, 8, 0, 0), EAGAIN);
    let writer = open(&queue.name, libc::O_WRONLY, None)?;
    check_errno!(sys!(SYS_mq_timedreceive, writer, BAD, 7, 0, 0), EBADF);
    Ok(())
}

fn timeouts(_: &mut Case) -> Outcome {
    let queue = Queue::new("timeouts", 0)?;
    let mut data = [0u8; 8];
    let at = now(libc::CLOCK_REALTIME)? + 15_000_000;
    let limit = timespec(at);
    check_errno!(sys!(SYS_mq_timedreceive, queue.fd, &mut data, 8, 0, &limit), ETIMEDOUT);
    check!(now(libc::CLOCK_REALTIME)? >= at, "the time to have passed");
    let bad = libc::timespec { tv_sec: 1, tv_nsec: -1 };
    check_errno!(sys!(SYS_mq_timedreceive, -1, &mut data, 8, 0, &bad), EINVAL);
    let past = timespec(1);
    sys!(SYS_mq_timedsend, queue.fd, b"x", 1, 0, &past)?;
    queue.send(0, b"y")?;
    check_errno!(sys!(SYS_mq_timedsend, queue.fd, b"z", 1, 0, &past), ETIMEDOUT);
    check_eq!(sys!(SYS_mq_timedreceive, queue.fd, &mut data, 8, 0, &past)?, 1, "what is there");
    Ok(())
}

fn sleeping_receiver(_: &mut Case) -> Outcome {
    let queue = Queue::new("receiver", 0)?;
    let pid = child(|| {
        check_eq!(queue.receive()?, (3, b"hello".to_vec()), "the message");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    queue.send(3, b"hello")?;
    reap(pid)?;
    check_eq!(queue.attr()?[3], 0, "messages left");
    Ok(())
}

fn sleeping_sender(_: &mut Case) -> Outcome {
    let queue = Queue::new("sender", 0)?;
    queue.send(1, b"a")?;
    queue.send(1, b"b")?;
    let pid = child(|| Ok(queue.send(9, b"c").map(drop)?))?;
    until_asleep(pid, pid)?;
    check_eq!(queue.receive()?.1, b"a", "the first");
    reap(pid)?;
    check_eq!(queue.receive()?, (9, b"c".to_vec()), "the sleeper's message");
    Ok(())
}

fn attributes(_: &mut Case) -> Outcome {
    let queue = Queue::new("attributes", 0)?;
    queue.send(0, b"x")?;
    check_eq!(queue.attr()?[..4], [0, 2, 8, 1], "flags, limits and number");
    let nonblock = i64::from(libc::O_NONBLOCK);
    let mut old = [0i64; 8];
    let new = [nonblock, 77, 77, 77, 0, 0, 0, 0];
    sys!(SYS_mq_getsetattr, queue.fd, &new, &mut old)?;
    check_eq!(old[..4], [0, 2, 8, 1], "what was before");
    check_eq!(queue.attr()?[..4], [nonblock, 2, 8, 1], "what is now");
    check_errno!(sys!(SYS_mq_getsetattr, queue.fd, &[1i64; 8], 0), EINVAL);
    check_errno!(sys!(SYS_mq_getsetattr, 0, &[1i64; 8], 0), EINVAL);
    check_errno!(sys!(SYS_mq_getsetattr, -1, 0, 0), EBADF);
    Ok(())
}

static COUNT: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static PID: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicUsize = AtomicUsize::new(0);

fn listen() -> SysResult<()> {
    sys::handle(libc::SIGUSR1, libc::SA_SIGINFO, |delivery| {
        COUNT.fetch_add(1, SeqCst);
        CODE.store(delivery.code, SeqCst);
        PID.store(delivery.pid, SeqCst);
        VALUE.store(delivery.value, SeqCst);
    })
}

fn notify_once(_: &mut Case) -> Outcome {
    let queue = Queue::new("notify", 0)?;
    listen()?;
    queue.notify(libc::SIGUSR1, 4711)?;
    let pid = child(|| Ok(queue.send(0, b"x").map(drop)?))?;
    reap(pid)?;
    let got = (COUNT.load(SeqCst), CODE.load(SeqCst), PID.load(SeqCst), VALUE.load(SeqCst));
    check_eq!(got, (1, libc::SI_MESGQ, pid, 4711), "number, code, sender and value");
    queue.receive()?;
    queue.send(0, b"y")?;
    check_eq!(COUNT.load(SeqCst), 1, "signals: it was for one message");
    // The queue is not empty: the next message is not the first.
    queue.notify(libc::SIGUSR1, 0)?;
    queue.send(0, b"z")?;
    check_eq!(COUNT.load(SeqCst), 1, "signals");
    Ok(())
}

fn notify_errors(_: &mut Case) -> Outcome {
    let queue = Queue::new("notify-errors", 0)?;
    check_errno!(sys!(SYS_mq_notify, -1, BAD), EFAULT);
    check_errno!(sys!(SYS_mq_notify, -1, 0), EBADF);
    check_errno!(queue.notify(65, 0), EINVAL);
    let kind = |kind: u64| sys!(SYS_mq_notify, queue.fd, &[0, kind << 32, 0, 0, 0, 0, 0, 0u64]);
    check_errno!(kind(9), EINVAL);
    kind(1)?;
    check_errno!(queue.notify(libc::SIGUSR1, 0), EBUSY);
    in_child(|| {
        check_errno!(queue.notify(libc::SIGUSR1, 0), EBUSY);
        // It is not the child's to take away.
        sys!(SYS_mq_notify, queue.fd, 0)?;
        check_errno!(queue.notify(libc::SIGUSR1, 0), EBUSY);
        Ok(())
    })?;
    sys!(SYS_mq_notify, queue.fd, 0)?;
    queue.notify(libc::SIGUSR1, 0)?;
    let another = open(&queue.name, libc::O_RDWR, None)?;
    close(another)?;
    // Any descriptor of the process that is closed ends it.
    in_child(|| Ok(queue.notify(libc::SIGUSR2, 0).map(drop)?))?;
    Ok(())
}

fn notify_not_when_awaited(_: &mut Case) -> Outcome {
    let queue = Queue::new("awaited", 0)?;
    listen()?;
    queue.notify(libc::SIGUSR1, 0)?;
    let pid = child(|| Ok(queue.receive().map(drop)?))?;
    until_asleep(pid, pid)?;
    queue.send(0, b"x")?;
    reap(pid)?;
    check_eq!(COUNT.load(SeqCst), 0, "signals");
    queue.send(0, b"y")?;
    check_eq!(COUNT.load(SeqCst), 1, "signals for the one that nobody awaited");
    Ok(())
}

fn poll_states(_: &mut Case) -> Outcome {
    let queue = Queue::new("poll", 0)?;
    let both = libc::POLLIN | libc::POLLOUT;
    check_eq!(ready(queue.fd, both)?, libc::POLLOUT, "empty");
    queue.send(0, b"x")?;
    check_eq!(ready(queue.fd, both)?, both, "half full");
    queue.send(0, b"y")?;
    check_eq!(ready(queue.fd, both)?, libc::POLLIN, "full");
    queue.receive()?;
    queue.receive()?;
    let pid = child(|| {
        let mut fds = [crate::calls::pollfd(queue.fd, libc::POLLIN)];
        check_eq!(sys!(SYS_poll, &mut fds, 1, -1)?, 1, "ready");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    queue.send(0, b"z")?;
    reap(pid)
}

fn interrupted(_: &mut Case) -> Outcome {
    let queue = Queue::new("interrupted", 0)?;
    let waiting = |flags: i32, interrupted: bool| {
        let pid = child(|| {
            sys::handle(libc::SIGUSR1, flags, |_| ())?;
            match interrupted {
                true => check_errno!(queue.receive(), EINTR),
                false => check_eq!(queue.receive()?.1, b"x", "the message"),
            }
            Ok(())
        })?;
        until_asleep(pid, pid)?;
        kill(pid, libc::SIGUSR1)?;
        Ok::<i32, crate::case::Failure>(pid)
    };
    reap(waiting(0, true)?)?;
    let pid = waiting(libc::SA_RESTART, false)?;
    queue.send(0, b"x")?;
    reap(pid)
}

fn permissions(_: &mut Case) -> Outcome {
    let queue = Queue::new("permissions", 0)?;
    in_child(|| {
        become_user(ORDINARY)?;
        check_errno!(open(&queue.name, libc::O_RDONLY, None), EACCES);
        check_errno!(open(&queue.name, CREATE, None), EACCES);
        check_errno!(unlink(&queue.name), EPERM);
        Ok(())
    })
}

fn file_of_the_queue(_: &mut Case) -> Outcome {
    let queue = Queue::new("file", 0)?;
    check_eq!(fcntl(queue.fd, libc::F_GETFD, 0)?, libc::FD_CLOEXEC as usize, "F_GETFD");
    let stat = fstat(queue.fd)?;
    check_eq!((stat.st_mode, stat.st_size), (libc::S_IFREG | 0o600, 80), "mode and size");
    queue.send(0, b"abc")?;
    let mut text = [0u8; 100];
    let len = read(queue.fd, &mut text)?;
    let text = String::from_utf8_lossy(&text[..len]).into_owned();
    check!(text.starts_with("QSIZE:3 "), "the bytes, got {text}");
    Ok(())
}

fn limits(_: &mut Case) -> Outcome {
    let name = format!("syscall-cases.{}.limits", getpid());
    check_errno!(open(&name, CREATE, Some((11, 8))), EINVAL);
    check_errno!(open(&name, CREATE, Some((10, 8193))), EINVAL);
    let queue = Queue { fd: open(&name, CREATE, None)?, name };
    check_eq!(queue.attr()?[1..3], [10, 8192], "limits without attributes");
    Ok(())
}
