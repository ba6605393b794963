//! The table, and the page that is written from it.

use std::collections::BTreeSet;
use syscalls::{ROWS, Row, Support};

#[path = "../examples/table.rs"]
#[allow(dead_code)] // its `main`
mod table;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/syscalls.md");

const COMMAND: &str = "cargo run -p syscalls --example table > docs/syscalls.md";

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().copied().flatten()
}

#[test]
fn the_page_is_what_the_table_says() {
    let wanted = table::page();
    let found = std::fs::read_to_string(PAGE).unwrap_or_default();
    if found == wanted {
        return;
    }
    let (new, old): (BTreeSet<_>, BTreeSet<_>) =
        (wanted.lines().collect(), found.lines().collect());
    let added: Vec<_> = new.difference(&old).map(|line| format!("+ {line}")).collect();
    let removed: Vec<_> = old.difference(&new).map(|line| format!("- {line}")).collect();
    panic!("docs/syscalls.md is stale. {COMMAND}\n{}\n{}", removed.join("\n"), added.join("\n"));
}

#[test]
fn what_is_not_full_says_why() {
    for row in rows() {
        let (is_full, has_note) = (row.support == Support::Full, !row.note.is_empty());
        assert_eq!(is_full, !has_note, "{}: a note is what tells partial from full", row.name);
        assert!(!row.note.contains('\n'), "{}: a note is one line", row.name);
    }
}

#[test]
fn each_call_is_there_once() {
    let names: BTreeSet<_> = rows().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().count(), "two rows with one name");
    for row in rows() {
        assert!(row.args.len() <= 6, "{}: no call has more than six arguments", row.name);
    }
    // Within a family, rows are where one looks for them.
    for family in ROWS {
        assert!(family.is_sorted_by_key(|row| row.nr), "rows are in the order of their numbers");
    }
}
