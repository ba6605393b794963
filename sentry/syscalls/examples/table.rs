//! Writes the page on system calls from the table: `docs/syscalls.md`.
//!
//! ```text
//! cargo run -p syscalls --example table > docs/syscalls.md
//! ```
//!
//! `tests/table.rs` fails when the page is not what this writes.

use std::fmt::Write;
use syscalls::{ROWS, Row, Support};

/// What comes before the tables.
const HEAD: &str = "\
<!-- Written by: cargo run -p syscalls --example table > docs/syscalls.md
     Change sentry/syscalls/src/rows/, not this. -->
# System calls

The calls that guests can make, by their x86-64 numbers. The page is written from the table in
`sentry/syscalls/src/rows/`, by which calls are dispatched, too: what is not here answers ENOSYS, and is named in the
log (`--log-level info`).

| support | |
|---|---|
| full | as Linux, in all that is known of it |
| partial | usable; the note says what is missing, and how that is answered |
| stub | checked and accepted, without effect; the note says why that does |

A flag or an option that is not implemented is refused as Linux refuses one that it does not know. `sandbox run
--strace` logs the calls of a program. What differs from Linux beside the calls: [differences.md](differences.md).

";

/// The names of the families, in the order of [`ROWS`].
const FAMILIES: &[&str] = &[
    "Files, directories, descriptors, events, sockets",
    "Processes, threads, signals, memory, time, the system",
];

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    count(&mut page);
    for (at, rows) in ROWS.iter().enumerate() {
        let title = FAMILIES.get(at).copied().unwrap_or("More");
        let _ =
            write!(page, "\n## {title}\n\n| number | call | support | note |\n|---|---|---|---|\n");
        let mut rows: Vec<&Row> = rows.iter().collect();
        rows.sort_by_key(|row| row.nr);
        for row in rows {
            line(&mut page, row);
        }
    }
    page
}

/// How many there are of each kind.
fn count(page: &mut String) {
    let of = |support| ROWS.iter().copied().flatten().filter(|row| row.support == support).count();
    let (full, partial, stub) = (of(Support::Full), of(Support::Partial), of(Support::Stub));
    let all = full + partial + stub;
    let _ = writeln!(page, "**{all} calls**: {full} full, {partial} partial, {stub} stubs.");
}

fn line(page: &mut String, row: &Row) {
    let support = match row.support {
        Support::Full => "full",
        Support::Partial => "partial",
        Support::Stub => "stub",
    };
    // In a table, a bar ends the cell even in code.
    let note = match row.note {
        "" => String::new(),
        note => format!(" {}", note.replace('|', "\\|")),
    };
    let (nr, name, args) = (row.nr, row.name, row.args.join(", "));
    let _ = writeln!(page, "| {nr} | `{name}({args})` | {support} |{note} |");
}

fn main() {
    print!("{}", page());
}
