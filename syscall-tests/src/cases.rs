//! The table of all cases: one file per family.

mod attr;
mod creds;
mod dir;
mod epoll;
mod eventfd;
mod exec;
mod fd;
mod futex;
mod io;
mod limits;
mod link;
mod lock;
mod mapfile;
mod memory;
mod mqueue;
mod msg;
mod open;
mod pipe;
mod poll;
mod process;
mod procfs;
mod pty;
mod pty_jobs;
mod sem;
mod session;
mod shm;
mod signal;
mod signal_info;
mod system;
mod thread;
mod time;
mod unix;
mod wait;

use crate::case::CaseDef;

const FAMILIES: &[&[CaseDef]] = &[
    process::CASES,
    exec::CASES,
    wait::CASES,
    session::CASES,
    pty::CASES,
    pty_jobs::CASES,
    signal::CASES,
    signal_info::CASES,
    memory::CASES,
    mapfile::CASES,
    thread::CASES,
    futex::CASES,
    open::CASES,
    io::CASES,
    fd::CASES,
    dir::CASES,
    link::CASES,
    attr::CASES,
    lock::CASES,
    pipe::CASES,
    poll::CASES,
    epoll::CASES,
    eventfd::CASES,
    shm::CASES,
    sem::CASES,
    msg::CASES,
    mqueue::CASES,
    unix::CASES,
    time::CASES,
    creds::CASES,
    limits::CASES,
    procfs::CASES,
    system::CASES,
];

/// Every case, family after family.
pub fn all() -> impl Iterator<Item = &'static CaseDef> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The case of that name.
pub fn find(name: &str) -> Option<&'static CaseDef> {
    all().find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all().map(|case| case.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn families_are_not_mixed() {
        for family in FAMILIES {
            assert!(family.iter().all(|case| case.family() == family[0].family()));
        }
    }

    #[test]
    fn there_are_enough() {
        assert!(all().count() >= 160, "{} cases", all().count());
    }
}
