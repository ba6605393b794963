//! Pseudo-terminals: pty(7), ioctl_tty(2), termios(3). Their job control is in `pty_jobs.rs`.

use crate::calls::{self, close, open, pipe, read, ready, write};
use crate::case::{Case, Outcome, child, reap, until, until_asleep};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "pty";
    ptmx_makes_a_terminal: "opening /dev/ptmx gives a number, and a node of that name once unlocked";
    peer_is_opened_through_the_master: "TIOCGPTPEER opens the terminal without its name";
    node_goes_with_the_master: "the node is gone when the master is closed";
    terminal_has_settings: "TCGETS tells terminals from other files";
    settings_are_shared: "what the terminal sets, the master sees";
    line_is_echoed_and_read: "a line that is typed is echoed, and read as one";
    nothing_to_read_before_newline: "half a line cannot be read";
    return_is_newline: "ICRNL makes a newline of the return key";
    erase_and_kill_edit: "VERASE and VKILL take back what was typed";
    end_of_file_ends_a_read: "VEOF gives the line so far, or the end of the file";
    long_line_is_read_in_parts: "a short read leaves the rest of the line";
    raw_mode_passes_everything: "without ICANON, ISIG and ECHO bytes pass as they are";
    vmin_is_waited_for: "poll and read wait for VMIN bytes";
    vtime_ends_a_read: "VTIME ends a read with nothing";
    newlines_are_shown_as_two: "ONLCR shows a newline as return and newline";
    output_is_stopped_and_started: "^S stops output, ^Q starts it";
    flush_forgets_input: "TCFLSH forgets what was typed";
    closed_terminal_is_eio: "the master reads what was left, then EIO, until it is opened again";
    packets_tell_of_flow_control: "packet mode marks data and tells of stops and flushes";
}

const TIOCGPTPEER: u32 = 0x5441;
const TIOCGPTLCK: u32 = 0x8004_5439;

/// A pseudo-terminal, both sides open.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub master: i32,
    pub terminal: i32,
    pub index: u32,
}

fn master() -> Outcome<(i32, u32)> {
    let master = open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0)?;
    let mut index = u32::MAX;
    sys!(SYS_ioctl, master, libc::TIOCGPTN, &mut index)?;
    Ok((master, index))
}

fn unlock(master: i32) -> Outcome {
    sys!(SYS_ioctl, master, libc::TIOCSPTLCK, &0i32)?;
    Ok(())
}

pub(super) fn name(index: u32) -> String {
    format!("/dev/pts/{index}")
}

pub(super) fn pair() -> Outcome<Pair> {
    let (master, index) = master()?;
    unlock(master)?;
    let terminal = open(&name(index), libc::O_RDWR | libc::O_NOCTTY, 0)?;
    Ok(Pair { master, terminal, index })
}

/// The kernel's `struct termios`, as bytes.
pub(super) struct Settings([u32; 9]);

const IFLAG: usize = 0;
const OFLAG: usize = 1;
pub(super) const LFLAG: usize = 3;

impl Settings {
    pub fn of(fd: i32) -> Outcome<Settings> {
        let mut words = [0u32; 9];
        sys!(SYS_ioctl, fd, libc::TCGETS, &mut words)?;
        Ok(Settings(words))
    }

    fn without(mut self, word: usize, flags: u32) -> Settings {
        self.0[word] &= !flags;
        self
    }

    pub fn with(mut self, word: usize, flags: u32) -> Settings {
        self.0[word] |= flags;
        self
    }

    /// A control character: they begin after four words and a byte.
    fn char(mut self, which: usize, value: u8) -> Settings {
        let at = 17 + which;
        let mut bytes = self.0[at / 4].to_ne_bytes();
        bytes[at % 4] = value;
        self.0[at / 4] = u32::from_ne_bytes(bytes);
        self
    }

    pub fn apply(&self, fd: i32) -> Outcome {
        sys!(SYS_ioctl, fd, libc::TCSETS, &self.0)?;
        Ok(())
    }
}

pub(super) fn set_raw(fd: i32, min: u8, time: u8) -> Outcome {
    let raw = Settings::of(fd)?.without(LFLAG, u32::MAX).without(OFLAG, 1).without(IFLAG, u32::MAX);
    raw.char(libc::VMIN, min).char(libc::VTIME, time).apply(fd)
}

/// Reads just `expected`, however it comes.
#[track_caller]
pub(super) fn expect(fd: i32, expected: &[u8]) -> Outcome {
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let mut buffer = [0; 64];
        let wanted = (expected.len() - got.len()).min(64);
        let count = read(fd, &mut buffer[..wanted])?;
        check!(count > 0, "{expected:?}, got the end of the file after {got:?}");
        got.extend_from_slice(&buffer[..count]);
    }
    check_eq!(got, expected, "what is read");
    Ok(())
}

/// One read.
#[track_caller]
pub(super) fn expect_read(fd: i32, expected: &[u8]) -> Outcome {
    let mut buffer = [0; 100];
    let count = read(fd, &mut buffer)?;
    check_eq!(buffer[..count], *expected, "one read");
    Ok(())
}

fn nonblocking(fd: i32) -> Outcome {
    calls::fcntl(fd, libc::F_SETFL, i64::from(libc::O_RDWR | libc::O_NONBLOCK))?;
    Ok(())
}

fn link_of(fd: i32) -> Outcome<String> {
    Ok(std::fs::read_link(format!("/proc/self/fd/{fd}"))?.to_string_lossy().into_owned())
}

fn ptmx_makes_a_terminal(_: &mut Case) -> Outcome {
    let (master, index) = master()?;
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let mut locked = 0i32;
    sys!(SYS_ioctl, master, TIOCGPTLCK, &mut locked)?;
    check_eq!(locked, 1, "locked");
    check_errno!(open(&name(index), flags, 0), EIO);
    unlock(master)?;
    let terminal = open(&name(index), flags, 0)?;
    let stat = calls::fstat(terminal)?;
    check_eq!(stat.st_rdev, libc::makedev(136, index), "st_rdev");
    check_eq!(stat.st_mode & libc::S_IFMT, libc::S_IFCHR, "type");
    check_eq!(stat.st_uid, calls::geteuid(), "owner");
    check_errno!(sys!(SYS_ioctl, terminal, libc::TIOCGPTN, &mut locked), ENOTTY);
    check_errno!(calls::lseek(terminal, 0, libc::SEEK_SET), ESPIPE);
    Ok(())
}

fn peer_is_opened_through_the_master(_: &mut Case) -> Outcome {
    let (master, index) = master()?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    check_errno!(sys!(SYS_ioctl, master, TIOCGPTPEER, flags), EIO);
    unlock(master)?;
    let peer = sys!(SYS_ioctl, master, TIOCGPTPEER, flags)? as i32;
    check_eq!(link_of(peer)?, name(index), "name of the peer");
    check_eq!(calls::fcntl(peer, libc::F_GETFD, 0)?, 1, "close-on-exec");
    check_eq!(write(peer, b"x")?, 1, "write");
    expect(master, b"x")
}

fn node_goes_with_the_master(_: &mut Case) -> Outcome {
    let pair = pair()?;
    calls::stat(&name(pair.index))?;
    let listed = |wanted: &str| -> Outcome<bool> {
        for entry in std::fs::read_dir("/dev/pts")? {
            if entry?.file_name() == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let leaf = pair.index.to_string();
    check!(listed(&leaf)?, "a node in the directory");
    close(pair.master)?;
    check!(!listed(&leaf)?, "no node in the directory");
    check_errno!(open(&name(pair.index), libc::O_RDWR | libc::O_NOCTTY, 0), ENOENT);
    Ok(())
}

fn terminal_has_settings(_: &mut Case) -> Outcome {
    let pair = pair()?;
    let settings = Settings::of(pair.terminal)?;
    let flags = (settings.0[IFLAG], settings.0[OFLAG], settings.0[LFLAG]);
    check_eq!(flags, (0o2400, 0o5, 0o105073), "flags of a new terminal");
    let (r, _w) = pipe(0)?;
    check_errno!(sys!(SYS_ioctl, r, libc::TCGETS, &mut [0u32; 9]), ENOTTY);
    Ok(())
}

fn settings_are_shared(_: &mut Case) -> Outcome {
    let pair = pair()?;
    Settings::of(pair.terminal)?.without(LFLAG, libc::ECHO).apply(pair.terminal)?;
    check_eq!(Settings::of(pair.master)?.0[LFLAG] & libc::ECHO, 0, "ECHO on the master");
    let other = open(&name(pair.index), libc::O_RDWR | libc::O_NOCTTY, 0)?;
    check_eq!(Settings::of(other)?.0[LFLAG] & libc::ECHO, 0, "ECHO on another file");
    check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TCGETS, sys::BAD), EFAULT);
    Ok(())
}

fn line_is_echoed_and_read(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"one\ntwo\n")?;
    expect(pair.master, b"one\r\ntwo\r\n")?;
    expect_read(pair.terminal, b"one\n")?;
    expect_read(pair.terminal, b"two\n")
}

fn nothing_to_read_before_newline(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"half")?;
    expect(pair.master, b"half")?;
    let mut count = -1i32;
    sys!(SYS_ioctl, pair.terminal, libc::FIONREAD, &mut count)?;
    check_eq!(count, 0, "FIONREAD");
    check_eq!(ready(pair.terminal, libc::POLLIN | libc::POLLOUT)?, libc::POLLOUT, "poll");
    nonblocking(pair.terminal)?;
    check_errno!(read(pair.terminal, &mut [0; 8]), EAGAIN);
    write(pair.master, b"\n")?;
    expect(pair.master, b"\r\n")?;
    sys!(SYS_ioctl, pair.terminal, libc::FIONREAD, &mut count)?;
    check_eq!(count, 5, "FIONREAD of a line");
    expect_read(pair.terminal, b"half\n")
}

fn return_is_newline(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"a\r")?;
    expect_read(pair.terminal, b"a\n")?;
    expect(pair.master, b"a\r\n")?;
    Settings::of(pair.terminal)?.without(IFLAG, libc::ICRNL).apply(pair.terminal)?;
    write(pair.master, b"a\r\n")?;
    expect_read(pair.terminal, b"a\r\n")
}

fn erase_and_kill_edit(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"gone\x15abx\x7f\n")?;
    expect_read(pair.terminal, b"ab\n")?;
    let erased = b"\x08 \x08";
    expect(pair.master, &[b"gone".as_slice(), &erased.repeat(4), b"abx", erased, b"\r\n"].concat())
}

fn end_of_file_ends_a_read(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"ab\x04")?;
    expect_read(pair.terminal, b"ab")?;
    write(pair.master, b"\x04")?;
    expect_read(pair.terminal, b"")?;
    write(pair.master, b"c\n")?;
    expect_read(pair.terminal, b"c\n")
}

fn long_line_is_read_in_parts(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"abcde\n")?;
    for part in [b"abcd".as_slice(), b"e\n"] {
        let mut buffer = [0; 4];
        let count = read(pair.terminal, &mut buffer)?;
        check_eq!(buffer[..count], *part, "a part of the line");
    }
    Ok(())
}

fn raw_mode_passes_everything(_: &mut Case) -> Outcome {
    let pair = pair()?;
    set_raw(pair.terminal, 1, 0)?;
    let all: Vec<u8> = (0..=255).collect();
    write(pair.master, &all)?;
    expect(pair.terminal, &all)?;
    check_eq!(ready(pair.master, libc::POLLIN)?, 0, "echo");
    write(pair.terminal, &all)?;
    expect(pair.master, &all)
}

fn vmin_is_waited_for(_: &mut Case) -> Outcome {
    let pair = pair()?;
    set_raw(pair.terminal, 3, 0)?;
    write(pair.master, b"ab")?;
    let mut count = 0i32;
    until("two bytes are there", || {
        sys!(SYS_ioctl, pair.terminal, libc::FIONREAD, &mut count)?;
        Ok(count == 2)
    })?;
    check_eq!(ready(pair.terminal, libc::POLLIN)?, 0, "poll for the third");
    let reader = child(|| expect_read(pair.terminal, b"abc"))?;
    until_asleep(reader, reader)?;
    write(pair.master, b"c")?;
    reap(reader)?;
    // With VMIN and VTIME at zero a read never waits.
    set_raw(pair.terminal, 0, 0)?;
    expect_read(pair.terminal, b"")
}

fn vtime_ends_a_read(_: &mut Case) -> Outcome {
    let pair = pair()?;
    set_raw(pair.terminal, 0, 2)?;
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    expect_read(pair.terminal, b"")?;
    let passed = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(passed >= 150_000_000, "0.2 s to pass, got {passed} ns");
    write(pair.master, b"x")?;
    expect_read(pair.terminal, b"x")
}

fn newlines_are_shown_as_two(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.terminal, b"a\nb")?;
    expect(pair.master, b"a\r\nb")?;
    Settings::of(pair.terminal)?.without(OFLAG, libc::OPOST).apply(pair.terminal)?;
    write(pair.terminal, b"a\nb")?;
    expect(pair.master, b"a\nb")
}

fn output_is_stopped_and_started(_: &mut Case) -> Outcome {
    let pair = pair()?;
    nonblocking(pair.terminal)?;
    write(pair.master, b"\x13")?;
    until("output is stopped", || match write(pair.terminal, b"x") {
        Ok(_) => Ok(false),
        Err(errno) => Ok(errno.0 == libc::EAGAIN),
    })?;
    write(pair.master, b"\x11")?;
    until("output is started", || Ok(write(pair.terminal, b"end").is_ok()))
}

fn flush_forgets_input(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.master, b"old\n")?;
    expect(pair.master, b"old\r\n")?;
    sys!(SYS_ioctl, pair.terminal, libc::TCFLSH, 0)?;
    write(pair.master, b"new\n")?;
    expect_read(pair.terminal, b"new\n")?;
    check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TCFLSH, 9), EINVAL);
    Ok(())
}

fn closed_terminal_is_eio(_: &mut Case) -> Outcome {
    let pair = pair()?;
    write(pair.terminal, b"last")?;
    close(pair.terminal)?;
    expect(pair.master, b"last")?;
    check_errno!(read(pair.master, &mut [0; 8]), EIO);
    let events = libc::POLLIN | libc::POLLOUT;
    check_eq!(ready(pair.master, events)?, libc::POLLHUP | libc::POLLOUT, "poll");
    let again = open(&name(pair.index), libc::O_RDWR | libc::O_NOCTTY, 0)?;
    check_eq!(ready(pair.master, events)?, libc::POLLOUT, "poll when it is open again");
    write(again, b"more")?;
    expect(pair.master, b"more")
}

fn packets_tell_of_flow_control(_: &mut Case) -> Outcome {
    const FLUSHREAD: u8 = 1;
    const NOSTOP: u8 = 16;
    const DOSTOP: u8 = 32;
    let pair = pair()?;
    sys!(SYS_ioctl, pair.master, libc::TIOCPKT, &1i32)?;
    write(pair.terminal, b"data")?;
    expect_read(pair.master, b"\0data")?;
    let set = |settings: Settings| settings.apply(pair.terminal);
    set(Settings::of(pair.terminal)?.without(IFLAG, libc::IXON))?;
    let events = libc::POLLIN | libc::POLLPRI;
    check_eq!(ready(pair.master, events)?, events, "poll");
    expect_read(pair.master, &[NOSTOP])?;
    set(Settings::of(pair.terminal)?.with(IFLAG, libc::IXON))?;
    expect_read(pair.master, &[DOSTOP])?;
    sys!(SYS_ioctl, pair.terminal, libc::TCFLSH, 0)?;
    expect_read(pair.master, &[FLUSHREAD])?;
    sys!(SYS_ioctl, pair.master, libc::TIOCPKT, &0i32)?;
    write(pair.terminal, b"data")?;
    expect_read(pair.master, b"data")
}
