//! The settings of a terminal, as termios(3) and ioctl_tty(2) have them.

#![allow(missing_docs)] // each flag and field is described there

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kernel's `struct termios`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
pub struct Termios {
    pub iflag: u32,
    pub oflag: u32,
    pub cflag: u32,
    pub lflag: u32,
    pub line: u8,
    pub cc: [u8; 19],
}

/// `struct termios2`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
pub struct Termios2 {
    pub base: Termios,
    pub ispeed: u32,
    pub ospeed: u32,
}

/// The older `struct termio`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
pub struct Termio {
    pub iflag: u16,
    pub oflag: u16,
    pub cflag: u16,
    pub lflag: u16,
    pub line: u8,
    pub cc: [u8; 8],
    pub padding: u8,
}

/// `struct winsize`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct Winsize {
    pub row: u16,
    pub col: u16,
    pub xpixel: u16,
    pub ypixel: u16,
}

bitflags! {
    /// `c_iflag`, as far as it has an effect.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Input: u32 {
        const PARMRK = 0o10;
        const ISTRIP = 0o40;
        const INLCR = 0o100;
        const IGNCR = 0o200;
        const ICRNL = 0o400;
        const IXON = 0o2000;
        const IXANY = 0o4000;
        const IUTF8 = 0o40000;
    }

    /// `c_oflag`, as far as it has an effect.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Output: u32 {
        const OPOST = 0o1;
        const OLCUC = 0o2;
        const ONLCR = 0o4;
        const OCRNL = 0o10;
        const ONOCR = 0o20;
        const ONLRET = 0o40;
        /// TABDLY at TAB3: tabs become spaces.
        const XTABS = 0o14000;
    }

    /// `c_lflag`, as far as it has an effect.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Local: u32 {
        const ISIG = 0o1;
        const ICANON = 0o2;
        const ECHO = 0o10;
        const ECHOE = 0o20;
        const ECHOK = 0o40;
        const ECHONL = 0o100;
        const NOFLSH = 0o200;
        const TOSTOP = 0o400;
        const ECHOCTL = 0o1000;
        const ECHOKE = 0o4000;
        const IEXTEN = 0o100000;
        const EXTPROC = 0o200000;
    }
}

/// Indices of `c_cc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Char {
    Intr = 0,
    Quit = 1,
    Erase = 2,
    Kill = 3,
    Eof = 4,
    Time = 5,
    Min = 6,
    Start = 8,
    Stop = 9,
    Susp = 10,
    Eol = 11,
    Reprint = 12,
    WordErase = 14,
    LiteralNext = 15,
    Eol2 = 16,
}

/// A control character set to this is switched off.
pub(super) const DISABLED: u8 = 0;

const CBAUD: u32 = 0o10017;
const BOTHER: u32 = 0o10000;
const CSIZE: u32 = 0o60;
const CS8: u32 = 0o60;
const CREAD: u32 = 0o200;
const PARENB: u32 = 0o400;
const B38400: u32 = 0o17;

/// Speeds by number: B0 to B38400, then those from 0o10001 on.
const LOW_SPEEDS: [u32; 16] =
    [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
const HIGH_SPEEDS: [u32; 15] = [
    57600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
    2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

impl Termios2 {
    /// What a pseudo-terminal starts with: ICRNL, IXON; OPOST, ONLCR; 38400, 8 bits; ISIG, ICANON,
    /// IEXTEN and echo that erases.
    pub const fn standard() -> Termios2 {
        let mut cc = [0; 19];
        cc[Char::Intr as usize] = 3;
        cc[Char::Quit as usize] = 28;
        cc[Char::Erase as usize] = 127;
        cc[Char::Kill as usize] = 21;
        cc[Char::Eof as usize] = 4;
        cc[Char::Min as usize] = 1;
        cc[Char::Start as usize] = 17;
        cc[Char::Stop as usize] = 19;
        cc[Char::Susp as usize] = 26;
        cc[Char::Reprint as usize] = 18;
        // VDISCARD, which does nothing.
        cc[13] = 15;
        cc[Char::WordErase as usize] = 23;
        cc[Char::LiteralNext as usize] = 22;
        let base = Termios {
            iflag: 0o2400,
            oflag: 0o5,
            cflag: B38400 | CS8 | CREAD,
            lflag: 0o105073,
            line: 0,
            cc,
        };
        Termios2 { base, ispeed: 38400, ospeed: 38400 }
    }

    /// As a pseudo-terminal takes new settings: eight bits and no parity whatever is asked, and the
    /// line discipline stays. With `speeds` they are as given, otherwise as `c_cflag` says.
    pub fn with(&self, new: Termios, speeds: Option<(u32, u32)>) -> Termios2 {
        let cflag = new.cflag & !(CSIZE | PARENB) | CS8 | CREAD;
        let line = self.base.line;
        let speed = cflag & CBAUD;
        let (ispeed, ospeed) = match (speed, speeds) {
            (BOTHER, Some(speeds)) => speeds,
            (BOTHER, None) => (self.ispeed, self.ospeed),
            (speed, _) => {
                let index = (speed & 0o17) as usize;
                let value = match speed & BOTHER {
                    0 => LOW_SPEEDS.get(index),
                    _ => HIGH_SPEEDS.get(index.wrapping_sub(1)),
                };
                let value = value.copied().unwrap_or(self.ospeed);
                (value, value)
            }
        };
        Termios2 { base: Termios { cflag, line, ..new }, ispeed, ospeed }
    }

    /// The old structure.
    pub fn to_termio(self) -> Termio {
        let base = self.base;
        let mut cc = [0; 8];
        cc.copy_from_slice(&base.cc[..8]);
        Termio {
            iflag: base.iflag as u16,
            oflag: base.oflag as u16,
            cflag: base.cflag as u16,
            lflag: base.lflag as u16,
            line: base.line,
            cc,
            padding: 0,
        }
    }

    /// The settings with what the old structure has changed.
    pub fn with_termio(&self, new: &Termio) -> Termios2 {
        let merge = |old: u32, new: u16| old & !0xffff | u32::from(new);
        let mut base = self.base;
        base.iflag = merge(base.iflag, new.iflag);
        base.oflag = merge(base.oflag, new.oflag);
        base.cflag = merge(base.cflag, new.cflag);
        base.lflag = merge(base.lflag, new.lflag);
        base.cc[..8].copy_from_slice(&new.cc);
        self.with(base, None)
    }
}

impl Termios {
    /// `c_iflag`.
    pub fn input(&self) -> Input {
        Input::from_bits_truncate(self.iflag)
    }

    /// `c_oflag`.
    pub fn output(&self) -> Output {
        Output::from_bits_truncate(self.oflag)
    }

    /// `c_lflag`.
    pub fn local(&self) -> Local {
        Local::from_bits_truncate(self.lflag)
    }

    /// A control character, or VMIN or VTIME.
    pub fn char(&self, which: Char) -> u8 {
        self.cc[which as usize]
    }

    /// `c` is that control character, which is not switched off.
    pub fn is(&self, c: u8, which: Char) -> bool {
        c != DISABLED && self.char(which) == c
    }

    /// Input comes in lines.
    pub fn is_canonical(&self) -> bool {
        self.local() & (Local::ICANON | Local::EXTPROC) == Local::ICANON
    }

    /// ^S and ^Q stop and start output: what TIOCPKT_DOSTOP tells.
    pub fn has_plain_flow_control(&self) -> bool {
        let (start, stop) = (self.char(Char::Start), self.char(Char::Stop));
        self.input().contains(Input::IXON) && start == 17 && stop == 19
    }
}
