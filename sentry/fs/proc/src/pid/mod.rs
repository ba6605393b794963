//! /proc/PID and /proc/PID/task/TID: the table of their files.

mod access;
mod auxv;
mod cmdline;
mod control;
mod entry;
mod fd;
mod fdinfo;
mod limits;
mod links;
mod maps;
mod mem;
mod mounts;
pub(crate) mod ns;
mod oom;
mod sched;
mod smaps;
mod stat;
mod status;
mod subject;
mod task;

pub(crate) use entry::{dir_ino, process_dir};
pub(crate) use subject::{Live, State, Subject, task_state};

use entry::{Entry, Node, Scope};

/// Which parts of `st_ino` the directories have that show something numbered.
mod part {
    pub const FD: u64 = 200;
    pub const FDINFO: u64 = 201;
    pub const NS: u64 = 202;
}

/// Needs no more than what the mode says.
const OPEN: bool = false;
/// Needs the right to look into the process, as for ptrace(2).
const GUARDED: bool = true;

const fn text(name: &'static str, mode: u32, guarded: bool, generate: entry::Generate) -> Entry {
    Entry { name, mode, scope: Scope::Both, node: Node::Text { generate, guarded, store: None } }
}

const fn stored(
    name: &'static str,
    mode: u32,
    generate: entry::Generate,
    store: entry::Store,
) -> Entry {
    let node = Node::Text { generate, guarded: false, store: Some(store) };
    Entry { name, mode, scope: Scope::Both, node }
}

const fn link(name: &'static str, target: entry::Target) -> Entry {
    Entry { name, mode: 0o777, scope: Scope::Both, node: Node::Link(target) }
}

const fn other(name: &'static str, mode: u32, scope: Scope, make: entry::Make) -> Entry {
    Entry { name, mode, scope, node: Node::Other(make) }
}

/// The files. Their order is the order of listing, and part of `st_ino`.
static TABLE: &[Entry] = &[
    other("task", 0o555, Scope::Process, task::dir),
    other("fd", 0o500, Scope::Both, fd::dir),
    other("fdinfo", 0o555, Scope::Both, fdinfo::dir),
    other("ns", 0o511, Scope::Both, ns::dir),
    other("net", 0o555, Scope::Both, links::net),
    text("environ", 0o400, GUARDED, cmdline::environ),
    text("auxv", 0o400, GUARDED, auxv::auxv),
    text("status", 0o444, OPEN, status::status),
    text("personality", 0o400, GUARDED, control::personality),
    text("limits", 0o444, OPEN, limits::limits),
    text("sched", 0o444, OPEN, sched::sched),
    stored("comm", 0o644, control::comm, control::set_comm),
    text("syscall", 0o400, GUARDED, control::syscall),
    text("cmdline", 0o444, OPEN, cmdline::cmdline),
    text("stat", 0o444, OPEN, stat::stat),
    text("statm", 0o444, OPEN, stat::statm),
    text("maps", 0o444, GUARDED, maps::maps),
    other("mem", 0o600, Scope::Both, mem::mem),
    link("cwd", links::cwd),
    link("root", links::root),
    link("exe", links::exe),
    text("mounts", 0o444, OPEN, mounts::mounts),
    text("mountinfo", 0o444, OPEN, mounts::mountinfo),
    Entry { scope: Scope::Process, ..text("mountstats", 0o400, OPEN, mounts::mountstats) },
    Entry { scope: Scope::Thread, ..text("children", 0o444, OPEN, task::children) },
    text("smaps", 0o444, GUARDED, smaps::smaps),
    text("smaps_rollup", 0o444, GUARDED, smaps::smaps_rollup),
    text("wchan", 0o444, OPEN, control::wchan),
    text("schedstat", 0o444, OPEN, sched::schedstat),
    text("cpuset", 0o444, OPEN, control::cpuset),
    text("cgroup", 0o444, OPEN, control::cgroup),
    text("oom_score", 0o444, OPEN, oom::score),
    stored("oom_adj", 0o644, oom::adj, oom::set_adj),
    stored("oom_score_adj", 0o644, oom::score_adj, oom::set_score_adj),
    stored("loginuid", 0o644, control::loginuid, control::set_loginuid),
    text("sessionid", 0o444, OPEN, control::loginuid),
    stored("coredump_filter", 0o644, control::coredump_filter, control::refuse),
    text("io", 0o400, GUARDED, control::io),
    stored("uid_map", 0o644, control::id_map, control::refuse),
    stored("gid_map", 0o644, control::id_map, control::refuse),
    stored("projid_map", 0o644, control::id_map, control::refuse),
    stored("setgroups", 0o644, control::setgroups, control::refuse),
    Entry { scope: Scope::Process, ..text("timers", 0o444, OPEN, control::timers) },
    Entry {
        scope: Scope::Process,
        ..stored("timerslack_ns", 0o666, control::timerslack, control::refuse)
    },
];
