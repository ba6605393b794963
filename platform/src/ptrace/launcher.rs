//! The launcher: the process that all stubs are copies of.
//!
//! It is a child of the sentry that shares the sentry's descriptor table, so that any descriptor
//! can be mapped in any stub and none is ever passed. It is made while the sentry still has its
//! rights, gives up its own, unmaps all that it inherited, and is only ever driven by ptrace.

use super::stub::{self, CODE, END, ORDERS, USER_END};
use super::tracee::Tracee;
use super::{stub_filter, sys};
use crate::PAGE_SIZE;
use std::ffi::c_void;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// Enough for two small functions that only make system calls.
const STACK_LEN: usize = 64 * 1024;
/// How long the launcher may take to start, in milliseconds.
const START_TIMEOUT: i32 = 30_000;

/// What the new process needs to know. All of it is made before: after the clone it may not
/// allocate, for another thread may have held the allocator's lock.
struct Plan {
    code: &'static [u8],
    orders: RawFd,
    report: RawFd,
    parent: i32,
    /// Filled in by the first process: the id of the second, or a negative error number.
    launcher: i32,
}

/// Makes the launcher, traced by the calling host thread. `orders` is the file of orders pages, of
/// which it takes the first.
///
/// The calling thread must live as long as the launcher shall: the host kills the launcher when
/// its parent *thread* ends.
pub(super) fn start(orders: &File) -> io::Result<Tracee> {
    let (mut report, report_to) = io::pipe()?;
    let mut plan = Plan {
        code: stub::code(),
        orders: orders.as_raw_fd(),
        report: report_to.as_raw_fd(),
        parent: std::process::id() as i32,
        launcher: 0,
    };
    let mut stack = vec![0u8; STACK_LEN];
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top.addr() % 16).cast::<c_void>();
    // Two steps. The first process shares our memory, and the kernel drops its rseq registration
    // for that; the second inherits that it has none. (A registration left over would make the
    // kernel write into memory that the stub has unmapped.)
    //
    // SIGCHLD is handed on by CLONE_PARENT, to the launcher and to every stub: see `watch`.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
    let arg = (&raw mut plan).cast::<c_void>();
    // SAFETY: `first` runs on its own stack while this thread sleeps (CLONE_VFORK), so it has
    // `plan` to itself; it only makes system calls and then exits.
    let first = unsafe { libc::clone(first, top, flags, arg) };
    if first < 0 {
        return Err(io::Error::last_os_error());
    }
    sys::wait(first)?;
    // SAFETY: `plan` is a live local; read afresh because the other process wrote it.
    let pid = unsafe { (&raw const plan.launcher).read_volatile() };
    if pid <= 0 {
        return Err(io::Error::from_raw_os_error(-pid));
    }
    let launcher = wait_for_report(&mut report)
        .and_then(|()| Tracee::attach(pid, pid, libc::PTRACE_O_TRACECLONE))
        .and_then(|tracee| confine(tracee, orders).map(|()| tracee));
    if launcher.is_err() {
        sys::kill(pid);
        let _ = sys::wait(pid);
    }
    launcher
}

/// The launcher writes a step and an error number, or zeros when it is ready. (There is no end of
/// file to wait for: it shares our descriptors, the pipe's other end included.)
fn wait_for_report(report: &mut PipeReader) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: report.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, live.
    if unsafe { libc::poll(&raw mut poll, 1, START_TIMEOUT) } <= 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the stub launcher did not start"));
    }
    let mut words = [0; 8];
    report.read_exact(&mut words)?;
    let [step, .., errno, _, _, _] = words;
    match step {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("stub launcher: step {step}, error {errno}"))),
    }
}

/// From within the stub code: unmap everything else, then install the filter.
fn confine(launcher: Tracee, orders: &File) -> io::Result<()> {
    const SPEC_ALLOW: u64 = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    const FPROG: u64 = 1024;
    let (len, filter) = stub_filter::program()?;
    // struct sock_fprog: a 16-bit length, padding, a pointer.
    let mut fprog = (len as u64).to_le_bytes().to_vec();
    fprog.extend_from_slice(&(ORDERS + FPROG + 16).to_le_bytes());
    fprog.extend_from_slice(&filter);
    if FPROG as usize + fprog.len() > PAGE_SIZE as usize {
        return Err(io::Error::other("the stub filter is too long"));
    }
    orders.write_all_at(&fprog, FPROG)?;
    launcher.call(libc::SYS_munmap, [0, CODE, 0, 0, 0, 0])?;
    launcher.call(libc::SYS_munmap, [END, USER_END - END, 0, 0, 0, 0])?;
    let mode = u64::from(libc::SECCOMP_SET_MODE_FILTER);
    // SPEC_ALLOW: there is no secret in a stub that speculation could reveal to its guest, and
    // the mitigation that old kernels tie to seccomp would slow the guest's own code down.
    launcher.call(libc::SYS_seccomp, [mode, SPEC_ALLOW, ORDERS + FPROG, 0, 0, 0])?;
    Ok(())
}

/// The first process: makes the second and exits.
extern "C" fn first(plan: *mut c_void) -> libc::c_int {
    // SAFETY: `start` passes its plan and sleeps. Only system calls from here on; libc's errno is
    // that of the sleeping thread, which reads it no more.
    unsafe {
        let plan = &mut *plan.cast::<Plan>();
        // CLONE_PARENT: the sentry's thread is the launcher's parent.
        let flags = libc::CLONE_FILES | libc::CLONE_PARENT;
        let pid = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if pid == 0 {
            second(plan);
        }
        plan.launcher = if pid < 0 { -*libc::__errno_location() } else { pid as i32 };
        libc::syscall(libc::SYS_exit, 0);
    }
    0
}

/// The second process: the launcher.
///
/// # Safety
/// To be called only in a new process with memory of its own.
unsafe fn second(plan: &Plan) -> ! {
    // SAFETY: a new process, single-threaded; its memory is a copy that nobody else uses, so
    // mapping over any of it hurts nobody: of what it inherited it uses this code, this stack and
    // the plan, all far from the top megabyte of the address space, where the stub goes.
    unsafe {
        let (step, errno) = match prepare(plan) {
            Ok(()) => (0, 0),
            Err(step) => (step, *libc::__errno_location()),
        };
        let words = [step, errno];
        libc::syscall(libc::SYS_write, plan.report, words.as_ptr(), size_of_val(&words));
        loop {
            // The sentry stops us here, or anywhere after the write: it sets all registers.
            libc::syscall(libc::SYS_pause);
        }
    }
}

/// Gives up rights and maps the stub. On error: which step; errno says why.
///
/// # Safety
/// As [`second`].
unsafe fn prepare(plan: &Plan) -> Result<(), i32> {
    // SAFETY: plain system calls on numbers and live locals, as the steps say; see `second` for
    // the two fixed mappings.
    unsafe {
        let check = |step: i32, result: i64| if result < 0 { Err(step) } else { Ok(()) };
        // No handler of ours may run in a process without our memory, and the sentry must see
        // every signal.
        let default = [0u64; 4];
        for signal in 1..=64 {
            let null = std::ptr::null::<c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), null, 8);
        }
        let none = 0u64;
        let null = std::ptr::null::<c_void>();
        let mask = &raw const none;
        check(1, libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, mask, null, 8))?;
        // No capability: also, the sentry may trace only what has no more of them than itself.
        const VERSION_3: u32 = 0x2008_0522;
        let (header, none) = ([VERSION_3, 0], [0u32; 6]);
        check(2, libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()))?;
        // Dumpable, whatever the sentry is: else it could not trace the stubs.
        check(3, libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
        check(4, libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let kill = libc::SIGKILL;
        check(5, libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, kill, 0, 0, 0))?;
        if libc::syscall(libc::SYS_getppid) != i64::from(plan.parent) {
            // The sentry died before the line above.
            libc::syscall(libc::SYS_exit_group, 1);
        }
        let page = PAGE_SIZE;
        let (code, orders) = (CODE, ORDERS);
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        check(6, libc::syscall(libc::SYS_mmap, code, page, writable, anonymous, -1, 0))?;
        let destination = std::ptr::with_exposed_provenance_mut::<u8>(CODE as usize);
        std::ptr::copy_nonoverlapping(plan.code.as_ptr(), destination, plan.code.len());
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        check(7, libc::syscall(libc::SYS_mprotect, code, page, executable))?;
        let shared = libc::MAP_SHARED | libc::MAP_FIXED;
        let (readable, fd) = (libc::PROT_READ, plan.orders);
        check(8, libc::syscall(libc::SYS_mmap, orders, page, readable, shared, fd, 0))
    }
}
