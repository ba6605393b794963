//! Short names for calls which nearly every case makes. Anything else is `sys!(SYS_name, ...)`.

use std::ffi::CString;

use crate::sys;
use crate::sys::{CStrings, SysResult, zeroed};

/// A path or name as the kernel wants it.
pub fn cstr(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

/// `openat(AT_FDCWD, ...)`.
pub fn open(path: &str, flags: i32, mode: u32) -> SysResult<i32> {
    sys!(SYS_openat, libc::AT_FDCWD, &cstr(path), flags, mode).map(|fd| fd as i32)
}

/// `openat` relative to `dir`.
pub fn openat(dir: i32, path: &str, flags: i32, mode: u32) -> SysResult<i32> {
    sys!(SYS_openat, dir, &cstr(path), flags, mode).map(|fd| fd as i32)
}

/// `close`.
pub fn close(fd: i32) -> SysResult<()> {
    sys!(SYS_close, fd).map(drop)
}

/// `read`.
pub fn read(fd: i32, buffer: &mut [u8]) -> SysResult {
    let len = buffer.len();
    sys!(SYS_read, fd, buffer, len)
}

/// `write`.
pub fn write(fd: i32, bytes: &[u8]) -> SysResult {
    sys!(SYS_write, fd, bytes, bytes.len())
}

/// `lseek`.
pub fn lseek(fd: i32, offset: i64, whence: i32) -> SysResult {
    sys!(SYS_lseek, fd, offset, whence)
}

/// `pipe2`: the reading and the writing end.
pub fn pipe(flags: i32) -> SysResult<(i32, i32)> {
    let mut fds = [0i32; 2];
    sys!(SYS_pipe2, &mut fds, flags)?;
    Ok((fds[0], fds[1]))
}

/// `fcntl` with a number.
pub fn fcntl(fd: i32, command: i32, argument: i64) -> SysResult {
    sys!(SYS_fcntl, fd, command, argument)
}

/// `mkdir`.
pub fn mkdir(path: &str, mode: u32) -> SysResult<()> {
    sys!(SYS_mkdir, &cstr(path), mode).map(drop)
}

/// `unlink`.
pub fn unlink(path: &str) -> SysResult<()> {
    sys!(SYS_unlink, &cstr(path)).map(drop)
}

/// `rmdir`.
pub fn rmdir(path: &str) -> SysResult<()> {
    sys!(SYS_rmdir, &cstr(path)).map(drop)
}

/// `rename`.
pub fn rename(from: &str, to: &str) -> SysResult<()> {
    sys!(SYS_rename, &cstr(from), &cstr(to)).map(drop)
}

/// `symlink`.
pub fn symlink(target: &str, path: &str) -> SysResult<()> {
    sys!(SYS_symlink, &cstr(target), &cstr(path)).map(drop)
}

/// `link`.
pub fn link(from: &str, to: &str) -> SysResult<()> {
    sys!(SYS_link, &cstr(from), &cstr(to)).map(drop)
}

/// `chmod`.
pub fn chmod(path: &str, mode: u32) -> SysResult<()> {
    sys!(SYS_chmod, &cstr(path), mode).map(drop)
}

/// `chdir`.
pub fn chdir(path: &str) -> SysResult<()> {
    sys!(SYS_chdir, &cstr(path)).map(drop)
}

/// `stat`.
pub fn stat(path: &str) -> SysResult<libc::stat> {
    let mut stat = zeroed::<libc::stat>();
    sys!(SYS_stat, &cstr(path), &mut stat)?;
    Ok(stat)
}

/// `lstat`.
pub fn lstat(path: &str) -> SysResult<libc::stat> {
    let mut stat = zeroed::<libc::stat>();
    sys!(SYS_lstat, &cstr(path), &mut stat)?;
    Ok(stat)
}

/// `fstat`.
pub fn fstat(fd: i32) -> SysResult<libc::stat> {
    let mut stat = zeroed::<libc::stat>();
    sys!(SYS_fstat, fd, &mut stat)?;
    Ok(stat)
}

/// `getpid`.
pub fn getpid() -> i32 {
    sys!(SYS_getpid).map_or(-1, |pid| pid as i32)
}

/// `gettid`.
pub fn gettid() -> i32 {
    sys!(SYS_gettid).map_or(-1, |tid| tid as i32)
}

/// `getppid`.
pub fn getppid() -> i32 {
    sys!(SYS_getppid).map_or(-1, |pid| pid as i32)
}

/// `geteuid`.
pub fn geteuid() -> u32 {
    sys!(SYS_geteuid).map_or(u32::MAX, |uid| uid as u32)
}

/// `kill`.
pub fn kill(pid: i32, signal: i32) -> SysResult<()> {
    sys!(SYS_kill, pid, signal).map(drop)
}

/// Gives up root for good: no groups, and all ids `id`.
pub fn become_user(id: u32) -> SysResult<()> {
    sys!(SYS_setgroups, 0, 0)?;
    sys!(SYS_setresgid, id, id, id)?;
    sys!(SYS_setresuid, id, id, id)?;
    Ok(())
}

/// `wait4` for one child, whatever it takes; the wait status.
pub fn wait_for(pid: i32) -> SysResult<i32> {
    let mut status = 0i32;
    loop {
        match sys!(SYS_wait4, pid, &mut status, libc::__WALL, 0) {
            Ok(_) => return Ok(status),
            Err(errno) if errno.0 == libc::EINTR => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The exit code, if the wait status says that the process exited.
pub fn exit_code(status: i32) -> Option<i32> {
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

/// The signal, if the wait status says that one killed the process.
pub fn term_signal(status: i32) -> Option<i32> {
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

/// `execve`; comes back only with an error.
pub fn execve(path: &str, argv: &[&str], envp: &[&str]) -> SysResult {
    let (argv, envp) = (CStrings::new(argv), CStrings::new(envp));
    sys!(SYS_execve, &cstr(path), argv.pointers(), envp.pointers())
}

/// `clock_gettime` in nanoseconds.
pub fn now(clock: i32) -> SysResult<i64> {
    let mut time = zeroed::<libc::timespec>();
    sys!(SYS_clock_gettime, clock, &mut time)?;
    Ok(time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

/// A `timespec` from nanoseconds.
pub fn timespec(nanoseconds: i64) -> libc::timespec {
    libc::timespec {
        tv_sec: nanoseconds.div_euclid(1_000_000_000),
        tv_nsec: nanoseconds.rem_euclid(1_000_000_000),
    }
}

/// A `pollfd`.
pub fn pollfd(fd: i32, events: i16) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

/// `poll` on one descriptor, without waiting; the events it has.
pub fn ready(fd: i32, events: i16) -> SysResult<i16> {
    let mut one = [pollfd(fd, events)];
    sys!(SYS_poll, &mut one, 1, 0)?;
    Ok(one[0].revents)
}
