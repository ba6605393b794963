//! Making processes and ending them: fork(2), vfork(2), clone(2), exit(2), prctl(2).

use std::sync::atomic::Ordering::SeqCst;

use crate::calls::{self, exit_code, getpid, getppid, gettid, pipe, read, wait_for};
use crate::case::{Case, Outcome, child, in_child, reap, until};
use crate::sys::{BAD, Region, clone_on_stack, fork, vfork_then};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "process";
    fork_child_has_its_own_pid: "the child's getpid is what fork gave, its parent is the caller";
    fork_copies_private_memory: "writes after a fork are seen by neither side of the other";
    fork_shares_file_offset: "parent and child share the offset of an inherited descriptor";
    fork_child_has_one_thread: "only the calling thread exists in the child";
    fork_clears_pending_signals: "a signal pending in the parent is not pending in the child";
    fork_clears_alarm: "timers are not inherited";
    exit_code_keeps_low_byte: "exit(256 + 7) is seen as 7";
    exit_group_ends_all_threads: "exit_group from a thread ends the process with that code";
    exit_of_main_thread_keeps_process: "the process lives until its last thread exits";
    exit_closes_descriptors: "the reading end sees end of file when the writer has exited";
    killed_status_names_signal: "a killed process reports its signal, not an exit code";
    vfork_parent_waits_for_exit: "vfork returns in the parent only when the child is done";
    clone_vfork_vm_shares_memory: "a CLONE_VM|CLONE_VFORK child's write is there when clone returns";
    clone_parent_settid: "CLONE_PARENT_SETTID stores the child's id in the parent";
    clone_child_settid_and_cleartid: "the id is stored in the child, and cleared when it exits";
    clone_thread_shares_pid: "a CLONE_THREAD child has the caller's pid and its own tid";
    clone_thread_needs_sighand: "CLONE_THREAD without CLONE_SIGHAND is EINVAL";
    clone_sighand_needs_vm: "CLONE_SIGHAND without CLONE_VM is EINVAL";
    clone_fs_and_newns_is_einval: "CLONE_FS with CLONE_NEWNS is EINVAL";
    clone_files_shares_table: "with CLONE_FILES a descriptor closed by the child is closed";
    clone_fs_shares_directory: "with CLONE_FS the child's chdir moves the parent too";
    clone_parent_makes_sibling: "a CLONE_PARENT child has the caller's parent";
    clone3_sizes_are_checked: "clone3 refuses a size too small, and unknown bytes beyond its own";
    clone_gives_pidfd: "clone with CLONE_PIDFD writes the descriptor where CLONE_PARENT_SETTID would";
    clone3_gives_pidfd: "CLONE_PIDFD gives a descriptor which is readable when the child ends";
    clone_exit_signal_is_sent: "the low byte of the flags is the signal sent at exit";
    orphan_is_reparented: "a process whose parent ends gets another one";
    pdeathsig_arrives: "PR_SET_PDEATHSIG is sent when the parent ends";
    pdeathsig_bad_signal_is_einval: "PR_SET_PDEATHSIG refuses numbers which are no signals";
    subreaper_adopts: "an orphan goes to the nearest PR_SET_CHILD_SUBREAPER ancestor";
    prctl_name_is_cut_at_15: "PR_SET_NAME keeps fifteen bytes";
    prctl_unknown_is_einval: "an unknown prctl option is EINVAL";
    prctl_dumpable_values: "PR_SET_DUMPABLE takes 0 and 1, and refuses 3";
    no_new_privs_is_one_way: "PR_SET_NO_NEW_PRIVS can be set, not cleared, and is inherited";
    arch_prctl_fs_is_the_thread_pointer: "ARCH_GET_FS gives what fs:0 holds";
    arch_prctl_gs_can_be_moved: "ARCH_SET_GS moves the base, ARCH_GET_GS reads it back";
    arch_prctl_refuses_kernel_base: "ARCH_SET_GS with a kernel address is EPERM";
    arch_prctl_unknown_is_einval: "an unknown arch_prctl code is EINVAL";
}

fn fork_child_has_its_own_pid(_: &mut Case) -> Outcome {
    let parent = getpid();
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        check_eq!(getppid(), parent, "getppid in the child");
        check_eq!(gettid(), getpid(), "gettid of the only thread");
        calls::write(w, &getpid().to_ne_bytes())?;
        Ok(())
    })?;
    let mut bytes = [0u8; 4];
    read(r, &mut bytes)?;
    check_eq!(i32::from_ne_bytes(bytes), pid, "getpid in the child");
    check!(pid != parent, "a new pid");
    reap(pid)
}

fn fork_copies_private_memory(_: &mut Case) -> Outcome {
    let region = Region::private(3 * sys::PAGE)?;
    region.set(0, 1);
    region.set(sys::PAGE, 1);
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        region.set(0, 2);
        calls::write(w, b"x")?;
        // The parent writes only after it has read the byte, and then waits for us: whatever it
        // does, this page is ours.
        check_eq!(region.get(sys::PAGE), 1, "byte written by the parent, seen by the child");
        check_eq!(region.get(2 * sys::PAGE), 0, "untouched page in the child");
        Ok(())
    })?;
    region.set(sys::PAGE, 3);
    read(r, &mut [0])?;
    check_eq!(region.get(0), 1, "byte written by the child, seen by the parent");
    reap(pid)
}

fn fork_shares_file_offset(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    calls::write(fd, b"0123456789")?;
    calls::lseek(fd, 0, libc::SEEK_SET)?;
    in_child(|| {
        check_eq!(read(fd, &mut [0; 4])?, 4, "bytes read by the child");
        Ok(())
    })?;
    check_eq!(calls::lseek(fd, 0, libc::SEEK_CUR)?, 4, "offset after the child's read");
    Ok(())
}

fn fork_child_has_one_thread(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let thread = std::thread::spawn(move || {
        let _ = read(r, &mut [0]);
    });
    let outcome = in_child(|| {
        let tasks = std::fs::read_dir("/proc/self/task")?.count();
        check_eq!(tasks, 1, "threads in the child");
        Ok(())
    });
    calls::write(w, b"x")?;
    check!(thread.join().is_ok(), "the thread to end");
    outcome
}

fn pending() -> sys::SysResult<u64> {
    let mut set = 0u64;
    sys!(SYS_rt_sigpending, &mut set, 8)?;
    Ok(set)
}

fn fork_clears_pending_signals(_: &mut Case) -> Outcome {
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGUSR1))?;
    calls::kill(getpid(), libc::SIGUSR1)?;
    check_eq!(pending()?, sys::bit(libc::SIGUSR1), "pending set of the parent");
    in_child(|| {
        check_eq!(pending()?, 0, "pending set of the child");
        let mask = sys::mask(libc::SIG_BLOCK, 0)?;
        check_eq!(mask, sys::bit(libc::SIGUSR1), "mask of the child");
        Ok(())
    })
}

fn fork_clears_alarm(_: &mut Case) -> Outcome {
    sys!(SYS_alarm, 1000)?;
    in_child(|| {
        check_eq!(sys!(SYS_alarm, 0)?, 0, "seconds left of the child's alarm");
        Ok(())
    })?;
    check!(sys!(SYS_alarm, 0)? > 900, "the parent's alarm to be left");
    Ok(())
}

fn exit_code_keeps_low_byte(_: &mut Case) -> Outcome {
    let status = wait_for(fork(|| 256 + 7)?)?;
    check_eq!(exit_code(status), Some(7), "exit code");
    let status = wait_for(fork(|| -1)?)?;
    check_eq!(exit_code(status), Some(255), "exit code of exit(-1)");
    Ok(())
}

fn exit_group_ends_all_threads(_: &mut Case) -> Outcome {
    let pid = fork(|| {
        std::thread::spawn(|| {
            let _ = sys!(SYS_exit_group, 9);
        });
        let _ = sys!(SYS_pause);
        1
    })?;
    check_eq!(exit_code(wait_for(pid)?), Some(9), "exit code of the process");
    Ok(())
}

fn exit_of_main_thread_keeps_process(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = fork(|| {
        std::thread::spawn(move || {
            let _ = read(r, &mut [0]);
            let _ = sys!(SYS_exit_group, 5);
        });
        let _ = sys!(SYS_exit, 3);
        1
    })?;
    let path = format!("/proc/{pid}/stat");
    until("the main thread is a zombie", || Ok(std::fs::read_to_string(&path)?.contains(") Z ")))?;
    let mut status = 0i32;
    check_eq!(sys!(SYS_wait4, pid, &mut status, libc::WNOHANG, 0)?, 0, "wait4 meanwhile");
    calls::write(w, b"x")?;
    check_eq!(exit_code(wait_for(pid)?), Some(5), "exit code of the process");
    Ok(())
}

fn exit_closes_descriptors(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = fork(|| 0)?;
    calls::close(w)?;
    check_eq!(read(r, &mut [0])?, 0, "read after all writers have exited");
    reap(pid)
}

fn killed_status_names_signal(_: &mut Case) -> Outcome {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGUSR2, 40] {
        let pid = fork(|| {
            let _ = calls::kill(getpid(), signal);
            1
        })?;
        let status = wait_for(pid)?;
        check_eq!(status & 0x7f, signal, "low bits of the wait status");
        check_eq!(exit_code(status), None, "exit code of a killed process");
    }
    Ok(())
}

fn vfork_parent_waits_for_exit(_: &mut Case) -> Outcome {
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    let nap = calls::timespec(20_000_000);
    let nap = std::ptr::from_ref(&nap).expose_provenance();
    let pid = vfork_then(libc::SYS_nanosleep, nap, 0, 0)?;
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 20_000_000, "the child's 20 ms to have passed, got {waited} ns");
    check_eq!(exit_code(wait_for(pid)?), Some(127), "exit code");
    Ok(())
}

extern "C" fn store_one(address: usize) -> i32 {
    sys::store8(address, 1);
    0
}

fn clone_vfork_vm_shares_memory(_: &mut Case) -> Outcome {
    let region = Region::private(sys::PAGE)?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let pid = clone_on_stack(flags, 0, 0, store_one, region.base)?;
    check_eq!(region.get(0), 1, "byte written by the child");
    reap(pid)
}

fn clone_parent_settid(_: &mut Case) -> Outcome {
    let region = Region::private(sys::PAGE)?;
    let flags = libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
    let pid = sys!(SYS_clone, flags, 0, region.base, 0, 0)? as i32;
    if pid == 0 {
        sys!(SYS_exit_group, 0)?;
    }
    check_eq!(region.word(0).load(SeqCst), pid as u32, "word stored by clone");
    reap(pid)
}

fn futex_wait_while(word: &std::sync::atomic::AtomicU32, value: u32, address: usize) {
    while word.load(SeqCst) == value {
        let _ = sys!(SYS_futex, address, libc::FUTEX_WAIT, value, 0, 0, 0);
    }
}

extern "C" fn check_own_tid(address: usize) -> i32 {
    let region = Region { base: address, len: sys::PAGE };
    // What the child found in the word is left for the parent to see.
    region.word(4).store(region.word(0).load(SeqCst), SeqCst);
    region.word(8).store(getpid() as u32, SeqCst);
    region.word(12).store(gettid() as u32, SeqCst);
    0
}

const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

fn clone_child_settid_and_cleartid(_: &mut Case) -> Outcome {
    let region = Region::private(sys::PAGE)?;
    region.word(0).store(7, SeqCst);
    let flags = THREAD | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    let tid = clone_on_stack(flags, 0, region.base, check_own_tid, region.base)? as u32;
    futex_wait_while(region.word(0), 7, region.base);
    futex_wait_while(region.word(0), tid, region.base);
    check_eq!(region.word(0).load(SeqCst), 0, "word after the thread's exit");
    check_eq!(region.word(4).load(SeqCst), tid, "word while the thread ran");
    Ok(())
}

fn clone_thread_shares_pid(_: &mut Case) -> Outcome {
    let region = Region::private(sys::PAGE)?;
    region.word(0).store(7, SeqCst);
    let flags = THREAD | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
    let tid = clone_on_stack(flags, region.base, region.base, check_own_tid, region.base)? as u32;
    futex_wait_while(region.word(0), tid, region.base);
    check_eq!(region.word(8).load(SeqCst), getpid() as u32, "getpid in the thread");
    check_eq!(region.word(12).load(SeqCst), tid, "gettid in the thread");
    check!(tid != getpid() as u32, "a tid of its own");
    check_errno!(sys!(SYS_wait4, tid, 0, libc::__WALL, 0), ECHILD);
    Ok(())
}

fn clone_thread_needs_sighand(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_clone, libc::CLONE_THREAD | libc::CLONE_VM, 0, 0, 0, 0), EINVAL);
    Ok(())
}

fn clone_sighand_needs_vm(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_clone, libc::CLONE_SIGHAND | libc::SIGCHLD, 0, 0, 0, 0), EINVAL);
    Ok(())
}

fn clone_fs_and_newns_is_einval(_: &mut Case) -> Outcome {
    let flags = libc::CLONE_FS | libc::CLONE_NEWNS | libc::SIGCHLD;
    check_errno!(sys!(SYS_clone, flags, 0, 0, 0, 0), EINVAL);
    Ok(())
}

fn clone_files_shares_table(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = sys!(SYS_clone, libc::CLONE_FILES | libc::SIGCHLD, 0, 0, 0, 0)? as i32;
    if pid == 0 {
        let closed = calls::close(w).is_ok();
        sys!(SYS_exit_group, i32::from(!closed))?;
    }
    reap(pid)?;
    check_errno!(calls::fcntl(w, libc::F_GETFD, 0), EBADF);
    check_eq!(read(r, &mut [0])?, 0, "read from the pipe whose writer is closed");
    Ok(())
}

fn clone_fs_shares_directory(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    calls::chdir("/")?;
    let pid = sys!(SYS_clone, libc::CLONE_FS | libc::SIGCHLD, 0, 0, 0, 0)? as i32;
    if pid == 0 {
        let moved = calls::chdir(&dir).is_ok();
        sys!(SYS_umask, 0o077)?;
        sys!(SYS_exit_group, i32::from(!moved))?;
    }
    reap(pid)?;
    check_eq!(std::env::current_dir()?, std::fs::canonicalize(&dir)?, "current directory");
    check_eq!(sys!(SYS_umask, 0o022)?, 0o077, "umask set by the child");
    Ok(())
}

fn clone_parent_makes_sibling(_: &mut Case) -> Outcome {
    let me = getpid();
    // The caller needs a parent who can wait for the sibling, so all of it happens one level down.
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        let sibling = sys!(SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0)? as i32;
        if sibling == 0 {
            sys!(SYS_exit_group, i32::from(getppid() != me))?;
        }
        check_errno!(sys!(SYS_wait4, sibling, 0, 0, 0), ECHILD);
        calls::write(w, &sibling.to_ne_bytes())?;
        Ok(())
    })?;
    let mut bytes = [0u8; 4];
    check_eq!(read(r, &mut bytes)?, 4, "the sibling's pid");
    reap(pid)?;
    reap(i32::from_ne_bytes(bytes))
}

fn clone3_sizes_are_checked(_: &mut Case) -> Outcome {
    let args = [0u64; 64];
    check_errno!(sys!(SYS_clone3, &args, 56), EINVAL);
    let mut long = [0u64; 64];
    long[40] = 1;
    check_errno!(sys!(SYS_clone3, &long, 512), E2BIG);
    check_errno!(sys!(SYS_clone3, &args, 8192), E2BIG);
    check_errno!(sys!(SYS_clone3, BAD, 64), EFAULT);
    Ok(())
}

fn clone3_gives_pidfd(_: &mut Case) -> Outcome {
    let mut fd = -1i32;
    let mut args = sys::zeroed::<libc::clone_args>();
    args.flags = libc::CLONE_PIDFD as u64;
    args.pidfd = std::ptr::from_mut(&mut fd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    let (r, w) = pipe(0)?;
    let pid = sys!(SYS_clone3, &args, 88)? as i32;
    if pid == 0 {
        let _ = calls::close(w);
        let _ = read(r, &mut [0]);
        sys!(SYS_exit_group, 0)?;
    }
    let fd = std::hint::black_box(fd);
    check!(fd > 2, "a descriptor, got {fd}");
    check_eq!(calls::fcntl(fd, libc::F_GETFD, 0)?, libc::FD_CLOEXEC as usize, "its flags");
    check_eq!(calls::ready(fd, libc::POLLIN)?, 0, "events while the child runs");
    calls::close(w)?;
    let mut poll = [calls::pollfd(fd, libc::POLLIN)];
    check_eq!(sys!(SYS_poll, &mut poll, 1, -1)?, 1, "poll until the child ends");
    check_eq!(poll[0].revents, libc::POLLIN, "events when it has ended");
    sys!(SYS_pidfd_send_signal, fd, 0, 0, 0)?;
    reap(pid)?;
    check_errno!(sys!(SYS_pidfd_send_signal, fd, 0, 0, 0), ESRCH);
    Ok(())
}

fn clone_exit_signal_is_sent(_: &mut Case) -> Outcome {
    let set = sys::bit(libc::SIGUSR1) | sys::bit(libc::SIGCHLD);
    sys::mask(libc::SIG_BLOCK, set)?;
    let pid = sys!(SYS_clone, libc::SIGUSR1, 0, 0, 0, 0)? as i32;
    if pid == 0 {
        sys!(SYS_exit_group, 0)?;
    }
    let signal = sys!(SYS_rt_sigtimedwait, &set, 0, 0, 8)?;
    check_eq!(signal, libc::SIGUSR1 as usize, "signal sent at exit");
    check_errno!(sys!(SYS_wait4, pid, 0, 0, 0), ECHILD);
    check_eq!(sys!(SYS_wait4, pid, 0, libc::__WCLONE, 0)?, pid as usize, "wait4 with __WCLONE");
    Ok(())
}

fn orphan_is_reparented(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let middle = child(|| {
        let me = getpid();
        child(|| {
            until("there is another parent", || Ok(getppid() != me))?;
            calls::write(w, &getppid().to_ne_bytes())?;
            Ok(())
        })?;
        Ok(())
    })?;
    reap(middle)?;
    calls::close(w)?;
    let mut bytes = [0u8; 4];
    check_eq!(read(r, &mut bytes)?, 4, "bytes from the orphan");
    check!(i32::from_ne_bytes(bytes) != middle, "another parent than the dead one");
    Ok(())
}

fn pdeathsig_arrives(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let middle = child(|| {
        let (ready, set_up) = pipe(0)?;
        child(|| {
            let set = sys::bit(libc::SIGUSR1);
            sys::mask(libc::SIG_BLOCK, set)?;
            sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGUSR1)?;
            calls::write(set_up, b"x")?;
            let limit = calls::timespec(8_000_000_000);
            let signal = sys!(SYS_rt_sigtimedwait, &set, 0, &limit, 8)?;
            calls::write(w, &[signal as u8])?;
            Ok(())
        })?;
        read(ready, &mut [0])?;
        Ok(())
    })?;
    reap(middle)?;
    calls::close(w)?;
    let mut byte = [0u8];
    check_eq!(read(r, &mut byte)?, 1, "bytes from the orphan");
    check_eq!(i32::from(byte[0]), libc::SIGUSR1, "signal at the parent's death");
    Ok(())
}

fn pdeathsig_bad_signal_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, 65), EINVAL);
    sys!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGHUP)?;
    let mut signal = 0i32;
    sys!(SYS_prctl, libc::PR_GET_PDEATHSIG, &mut signal)?;
    check_eq!(signal, libc::SIGHUP, "PR_GET_PDEATHSIG");
    in_child(|| {
        let mut signal = 9i32;
        sys!(SYS_prctl, libc::PR_GET_PDEATHSIG, &mut signal)?;
        check_eq!(signal, 0, "PR_GET_PDEATHSIG of a child");
        Ok(())
    })
}

fn subreaper_adopts(_: &mut Case) -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)?;
    let me = getpid();
    let middle = child(|| {
        let middle = getpid();
        child(|| {
            until("there is another parent", || Ok(getppid() != middle))?;
            check_eq!(getppid(), me, "parent of the orphan");
            Ok(())
        })?;
        Ok(())
    })?;
    reap(middle)?;
    let mut status = 0i32;
    sys!(SYS_wait4, -1, &mut status, 0, 0)?;
    check_eq!(status, 0, "wait status of the adopted orphan");
    Ok(())
}

fn prctl_name_is_cut_at_15(_: &mut Case) -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_NAME, b"0123456789abcdefgh\0")?;
    let mut name = [1u8; 16];
    sys!(SYS_prctl, libc::PR_GET_NAME, &mut name)?;
    check_eq!(&name, b"0123456789abcde\0", "PR_GET_NAME");
    let comm = std::fs::read_to_string("/proc/self/comm")?;
    check_eq!(comm, "0123456789abcde\n", "/proc/self/comm");
    check_errno!(sys!(SYS_prctl, libc::PR_SET_NAME, BAD), EFAULT);
    Ok(())
}

fn prctl_unknown_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_prctl, 9999, 0, 0, 0, 0), EINVAL);
    check_errno!(sys!(SYS_prctl, -1, 0, 0, 0, 0), EINVAL);
    Ok(())
}

fn prctl_dumpable_values(_: &mut Case) -> Outcome {
    sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 0)?;
    check_eq!(sys!(SYS_prctl, libc::PR_GET_DUMPABLE)?, 0, "PR_GET_DUMPABLE");
    sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 1)?;
    check_eq!(sys!(SYS_prctl, libc::PR_GET_DUMPABLE)?, 1, "PR_GET_DUMPABLE");
    check_errno!(sys!(SYS_prctl, libc::PR_SET_DUMPABLE, 3), EINVAL);
    Ok(())
}

fn no_new_privs_is_one_way(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    check_errno!(sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)?;
    check_errno!(sys!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    in_child(|| {
        let set = sys!(SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)?;
        check_eq!(set, 1, "PR_GET_NO_NEW_PRIVS of a child");
        Ok(())
    })
}

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;

fn arch_prctl_fs_is_the_thread_pointer(_: &mut Case) -> Outcome {
    let mut base = 0usize;
    sys!(SYS_arch_prctl, ARCH_GET_FS, &mut base)?;
    check_eq!(base, sys::fs_self(), "FS base");
    check_errno!(sys!(SYS_arch_prctl, ARCH_GET_FS, BAD), EFAULT);
    Ok(())
}

fn arch_prctl_gs_can_be_moved(_: &mut Case) -> Outcome {
    let region = Region::private(sys::PAGE)?;
    region.word(0).store(0x1234_5678, SeqCst);
    sys::set_gs(&region)?;
    check_eq!(sys::gs_word(), 0x1234_5678, "word at gs:0");
    let mut base = 0usize;
    sys!(SYS_arch_prctl, ARCH_GET_GS, &mut base)?;
    check_eq!(base, region.base, "ARCH_GET_GS");
    in_child(|| {
        check_eq!(sys::gs_word(), 0x1234_5678, "word at gs:0 in a child");
        Ok(())
    })
}

fn arch_prctl_refuses_kernel_base(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_arch_prctl, ARCH_SET_GS, sys::KERNEL_ADDRESS), EPERM);
    Ok(())
}

fn arch_prctl_unknown_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_arch_prctl, 0x9999, 0), EINVAL);
    Ok(())
}

fn clone_gives_pidfd(_: &mut Case) -> Outcome {
    let mut fd = -1i32;
    let flags = libc::CLONE_PIDFD | libc::SIGCHLD;
    check_errno!(sys!(SYS_clone, flags | libc::CLONE_PARENT_SETTID, 0, &mut fd, 0, 0), EINVAL);
    check_errno!(sys!(SYS_clone, flags, 0, BAD, 0, 0), EFAULT);
    let pid = sys!(SYS_clone, flags, 0, &mut fd, 0, 0)? as i32;
    if pid == 0 {
        sys!(SYS_pause)?;
    }
    let fd = std::hint::black_box(fd);
    sys!(SYS_pidfd_send_signal, fd, libc::SIGKILL, 0, 0)?;
    check_eq!(calls::term_signal(wait_for(pid)?), Some(libc::SIGKILL), "signal that ended it");
    // It is known by its pidfd that it is gone, whoever has its id now.
    check_errno!(sys!(SYS_pidfd_send_signal, fd, 0, 0, 0), ESRCH);
    check_errno!(sys!(SYS_pidfd_send_signal, fd, 65, 0, 0), ESRCH);
    check_errno!(sys!(SYS_pidfd_getfd, fd, 0, 0), ESRCH);
    check_errno!(sys!(SYS_pidfd_send_signal, 0, 0, 0, 0), EBADF);
    Ok(())
}
