//! The ids of a user namespace. See user_namespaces(7).

use std::fmt::Write;
use std::{fs, io};

/// One line of a map: `count` ids from `inside` are those from `outside`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id in the new namespace.
    pub inside: u32,
    /// First id in the namespace of the parent.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The maps of a new user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMaps {
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
    /// Forbid setgroups(2): without CAP_SETGID a group map is accepted only so.
    pub deny_setgroups: bool,
}

impl IdMaps {
    /// For an ordinary user: root inside is the caller outside, and there is nobody else.
    pub fn single() -> IdMaps {
        // SAFETY: no arguments; they cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let one = |outside| vec![IdRange { inside: 0, outside, count: 1 }];
        IdMaps { uids: one(uid), gids: one(gid), deny_setgroups: true }
    }

    /// For root: every id of the caller's namespace is itself.
    pub fn identity() -> io::Result<IdMaps> {
        let uids = identity(&fs::read_to_string("/proc/self/uid_map")?);
        let gids = identity(&fs::read_to_string("/proc/self/gid_map")?);
        Ok(IdMaps { uids, gids, deny_setgroups: false })
    }

    /// What fits the caller: [`IdMaps::identity`] for root, else [`IdMaps::single`].
    pub fn for_caller() -> io::Result<IdMaps> {
        // SAFETY: no arguments; it cannot fail.
        if unsafe { libc::geteuid() } == 0 { Self::identity() } else { Ok(Self::single()) }
    }
}

fn identity(map: &str) -> Vec<IdRange> {
    let range = |line: &str| {
        let mut words = line.split_whitespace();
        let inside = words.next()?.parse().ok()?;
        let count = words.nth(1)?.parse().ok()?;
        Some(IdRange { inside, outside: inside, count })
    };
    map.lines().filter_map(range).collect()
}

fn text(ranges: &[IdRange]) -> String {
    ranges.iter().fold(String::new(), |mut text, IdRange { inside, outside, count }| {
        let _ = writeln!(text, "{inside} {outside} {count}");
        text
    })
}

/// Writes the maps of the user namespace of process `pid`, from its parent namespace. Once only.
pub fn write_id_maps(pid: i32, maps: &IdMaps) -> io::Result<()> {
    if maps.deny_setgroups {
        fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    }
    // The kernel takes a map in one write(2) only; fs::write makes one for such short texts.
    fs::write(format!("/proc/{pid}/uid_map"), text(&maps.uids))?;
    fs::write(format!("/proc/{pid}/gid_map"), text(&maps.gids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_keeps_the_ranges() {
        let map = "         0     100000      65536\n     70000 5 1\n";
        let text = text(&identity(map));
        assert_eq!(text, "0 0 65536\n70000 70000 1\n");
    }
}
