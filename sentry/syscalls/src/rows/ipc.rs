//! System V IPC and POSIX message queues.

use crate::args::{Flags, Mode, UserStr};
use crate::ipc::*;
use crate::table::rows;
use abi::UserAddr;
use vfs::Fd;

rows! {
    29 shmget(key: i32, size: u64, flags: i32)
        => shm::shmget, Partial, "SHM_HUGETLB is ENOMEM";
    30 shmat(id: i32, addr: UserAddr, flags: i32) => shm::shmat, Full;
    31 shmctl(id: i32, cmd: i32, buf: UserAddr)
        => shm::shmctl, Partial, "SHM_LOCK keeps the state only";
    64 semget(key: i32, count: i32, flags: i32)
        => sem::semget, Partial, "SEMMNS is 1048576";
    65 semop(id: i32, ops: UserAddr, count: u32) => sem::semop, Full;
    66 semctl(id: i32, num: i32, cmd: i32, arg: u64) => sem::semctl, Full;
    67 shmdt(addr: UserAddr) => shm::shmdt, Full;
    68 msgget(key: i32, flags: i32) => msg::msgget, Full;
    69 msgsnd(id: i32, message: UserAddr, size: u64, flags: i32) => msg::msgsnd, Full;
    70 msgrcv(id: i32, to: UserAddr, size: u64, kind: i64, flags: i32)
        => msg::msgrcv, Partial, "MSG_COPY is ENOSYS";
    71 msgctl(id: i32, cmd: i32, buf: UserAddr) => msg::msgctl, Full;
    220 semtimedop(id: i32, ops: UserAddr, count: u32, timeout: UserAddr)
        => sem::semtimedop, Full;
    240 mq_open(name: UserStr, flags: Flags, mode: Mode, attr: UserAddr) => mqueue::mq_open, Full;
    241 mq_unlink(name: UserStr) => mqueue::mq_unlink, Full;
    242 mq_timedsend(fd: Fd, message: UserAddr, size: u64, priority: u32, timeout: UserAddr)
        => mqueue::mq_timedsend, Full;
    243 mq_timedreceive(fd: Fd, to: UserAddr, size: u64, priority: UserAddr, timeout: UserAddr)
        => mqueue::mq_timedreceive, Full;
    244 mq_notify(fd: Fd, event: UserAddr)
        => mqueue::mq_notify, Partial, "SIGEV_THREAD is ENOSYS";
    245 mq_getsetattr(fd: Fd, new: UserAddr, old: UserAddr) => mqueue::mq_getsetattr, Full;
}
