//! ptrace(2) and wait4(2), as safe functions over thread ids.
//!
//! A thread id that is not a stopped tracee of the calling host thread gives ESRCH, so none of
//! these can touch anything but tracees.

use crate::Registers;
pub(super) use crate::stubs::threads::{KICK, current_cpu, current_thread, kick, set_affinity};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

const NT_X86_XSTATE: usize = 0x202;

/// Why a tracee stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Entry of a system call (PTRACE_SYSEMU).
    Syscall,
    /// A signal is about to be delivered.
    Signal(i32),
    /// PTRACE_EVENT_*.
    Event(i32),
    /// It does not stop any more: it has ended and is reaped.
    Gone,
}

/// What matters of `siginfo_t`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignalInfo {
    pub(super) code: i32,
    pub(super) addr: u64,
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A request whose `addr` and `data` are plain numbers.
fn request(request: u32, tid: i32, addr: usize, data: usize) -> io::Result<()> {
    // SAFETY: the raw call, with requests for which the kernel takes `data` as a number: it
    // touches no memory of ours.
    check(unsafe { libc::syscall(libc::SYS_ptrace, request as usize, tid, addr, data) }).map(drop)
}

/// PTRACE_SEIZE with options.
pub(super) fn seize(tid: i32, options: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, options as usize)
}

/// PTRACE_INTERRUPT.
pub(super) fn interrupt(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// PTRACE_CONT, swallowing the signal it stopped for.
pub(super) fn resume(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, 0)
}

/// PTRACE_SYSEMU, swallowing the signal it stopped for.
pub(super) fn resume_emulated(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_SYSEMU, tid, 0, 0)
}

/// PTRACE_GETREGS.
pub(super) fn get_regs(tid: i32, regs: &mut Registers) -> io::Result<()> {
    let data: *mut Registers = regs;
    // SAFETY: the kernel writes one user_regs_struct, which is what Registers is (repr(C), the
    // same fields in the same order), to memory we hold exclusively.
    check(unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_GETREGS as usize, tid, 0, data) })
        .map(drop)
}

/// PTRACE_SETREGS.
pub(super) fn set_regs(tid: i32, regs: &Registers) -> io::Result<()> {
    let data: *const Registers = regs;
    // SAFETY: the kernel reads one user_regs_struct.
    check(unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_SETREGS as usize, tid, 0, data) })
        .map(drop)
}

/// PTRACE_GETREGSET NT_X86_XSTATE.
pub(super) fn get_xstate(tid: i32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; crate::vector_size()];
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let data: *mut libc::iovec = &mut iov;
    // SAFETY: the kernel writes at most iov_len bytes to the buffer and the length to iov; both
    // live until the call returns.
    check(unsafe {
        let op = libc::PTRACE_GETREGSET as usize;
        libc::syscall(libc::SYS_ptrace, op, tid, NT_X86_XSTATE, data)
    })?;
    bytes.truncate(iov.iov_len);
    Ok(bytes)
}

/// PTRACE_SETREGSET NT_X86_XSTATE.
pub(super) fn set_xstate(tid: i32, bytes: &[u8]) -> io::Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let data: *mut libc::iovec = &mut iov;
    // SAFETY: the kernel only reads the iov_len bytes (the pointer is mutable by its type alone).
    check(unsafe {
        let op = libc::PTRACE_SETREGSET as usize;
        libc::syscall(libc::SYS_ptrace, op, tid, NT_X86_XSTATE, data)
    })
    .map(drop)
}

/// PTRACE_GETSIGINFO.
pub(super) fn signal_info(tid: i32) -> io::Result<SignalInfo> {
    // SAFETY: siginfo_t is plain data, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let data: *mut libc::siginfo_t = &mut info;
    // SAFETY: the kernel writes one siginfo_t.
    check(unsafe {
        libc::syscall(libc::SYS_ptrace, libc::PTRACE_GETSIGINFO as usize, tid, 0, data)
    })?;
    // SAFETY: reading the address member of the union of plain integers; for signals without one
    // it is some other number, and nobody follows it.
    let addr = unsafe { info.si_addr() }.addr() as u64;
    Ok(SignalInfo { code: info.si_code, addr })
}

/// Whether the system call that the tracee stopped for came by the 64-bit `syscall` entry
/// (PTRACE_GET_SYSCALL_INFO).
pub(super) fn is_native_syscall(tid: i32) -> io::Result<bool> {
    const PTRACE_GET_SYSCALL_INFO: usize = 0x420e;
    const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
    // struct ptrace_syscall_info: op (1 byte), padding, then arch at offset 4.
    let mut info = [0u32; 32];
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes to the array.
    check(unsafe {
        libc::syscall(libc::SYS_ptrace, PTRACE_GET_SYSCALL_INFO, tid, size, info.as_mut_ptr())
    })?;
    Ok(info[1] == AUDIT_ARCH_X86_64)
}

/// Waits for the next stop of one tracee (wait4 with __WALL).
pub(super) fn wait(tid: i32) -> io::Result<Stop> {
    let mut status = 0;
    let data: *mut i32 = &mut status;
    loop {
        // SAFETY: the kernel writes one int.
        match check(unsafe { libc::syscall(libc::SYS_wait4, tid, data, libc::__WALL, 0) }) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Stop::Gone),
            Err(error) => return Err(error),
        }
    }
    if !libc::WIFSTOPPED(status) {
        return Ok(Stop::Gone);
    }
    Ok(match (status >> 16, libc::WSTOPSIG(status)) {
        (0, signal) if signal == libc::SIGTRAP | 0x80 => Stop::Syscall,
        (0, signal) => Stop::Signal(signal),
        (event, _) => Stop::Event(event),
    })
}

/// kill(2) with SIGKILL. An error means that the process is gone, which is fine.
pub(super) fn kill(pid: i32) {
    // SAFETY: two numbers.
    unsafe { libc::syscall(libc::SYS_kill, pid, libc::SIGKILL) };
}

/// Waits until `fd` can be read from (true), or `end` is closed (false).
pub(super) fn wait_readable(fd: &impl AsRawFd, end: &impl AsRawFd) -> io::Result<bool> {
    let entry = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut fds = [entry(fd.as_raw_fd()), entry(end.as_raw_fd())];
    loop {
        // SAFETY: a live array of that length; null pointers mean no timeout and no mask.
        let ready = unsafe {
            libc::ppoll(fds.as_mut_ptr(), fds.len() as u64, std::ptr::null(), std::ptr::null())
        };
        match check(ready.into()) {
            Ok(_) => return Ok(fds[1].revents == 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
