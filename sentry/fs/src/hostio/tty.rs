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
use crate::tty::termios::{
    Termios as KernelTermios, Termios2 as KernelTermios2, Winsize as KernelWinsize,
};
use abi::signal::Signal;
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use rustix::termios::{
    Action, ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex, Termios, Winsize, tcflow, tcflush, tcgetattr, tcgetwinsize, tcsendbreak,
    tcsetattr, tcsetwinsize,
};
use std::os::fd::BorrowedFd;

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCSTI: u32 = 0x5412;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TCSBRKP: u32 = 0x5425;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;

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
    let check_write = || console.map_or(Ok(()), |console| console.check_access(Signal::SIGTTOU));
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
    use super::super::HostFile;
    use super::*;
    use abi::file::PollEvents;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;
    use wait::Waiter;

    /// The two sides of a pseudo-terminal: the master, and the terminal.
    fn pseudo_terminal() -> (File, File) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let master = master.unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let terminal = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        (master.into(), terminal.into())
    }

    #[test]
    fn the_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<KernelTermios>(), 36);
        assert_eq!(size_of::<KernelTermios2>(), 44);
        assert_eq!(size_of::<KernelWinsize>(), 8);
    }

    #[test]
    fn settings_make_the_round_trip() {
        let (_master, terminal) = pseudo_terminal();
        let fd = terminal.as_fd();
        let mut wanted = to_kernel(&tcgetattr(fd).unwrap());
        const ECHO: u32 = 0o10;
        assert_ne!(wanted.lflag & ECHO, 0);
        wanted.lflag &= !ECHO;
        wanted.cc[0] = 7;
        wanted.cc[6] = 3;
        set(fd, &wanted, None, true).unwrap();
        assert_eq!(to_kernel(&tcgetattr(fd).unwrap()), wanted);
        set(fd, &wanted, Some((9600, 9600)), false).unwrap();
        assert_eq!(tcgetattr(fd).unwrap().output_speed(), 9600);
    }

    #[test]
    fn a_line_is_read_and_a_console_shared() {
        let (mut master, terminal) = pseudo_terminal();
        let console = Console::new(terminal.try_clone().unwrap().into()).unwrap();
        let stdin = HostFile::with_console(terminal.into(), console.clone()).unwrap();
        let file = stdin.open_file(0, 5);
        assert!(stdin.is_tty());
        let attr = file.path().inode().attr().unwrap();
        assert_eq!((attr.mode & 0o170000, attr.rdev), (0o020000, crate::dev::console_rdev()));
        assert_eq!(file.read(&mut [0; 8]), Err(Errno::EAGAIN));
        let waiter = Waiter::new();
        let queue = file.ops().wait_queue().unwrap();
        let registration = queue.register(PollEvents::IN.bits(), waiter.clone());
        assert!(!file.poll().contains(PollEvents::IN));
        master.write_all(b"hi\n").unwrap();
        while !file.poll().contains(PollEvents::IN) {
            waiter.wait(None);
        }
        drop(registration);
        let mut buf = [0; 8];
        assert_eq!(file.read(&mut buf), Ok(3));
        assert_eq!(&buf[..3], b"hi\n");
        let other = console.open_host_file().open_file(0, 5);
        assert_eq!(other.write(b"out"), Ok(3));
    }
}
