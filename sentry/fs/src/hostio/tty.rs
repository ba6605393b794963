//! ioctl_tty(2) on a host terminal.
//!
//! Host calls: TCGETS2, TCSETS2 (and TCGETS, TCSETS on old hosts), TCSBRK, TCXONC, TCFLSH,
//! TIOCGWINSZ, TIOCSWINSZ, FIONREAD. Nothing else is passed on: TIOCSTI above all, by which a guest
//! would type into the terminal of whoever started it.
//!
//! None of them waits for output to drain, which could take for ever while the terminal is stopped:
//! what was written is with the host's terminal already, so what "drain" is to order is in order.

use super::console::Console;
use super::host_error;
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use rustix::termios::{
    Action, ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex, Termios, Winsize, tcflow, tcflush, tcgetattr, tcgetwinsize, tcsendbreak,
    tcsetattr, tcsetwinsize,
};
use std::os::fd::BorrowedFd;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCSTI: u32 = 0x5412;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCNOTTY: u32 = 0x5422;
const TCSBRKP: u32 = 0x5425;
const TIOCGSID: u32 = 0x5429;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;

/// The kernel's `struct termios`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct KernelTermios {
    iflag: u32,
    oflag: u32,
    cflag: u32,
    lflag: u32,
    line: u8,
    cc: [u8; 19],
}

/// `struct termios2`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct KernelTermios2 {
    base: KernelTermios,
    ispeed: u32,
    ospeed: u32,
}

/// `struct winsize`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct KernelWinsize {
    row: u16,
    col: u16,
    xpixel: u16,
    ypixel: u16,
}

/// The order of `c_cc`; its last two places are unused.
const CONTROL_CHARACTERS: [SpecialCodeIndex; 17] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VTIME,
    SpecialCodeIndex::VMIN,
    SpecialCodeIndex::VSWTC,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VDISCARD,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
    SpecialCodeIndex::VEOL2,
];

fn to_kernel(termios: &Termios) -> KernelTermios {
    let mut cc = [0; 19];
    for (out, index) in cc.iter_mut().zip(CONTROL_CHARACTERS) {
        *out = termios.special_codes[index];
    }
    KernelTermios {
        iflag: termios.input_modes.bits(),
        oflag: termios.output_modes.bits(),
        cflag: termios.control_modes.bits(),
        lflag: termios.local_modes.bits(),
        line: termios.line_discipline,
        cc,
    }
}

fn apply(termios: &mut Termios, new: &KernelTermios) {
    termios.input_modes = InputModes::from_bits_retain(new.iflag);
    termios.output_modes = OutputModes::from_bits_retain(new.oflag);
    termios.control_modes = ControlModes::from_bits_retain(new.cflag);
    termios.local_modes = LocalModes::from_bits_retain(new.lflag);
    // The line discipline is changed by TIOCSETD only.
    for (value, index) in new.cc.iter().zip(CONTROL_CHARACTERS) {
        termios.special_codes[index] = *value;
    }
}

/// An ioctl on the terminal `fd`.
pub(super) fn ioctl(
    fd: BorrowedFd<'_>,
    console: Option<&Console>,
    mm: &MemoryManager,
    cmd: u32,
    arg: u64,
) -> SysResult<u64> {
    let addr = UserAddr(arg);
    let check_write = || console.map_or(Ok(()), |console| console.check_access(true));
    let jobs = || console.ok_or(Errno::ENOTTY)?.job_control();
    match cmd {
        TCGETS => {
            let termios = tcgetattr(fd).map_err(host_error)?;
            mm.write(addr, &to_kernel(&termios))?;
        }
        TCGETS2 => {
            let termios = tcgetattr(fd).map_err(host_error)?;
            let (ispeed, ospeed) = (termios.input_speed(), termios.output_speed());
            mm.write(addr, &KernelTermios2 { base: to_kernel(&termios), ispeed, ospeed })?;
        }
        TCSETS | TCSETSW | TCSETSF => {
            let new: KernelTermios = mm.read(addr)?;
            check_write()?;
            set(fd, &new, None, cmd == TCSETSF)?;
        }
        TCSETS2 | TCSETSW2 | TCSETSF2 => {
            let new: KernelTermios2 = mm.read(addr)?;
            check_write()?;
            set(fd, &new.base, Some((new.ispeed, new.ospeed)), cmd == TCSETSF2)?;
        }
        TIOCGWINSZ => {
            let size = tcgetwinsize(fd).map_err(host_error)?;
            let (xpixel, ypixel) = (size.ws_xpixel, size.ws_ypixel);
            mm.write(addr, &KernelWinsize { row: size.ws_row, col: size.ws_col, xpixel, ypixel })?;
        }
        TIOCSWINSZ => {
            let new: KernelWinsize = mm.read(addr)?;
            let (ws_row, ws_col) = (new.row, new.col);
            let (ws_xpixel, ws_ypixel) = (new.xpixel, new.ypixel);
            let size = Winsize { ws_row, ws_col, ws_xpixel, ws_ypixel };
            tcsetwinsize(fd, size).map_err(host_error)?;
        }
        TCFLSH => {
            check_write()?;
            let queue = match arg {
                0 => QueueSelector::IFlush,
                1 => QueueSelector::OFlush,
                2 => QueueSelector::IOFlush,
                _ => return Err(Errno::EINVAL),
            };
            tcflush(fd, queue).map_err(host_error)?;
        }
        TCXONC => {
            check_write()?;
            let action = match arg {
                0 => Action::OOff,
                1 => Action::OOn,
                2 => Action::IOff,
                3 => Action::IOn,
                _ => return Err(Errno::EINVAL),
            };
            tcflow(fd, action).map_err(host_error)?;
        }
        TCSBRK | TCSBRKP => {
            check_write()?;
            // An argument means tcdrain(3).
            if arg == 0 {
                tcsendbreak(fd).map_err(host_error)?;
            }
        }
        crate::anon::FIONREAD => {
            let count = rustix::io::ioctl_fionread(fd).map_err(host_error)?;
            mm.write(addr, &i32::try_from(count).unwrap_or(i32::MAX))?;
        }
        TIOCGPGRP => mm.write(addr, &jobs()?.foreground_pgrp()?)?,
        TIOCSPGRP => {
            let jobs = jobs()?;
            let pgrp: i32 = mm.read(addr)?;
            jobs.check_access(true)?;
            jobs.set_foreground_pgrp(pgrp)?;
        }
        TIOCGSID => mm.write(addr, &jobs()?.session()?)?,
        TIOCSCTTY => jobs()?.acquire(arg == 1)?,
        TIOCNOTTY => jobs()?.release()?,
        // As with /proc/sys/dev/tty/legacy_tiocsti at 0.
        TIOCSTI => return Err(Errno::EIO),
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn set(
    fd: BorrowedFd<'_>,
    new: &KernelTermios,
    speeds: Option<(u32, u32)>,
    flush: bool,
) -> SysResult<()> {
    let mut termios = tcgetattr(fd).map_err(host_error)?;
    apply(&mut termios, new);
    if let Some((input, output)) = speeds
        && (input, output) != (termios.input_speed(), termios.output_speed())
    {
        termios.set_output_speed(output).map_err(host_error)?;
        termios.set_input_speed(input).map_err(host_error)?;
    }
    if flush {
        tcflush(fd, QueueSelector::IFlush).map_err(host_error)?;
    }
    tcsetattr(fd, OptionalActions::Now, &termios).map_err(host_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<KernelTermios>(), 36);
        assert_eq!(size_of::<KernelTermios2>(), 44);
        assert_eq!(size_of::<KernelWinsize>(), 8);
    }
}
