//! The types of arguments: how a register becomes one, and how `--strace` prints it.

use abi::UserAddr;
use kernel::TaskContext;
use std::fmt::Write;
use vfs::Fd;

/// A type that a system call's argument can have.
pub trait Argument: Sized {
    /// From the register. Narrower types take the low bits, as C does.
    fn from_word(word: u64) -> Self;

    /// Appends it to a line of `--strace`.
    fn print(cx: &TaskContext<'_>, word: u64, line: &mut String);
}

macro_rules! decimal {
    ($($type:ty)*) => {$(
        impl Argument for $type {
            fn from_word(word: u64) -> Self {
                word as $type
            }

            fn print(_: &TaskContext<'_>, word: u64, line: &mut String) {
                let _ = write!(line, "{}", word as $type);
            }
        }
    )*};
}

decimal!(i32 u32 i64 u64 usize);

impl Argument for Fd {
    fn from_word(word: u64) -> Self {
        Fd(word as i32)
    }

    fn print(_: &TaskContext<'_>, word: u64, line: &mut String) {
        match word as i32 {
            libc::AT_FDCWD => line.push_str("AT_FDCWD"),
            fd => _ = write!(line, "{fd}"),
        }
    }
}

impl Argument for UserAddr {
    fn from_word(word: u64) -> Self {
        UserAddr(word)
    }

    fn print(_: &TaskContext<'_>, word: u64, line: &mut String) {
        match word {
            0 => line.push_str("NULL"),
            _ => _ = write!(line, "{word:#x}"),
        }
    }
}

/// The address of a path or another NUL-terminated string.
#[derive(Clone, Copy, Debug)]
pub struct UserStr(pub UserAddr);

/// How much of a string `--strace` shows, in bytes.
const SHOWN: usize = 64;

impl Argument for UserStr {
    fn from_word(word: u64) -> Self {
        UserStr(UserAddr(word))
    }

    fn print(cx: &TaskContext<'_>, word: u64, line: &mut String) {
        match cx.mm().read_cstr(UserAddr(word), abi::PATH_MAX) {
            Ok(text) => {
                let shown = &text[..text.len().min(SHOWN)];
                let _ = write!(line, "\"{}\"", shown.escape_ascii());
                if shown.len() < text.len() {
                    line.push_str("...");
                }
            }
            Err(_) => UserAddr::print(cx, word, line),
        }
    }
}

/// Flags and masks: printed in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Argument for Flags {
    fn from_word(word: u64) -> Self {
        Flags(word as u32)
    }

    fn print(_: &TaskContext<'_>, word: u64, line: &mut String) {
        let _ = write!(line, "{:#x}", word as u32);
    }
}

/// File modes: printed in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Argument for Mode {
    fn from_word(word: u64) -> Self {
        Mode(word as u32)
    }

    fn print(_: &TaskContext<'_>, word: u64, line: &mut String) {
        let _ = write!(line, "{:#o}", word as u32);
    }
}
