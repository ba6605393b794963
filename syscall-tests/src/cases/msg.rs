//! System V message queues: msgget(2), msgop(2), msgctl(2).

use crate::calls::{become_user, getpid, kill};
use crate::case::{Case, ORDINARY, Outcome, child, in_child, reap, until_asleep};
use crate::sys::{BAD, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "msg";
    get_errors: "msgget's ENOENT and EEXIST";
    send_errors: "msgsnd's EFAULT, EINVAL, in their order";
    receive_errors: "msgrcv's EINVAL, ENOMSG, E2BIG, EFAULT";
    types_select: "msgrcv by type, by lowest type, MSG_EXCEPT";
    truncation: "MSG_NOERROR cuts, and without it the message stays";
    full_queue: "a full queue is EAGAIN, and a sender sleeps until there is room";
    sleeper_gets_its_type: "who waits for a type sleeps through others";
    sleepers_in_order: "of two who wait the first gets the message";
    removal_wakes: "IPC_RMID gives sleepers EIDRM";
    signal_is_eintr: "a handler interrupts, SA_RESTART or not";
    stop_does_not_interrupt: "a stopped and continued receiver goes on";
    permissions [Root]: "EACCES without permission, EPERM for a larger queue";
    stat_shows_the_queue: "IPC_STAT: numbers, bytes, pids, times; /proc/sysvipc/msg";
}

const CREATE: i32 = libc::IPC_CREAT | 0o600;
const NOWAIT: i32 = libc::IPC_NOWAIT;

/// A queue, removed at the end.
struct Queue(i32);

impl Queue {
    fn new() -> SysResult<Queue> {
        Ok(Queue(sys!(SYS_msgget, libc::IPC_PRIVATE, CREATE)? as i32))
    }

    fn send(&self, kind: i64, data: &[u8], flags: i32) -> SysResult {
        let message = [&kind.to_ne_bytes(), data].concat();
        sys!(SYS_msgsnd, self.0, &message[..], data.len(), flags)
    }

    /// Type and bytes of the message received.
    fn receive(&self, kind: i64, size: usize, flags: i32) -> SysResult<(i64, Vec<u8>)> {
        let mut message = vec![0u8; 8 + size];
        let len = sys!(SYS_msgrcv, self.0, &mut message[..], size, kind, flags)?;
        let got = message.first_chunk().map_or(0, |kind| i64::from_ne_bytes(*kind));
        Ok((got, message[8..8 + len].to_vec()))
    }

    fn kind(&self, kind: i64, flags: i32) -> SysResult<i64> {
        Ok(self.receive(kind, 100, flags | NOWAIT)?.0)
    }

    fn stat(&self) -> SysResult<[u64; 15]> {
        let mut stat = [0; 15];
        sys!(SYS_msgctl, self.0, libc::IPC_STAT, &mut stat)?;
        Ok(stat)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = sys!(SYS_msgctl, self.0, libc::IPC_RMID, 0);
    }
}

/// A child that waits for a message of the type, and expects it to say `data`.
fn receiver(queue: &Queue, kind: i64, data: &[u8]) -> Outcome<i32> {
    let pid = child(|| {
        check_eq!(queue.receive(kind, 100, 0)?.1, data, "the message");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    Ok(pid)
}

fn get_errors(_: &mut Case) -> Outcome {
    let key = 0x4d53_0000 | getpid() & 0xffff;
    check_errno!(sys!(SYS_msgget, key, 0o600), ENOENT);
    let queue = Queue(sys!(SYS_msgget, key, CREATE)? as i32);
    check_eq!(sys!(SYS_msgget, key, 0)? as i32, queue.0, "the queue");
    check_errno!(sys!(SYS_msgget, key, CREATE | libc::IPC_EXCL), EEXIST);
    check!(
        sys!(SYS_msgget, libc::IPC_PRIVATE, 0).is_ok_and(|id| {
            drop(Queue(id as i32));
            id as i32 != queue.0
        }),
        "another queue"
    );
    Ok(())
}

fn send_errors(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    check_errno!(sys!(SYS_msgsnd, -1, BAD, -1i64, 0), EFAULT);
    check_errno!(queue.send(0, b"x", 0), EINVAL);
    check_errno!(queue.send(-1, b"x", 0), EINVAL);
    check_errno!(queue.send(1, &[0; 8193], 0), EINVAL);
    check_errno!(sys!(SYS_msgsnd, queue.0, &[1u8; 8], -1i64, 0), EINVAL);
    check_errno!(sys!(SYS_msgsnd, -1, &[1u8; 8], 0, 0), EINVAL);
    queue.send(1, b"", 0)?;
    queue.send(1, &[0; 8192], 0)?;
    Ok(())
}

fn receive_errors(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    check_errno!(sys!(SYS_msgrcv, queue.0, BAD, -1i64, 0, NOWAIT), EINVAL);
    check_errno!(sys!(SYS_msgrcv, -1, BAD, 1, 0, NOWAIT), EINVAL);
    check_errno!(sys!(SYS_msgrcv, queue.0, BAD, 1, 0, NOWAIT), ENOMSG);
    check_errno!(sys!(SYS_msgrcv, queue.0, BAD, 1, 0, libc::MSG_COPY), EINVAL);
    queue.send(1, b"xy", 0)?;
    check_errno!(sys!(SYS_msgrcv, queue.0, BAD, 1, 0, NOWAIT), E2BIG);
    check_errno!(sys!(SYS_msgrcv, queue.0, BAD, 2, 0, NOWAIT), EFAULT);
    check_errno!(queue.kind(0, 0), ENOMSG);
    Ok(())
}

fn types_select(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    for kind in [5, 3, 4, 3, 9] {
        queue.send(kind, &kind.to_ne_bytes(), 0)?;
    }
    check_eq!(queue.kind(4, 0)?, 4, "by type");
    check_eq!(queue.kind(-4, 0)?, 3, "the lowest up to 4");
    check_eq!(queue.kind(5, libc::MSG_EXCEPT)?, 3, "another than 5");
    check_errno!(queue.kind(-4, 0), ENOMSG);
    check_errno!(queue.kind(7, 0), ENOMSG);
    check_eq!(queue.kind(0, 0)?, 5, "the first");
    check_eq!(queue.kind(i64::MIN, 0)?, 9, "the lowest of all");
    Ok(())
}

fn truncation(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    queue.send(1, b"abcdef", 0)?;
    check_errno!(queue.receive(0, 3, 0), E2BIG);
    check_eq!(queue.receive(0, 3, libc::MSG_NOERROR)?, (1, b"abc".to_vec()), "the beginning");
    check_errno!(queue.kind(0, 0), ENOMSG);
    Ok(())
}

fn full_queue(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    queue.send(1, &[0; 8192], 0)?;
    queue.send(2, &[0; 8192], 0)?;
    check_errno!(queue.send(3, b"x", NOWAIT), EAGAIN);
    queue.send(4, b"", NOWAIT)?;
    let pid = child(|| Ok(queue.send(5, b"later", 0).map(drop)?))?;
    until_asleep(pid, pid)?;
    check_eq!(queue.receive(1, 8192, 0)?.0, 1, "the first");
    reap(pid)?;
    check_eq!(queue.receive(5, 100, NOWAIT)?.1, b"later", "the sleeper's message");
    Ok(())
}

fn sleeper_gets_its_type(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    let pid = receiver(&queue, 7, b"seven")?;
    queue.send(6, b"six", 0)?;
    queue.send(7, b"seven", 0)?;
    reap(pid)?;
    check_eq!(queue.stat()?[10], 1, "messages left");
    check_eq!(queue.stat()?[12] >> 32, pid as u64, "who received last");
    Ok(())
}

fn sleepers_in_order(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    let first = receiver(&queue, 0, b"1")?;
    let second = receiver(&queue, -9, b"2")?;
    queue.send(3, b"1", 0)?;
    queue.send(3, b"2", 0)?;
    reap(first)?;
    reap(second)
}

fn removal_wakes(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    let reading = child(|| {
        check_errno!(queue.receive(1, 1, 0), EIDRM);
        Ok(())
    })?;
    until_asleep(reading, reading)?;
    queue.send(2, &[0; 8192], 0)?;
    queue.send(2, &[0; 8192], 0)?;
    let writing = child(|| {
        check_errno!(queue.send(2, b"x", 0), EIDRM);
        Ok(())
    })?;
    until_asleep(writing, writing)?;
    sys!(SYS_msgctl, queue.0, libc::IPC_RMID, 0)?;
    reap(reading)?;
    reap(writing)?;
    check_errno!(queue.send(1, b"x", 0), EINVAL);
    Ok(())
}

fn signal_is_eintr(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    for flags in [0, libc::SA_RESTART] {
        let pid = child(|| {
            sys::handle(libc::SIGUSR1, flags, |_| ())?;
            sys!(SYS_getpid)?;
            check_errno!(queue.receive(0, 10, 0), EINTR);
            Ok(())
        })?;
        until_asleep(pid, pid)?;
        kill(pid, libc::SIGUSR1)?;
        reap(pid)?;
    }
    queue.send(1, b"x", 0)?;
    check_eq!(queue.kind(0, 0)?, 1, "the message nobody took");
    Ok(())
}

fn stop_does_not_interrupt(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    let pid = receiver(&queue, 0, b"after")?;
    kill(pid, libc::SIGSTOP)?;
    let mut status = 0i32;
    sys!(SYS_wait4, pid, &mut status, libc::WUNTRACED, 0)?;
    check!(libc::WIFSTOPPED(status), "a stop");
    kill(pid, libc::SIGCONT)?;
    until_asleep(pid, pid)?;
    queue.send(1, b"after", 0)?;
    reap(pid)
}

fn permissions(_: &mut Case) -> Outcome {
    let queue = Queue(sys!(SYS_msgget, libc::IPC_PRIVATE, libc::IPC_CREAT | 0o602)? as i32);
    in_child(|| {
        become_user(ORDINARY)?;
        queue.send(1, b"x", 0)?;
        check_errno!(queue.kind(0, 0), EACCES);
        check_errno!(queue.stat(), EACCES);
        check_errno!(sys!(SYS_msgctl, queue.0, libc::IPC_RMID, 0), EPERM);
        let own = Queue::new()?;
        let mut stat = own.stat()?;
        stat[11] = 16385;
        check_errno!(sys!(SYS_msgctl, own.0, libc::IPC_SET, &stat), EPERM);
        stat[11] = 10;
        sys!(SYS_msgctl, own.0, libc::IPC_SET, &stat)?;
        check_errno!(own.send(1, &[0; 11], NOWAIT), EAGAIN);
        Ok(())
    })
}

fn stat_shows_the_queue(_: &mut Case) -> Outcome {
    let queue = Queue::new()?;
    let new = queue.stat()?;
    check_eq!((new[9], new[10], new[11], new[12]), (0, 0, 16384, 0), "an empty queue");
    queue.send(1, b"abc", 0)?;
    queue.send(1, b"de", 0)?;
    let full = queue.stat()?;
    check_eq!((full[9], full[10], full[12]), (5, 2, getpid() as u64), "bytes, number, sender");
    check!(full[6] >= new[8] && full[7] == 0, "stime and rtime");
    let table = std::fs::read_to_string("/proc/sysvipc/msg")?;
    let id = queue.0.to_string();
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&id));
    let fields: Vec<&str> = line.unwrap_or_default().split_whitespace().take(5).collect();
    check_eq!(fields, ["0", &id, "600", "5", "2"], "the line in /proc");
    let mut info = [0i32; 8];
    sys!(SYS_msgctl, 0, libc::IPC_INFO, &mut info)?;
    check_eq!((info[2], info[3]), (8192, 16384), "MSGMAX and MSGMNB");
    Ok(())
}
