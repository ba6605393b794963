//! The table: rows, dispatch, `--strace`.

use crate::args::Argument;
use crate::rows as families;
use kernel::{CallResult, SysError, SyscallTable, TaskContext};
use std::fmt::Write;

/// How complete a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As Linux, in all that is known of it.
    Full,
    /// Usable; the note says what is missing and how that is answered.
    Partial,
    /// Accepted and without effect, where programs expect nothing more; the note says so.
    Stub,
}

/// One system call.
pub struct Row {
    /// The x86-64 number.
    pub nr: u16,
    /// The name, as in section 2 of the man pages.
    pub name: &'static str,
    /// Argument names.
    pub args: &'static [&'static str],
    /// Prints the arguments.
    pub print: fn(&TaskContext<'_>, &[u64; 6], &mut String),
    /// Runs it.
    pub run: fn(&mut TaskContext<'_>, &[u64; 6]) -> CallResult,
    /// How complete it is.
    pub support: Support,
    /// What is missing.
    pub note: &'static str,
}

/// Writes rows: `NR name(arg: Type, ...) => handler, Support, "note";`
macro_rules! rows {
    ($($nr:literal $name:ident($($arg:ident: $type:ty),*) => $run:path, $support:ident $(, $note:literal)?;)*) => {
        pub(crate) const ROWS: &[crate::table::Row] = &[$(
            crate::table::Row {
                nr: $nr,
                name: stringify!($name),
                args: &[$(stringify!($arg)),*],
                print: |_cx, _words, _line| {
                    let mut _at = 0;
                    $(
                        crate::table::print_argument::<$type>(_cx, _words, &mut _at, _line);
                        let _ = stringify!($arg);
                    )*
                },
                run: |cx, _words| {
                    let mut _at = 0;
                    $(let $arg = crate::table::take_argument::<$type>(_words, &mut _at);)*
                    $run(cx, $($arg),*)
                },
                support: crate::table::Support::$support,
                note: { let _note = ""; $(let _note = $note;)? _note },
            },
        )*];
    };
}
pub(crate) use rows;

/// For [`rows!`]: the next argument.
pub(crate) fn take_argument<T: Argument>(words: &[u64; 6], at: &mut usize) -> T {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    T::from_word(word)
}

/// For [`rows!`]: prints the next argument.
pub(crate) fn print_argument<T: Argument>(
    cx: &TaskContext<'_>,
    words: &[u64; 6],
    at: &mut usize,
    line: &mut String,
) {
    if *at > 0 {
        line.push_str(", ");
    }
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    T::print(cx, word, line);
}

/// Numbers from here on are no calls.
const SIZE: usize = 512;

/// All rows, by family.
pub const ROWS: &[&[Row]] = &[families::files::ROWS, families::tasks::ROWS, families::ipc::ROWS];

/// For each number, where its row is.
const INDEX: [Option<&Row>; SIZE] = {
    let mut index: [Option<&Row>; SIZE] = [None; SIZE];
    let mut family = 0;
    while family < ROWS.len() {
        let mut at = 0;
        while at < ROWS[family].len() {
            let row = &ROWS[family][at];
            assert!(index[row.nr as usize].is_none(), "two rows with one number");
            index[row.nr as usize] = Some(row);
            at += 1;
        }
        family += 1;
    }
    index
};

static BY_NUMBER: [Option<&Row>; SIZE] = INDEX;

/// The table that the kernel calls.
pub static TABLE: Table = Table;

/// See [`TABLE`].
pub struct Table;

impl SyscallTable for Table {
    fn call(&self, cx: &mut TaskContext<'_>, nr: u64, args: [u64; 6]) -> CallResult {
        // As Linux: only the low half of rax counts.
        let row = BY_NUMBER.get(nr as u32 as usize).copied().flatten();
        let Some(row) = row else {
            unknown(cx, nr, &args);
            return Err(SysError::Errno(abi::Errno::ENOSYS));
        };
        if cx.kernel().strace() {
            return traced(cx, row, &args);
        }
        (row.run)(cx, &args)
    }
}

fn unknown(cx: &TaskContext<'_>, nr: u64, args: &[u64; 6]) {
    let name = abi::calls::name(u64::from(nr as u32)).unwrap_or("no such call");
    if cx.kernel().strace() {
        tracing::info!(target: "strace", "[{}] {nr} ({name}) {args:x?} = ENOSYS", cx.task.tid());
    } else {
        tracing::info!("[{}] system call {nr} ({name}) is not there: ENOSYS", cx.task.tid());
    }
}

fn traced(cx: &mut TaskContext<'_>, row: &Row, args: &[u64; 6]) -> CallResult {
    let mut line = format!("[{}] {}(", cx.task.tid(), row.name);
    (row.print)(cx, args, &mut line);
    line.push(')');
    // Before the call too, where it may not return or may block.
    let result = (row.run)(cx, args);
    let _ = match result {
        Ok(value) if value > i32::MAX as u64 => write!(line, " = {value:#x}"),
        Ok(value) => write!(line, " = {value}"),
        Err(SysError::Errno(errno)) => write!(line, " = -1 {errno}"),
        Err(SysError::Restart(restart)) => write!(line, " = ? ({restart:?})"),
    };
    tracing::info!(target: "strace", "{line}");
    result
}
