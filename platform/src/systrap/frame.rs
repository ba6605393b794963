//! What a stopped thread has published: the signal frame that the host made in its area.
//!
//! All of it may have been changed by hostile guest code. Nothing read here is trusted further
//! than the guest's own registers are.

use super::layout::*;
use super::shared::Block;
use crate::stubs::regs::syscall;
use crate::{Access, Event, Registers};

// Offsets in siginfo_t.
const SIGNO: usize = 0;
const CODE_AND_PADDING: usize = 8;
const ADDR: usize = 16;
const SYSCALL_AND_ARCH: usize = 24;

// Offsets in ucontext_t; the general registers in the order of <sys/ucontext.h>.
const GREGS: usize = 40;
const FPSTATE: usize = GREGS + 23 * 8;
const UCONTEXT_LEN: usize = FPSTATE + 8;

const SYS_SECCOMP: i32 = 1;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const PAGE_FAULT: u64 = 14;
const ERROR_WRITE: u64 = 2;
const ERROR_FETCH: u64 = 16;
/// SEGV_MAPERR, SEGV_ACCERR, SEGV_PKUERR.
const SEGV_CODES: std::ops::RangeInclusive<i32> = 1..=4;
const BUS_ADRERR: i32 = 2;

/// An offset in the area, from an address in the stub; None if `len` bytes do not fit there.
fn offset(address: u64, area: u64, len: usize) -> Option<usize> {
    let offset = address.checked_sub(area)?;
    (offset >= HEADER_LEN as u64 && offset + len as u64 <= AREA_LEN as u64)
        .then_some(offset as usize)
}

/// Reads registers and cause of a stop for a signal. None: nothing for the kernel, or nonsense.
/// `xstate` becomes the offset of the vector state.
pub(super) fn decode(
    area: Block<'_>,
    address: u64,
    regs: &mut Registers,
    xstate: &mut usize,
) -> Option<Event> {
    let info = offset(area.get64(SIGINFO), address, 128)?;
    let context = offset(area.get64(UCONTEXT), address, UCONTEXT_LEN)?;
    let greg = |index: usize| area.get64(context + GREGS + index * 8);
    *regs = Registers {
        r8: greg(0),
        r9: greg(1),
        r10: greg(2),
        r11: greg(3),
        r12: greg(4),
        r13: greg(5),
        r14: greg(6),
        r15: greg(7),
        rdi: greg(8),
        rsi: greg(9),
        rbp: greg(10),
        rbx: greg(11),
        rdx: greg(12),
        rax: greg(13),
        rcx: greg(14),
        rsp: greg(15),
        rip: greg(16),
        eflags: greg(17),
        fs_base: area.get64(FS_BASE),
        gs_base: area.get64(GS_BASE),
        ..*regs
    };
    let (error, trap) = (greg(19), greg(20));
    *xstate = offset(area.get64(context + FPSTATE), address, crate::vector_size())
        .filter(|offset| offset % 64 == 0)
        .unwrap_or(FIRST_XSTATE);
    let signal = area.get64(info + SIGNO) as i32;
    let code = area.get64(info + CODE_AND_PADDING) as i32;
    let addr = area.get64(info + ADDR);
    if code <= 0 {
        // A kick, or a signal that a process of the host sent.
        return None;
    }
    let access = match error {
        _ if trap != PAGE_FAULT => Access::Unknown,
        _ if error & ERROR_FETCH != 0 => Access::Execute,
        _ if error & ERROR_WRITE != 0 => Access::Write,
        _ => Access::Read,
    };
    match signal {
        libc::SIGSYS if code == SYS_SECCOMP => {
            let arch = (area.get64(info + SYSCALL_AND_ARCH) >> 32) as u32;
            Some(if arch == AUDIT_ARCH_X86_64 { syscall(regs) } else { Event::ForeignSyscall })
        }
        libc::SIGSEGV if SEGV_CODES.contains(&code) => {
            Some(Event::Fault { addr, access, bus: false })
        }
        libc::SIGBUS if code == BUS_ADRERR => Some(Event::Fault { addr, access, bus: true }),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => {
            Some(Event::Exception { signal, code, addr })
        }
        _ => None,
    }
}
