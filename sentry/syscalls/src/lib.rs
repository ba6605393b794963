//! The system calls: one table, and small files of handlers by family.
//!
//! A row of the table ([`Row`]) gives the number, the name, the handler with typed arguments, and
//! what is known of its completeness. The rows drive dispatch, `--strace`, and `docs/syscalls.md`
//! (`cargo run -p syscalls --example table`).
//!
//! A handler decodes, checks in Linux's order, calls a method on the object it found, encodes. The
//! logic is in the crates below.
//!
//! Start reading in `table.rs`; rows are in `rows/`, handlers in `files/`, `tasks/` and
//! `ipc/`.

#![forbid(unsafe_code)]

pub mod args;
mod files;
mod ipc;
mod rows;
mod table;
mod tasks;

pub use table::{ROWS, Row, Support, TABLE};
