//! ioctl_tty(2) on the two sides of a pseudo-terminal.

use super::pty::{Pty, packet};
use crate::anon::FIONREAD;
use crate::tty::termios::{Char, Termio, Termios, Termios2, Winsize};
use crate::tty::{Through, job_control_ioctl};
use abi::signal::Signal;
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use vfs::OpenFile;

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCGETA: u32 = 0x5405;
const TCSETA: u32 = 0x5406;
const TCSETAW: u32 = 0x5407;
const TCSETAF: u32 = 0x5408;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCSPGRP: u32 = 0x5410;
const TIOCOUTQ: u32 = 0x5411;
const TIOCSTI: u32 = 0x5412;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCPKT: u32 = 0x5420;
const TIOCSETD: u32 = 0x5423;
const TIOCGETD: u32 = 0x5424;
const TCSBRKP: u32 = 0x5425;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;
const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;
const TIOCGDEV: u32 = 0x8004_5432;
const TIOCSIG: u32 = 0x4004_5436;
const TIOCGPKT: u32 = 0x8004_5438;
const TIOCGPTLCK: u32 = 0x8004_5439;

/// Through the master.
pub(super) fn master(
    pty: &Pty,
    file: &OpenFile,
    mm: &MemoryManager,
    cmd: u32,
    arg: u64,
) -> SysResult<u64> {
    let addr = UserAddr(arg);
    match cmd {
        TIOCGPTN => mm.write(addr, &pty.index())?,
        TIOCSPTLCK => {
            let lock: i32 = mm.read(addr)?;
            pty.with(|state, _| state.locked = lock != 0);
        }
        TIOCGPTLCK => mm.write(addr, &i32::from(pty.with(|state, _| state.locked)))?,
        TIOCPKT => {
            let on: i32 = mm.read(addr)?;
            pty.with(|state, _| {
                state.packet = on != 0;
                state.packet_status = 0;
            });
        }
        TIOCGPKT => mm.write(addr, &i32::from(pty.with(|state, _| state.packet)))?,
        TIOCSIG => {
            let signal = match arg as i32 {
                2 => Signal::SIGINT,
                3 => Signal::SIGQUIT,
                20 => Signal::SIGTSTP,
                _ => return Err(Errno::EINVAL),
            };
            pty.jobs().signal_foreground(signal);
        }
        FIONREAD => mm.write(addr, &count(pty.with(|state, _| state.line.output_len())))?,
        TCFLSH => {
            // The master's input is the terminal's output.
            let (input, output) = queues(arg)?;
            pty.with(|state, _| {
                if input {
                    state.line.flush_output();
                }
                if output {
                    state.flush_typed();
                }
            });
        }
        // It has no flow control of its own.
        TCXONC if arg < 4 => {}
        TCXONC => return Err(Errno::EINVAL),
        _ => return both(pty, file, mm, cmd, arg, true),
    }
    Ok(0)
}

/// Through the terminal. EIO where it is hung up.
pub(super) fn slave(
    pty: &Pty,
    file: &OpenFile,
    mm: &MemoryManager,
    cmd: u32,
    arg: u64,
) -> SysResult<u64> {
    if !pty.has_master() {
        return Err(if cmd == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO });
    }
    match cmd {
        FIONREAD => {
            let len = pty.with(|state, _| state.line.readable_len());
            mm.write(UserAddr(arg), &count(len))?;
        }
        TCFLSH => {
            let (input, output) = queues(arg)?;
            pty.jobs().check_access(Signal::SIGTTOU)?;
            pty.with(|state, events| {
                if input {
                    state.line.flush_input();
                    events.flushed_input = true;
                }
                if output {
                    state.line.flush_output();
                    events.flushed_output = true;
                }
            });
        }
        TCXONC => {
            pty.jobs().check_access(Signal::SIGTTOU)?;
            pty.with(|state, _| {
                match arg {
                    0 => state.line.stop_by_call(),
                    1 => state.line.start_by_call(),
                    // The character that asks the other side to stop, or to go on.
                    2 | 3 => {
                        let which = if arg == 2 { Char::Stop } else { Char::Start };
                        state.line.send(which);
                    }
                    _ => return Err(Errno::EINVAL),
                }
                Ok(())
            })?;
        }
        _ => return both(pty, file, mm, cmd, arg, false),
    }
    Ok(0)
}

/// What is the same on both sides: it is about the terminal.
fn both(
    pty: &Pty,
    file: &OpenFile,
    mm: &MemoryManager,
    cmd: u32,
    arg: u64,
    master: bool,
) -> SysResult<u64> {
    let through = Through { master, readable: file.flags().readable() };
    if let Some(result) = job_control_ioctl(pty.jobs(), mm, cmd, arg, through) {
        return result;
    }
    let addr = UserAddr(arg);
    let termios = || pty.with(|state, _| *state.line.termios());
    match cmd {
        TCGETS => mm.write(addr, &termios().base)?,
        TCGETS2 => mm.write(addr, &termios())?,
        TCGETA => mm.write(addr, &termios().to_termio())?,
        TCSETS | TCSETSW | TCSETSF => {
            let new: Termios = mm.read(addr)?;
            set(pty, cmd == TCSETSF, |old| old.with(new, None))?;
        }
        TCSETS2 | TCSETSW2 | TCSETSF2 => {
            let new: Termios2 = mm.read(addr)?;
            let speeds = Some((new.ispeed, new.ospeed));
            set(pty, cmd == TCSETSF2, |old| old.with(new.base, speeds))?;
        }
        TCSETA | TCSETAW | TCSETAF => {
            let new: Termio = mm.read(addr)?;
            set(pty, cmd == TCSETAF, |old| old.with_termio(&new))?;
        }
        TIOCGWINSZ => mm.write(addr, &pty.with(|state, _| state.winsize))?,
        TIOCSWINSZ => {
            let new: Winsize = mm.read(addr)?;
            pty.with(|state, events| {
                if std::mem::replace(&mut state.winsize, new) != new {
                    events.signals.push(Signal::SIGWINCH);
                }
            });
        }
        // Nothing is on the way: what is written is there at once.
        TIOCOUTQ => mm.write(addr, &0i32)?,
        TCSBRK | TCSBRKP => pty.jobs().check_access(Signal::SIGTTOU)?,
        // N_TTY is the only line discipline.
        TIOCGETD => mm.write(addr, &0i32)?,
        TIOCSETD => {
            let discipline: i32 = mm.read(addr)?;
            if discipline != 0 {
                return Err(Errno::EINVAL);
            }
        }
        TIOCGDEV => mm.write(addr, &(pty.rdev() as u32))?,
        // As with /proc/sys/dev/tty/legacy_tiocsti at 0.
        TIOCSTI => return Err(Errno::EIO),
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// New settings, from the old ones.
fn set(pty: &Pty, flush: bool, new: impl FnOnce(&Termios2) -> Termios2) -> SysResult<()> {
    pty.jobs().check_access(Signal::SIGTTOU)?;
    pty.with(|state, events| {
        if flush {
            state.line.flush_input();
            events.flushed_input = true;
        }
        let old = *state.line.termios();
        let new = new(&old);
        state.line.set_termios(new);
        let flow = new.base.has_plain_flow_control();
        if flow != old.base.has_plain_flow_control() {
            state.packet_status &= !(packet::DOSTOP | packet::NOSTOP);
            state.tell(if flow { packet::DOSTOP } else { packet::NOSTOP });
        }
    });
    Ok(())
}

/// Which queues TCFLSH is about: input and output.
fn queues(arg: u64) -> SysResult<(bool, bool)> {
    match arg {
        0 => Ok((true, false)),
        1 => Ok((false, true)),
        2 => Ok((true, true)),
        _ => Err(Errno::EINVAL),
    }
}

fn count(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}
