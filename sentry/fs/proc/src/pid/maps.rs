//! maps: the areas of memory.

use super::Live;
use crate::node::text::has_room;
use abi::stat::{major, minor};
use abi::{Errno, SysResult};
use mm::{MapEntry, Prot};

pub(super) fn maps(live: &Live) -> SysResult<Vec<u8>> {
    let entries = entries(live)?;
    let mut text = Vec::with_capacity(entries.len() * 80);
    for entry in &entries {
        write_line(&mut text, entry);
        if !has_room(&mut text) {
            break;
        }
    }
    Ok(text)
}

/// The areas. A process that has ended has none.
pub(super) fn entries(live: &Live) -> SysResult<Vec<MapEntry>> {
    Ok(live.mm().ok_or(Errno::ESRCH)?.maps())
}

/// The column where names begin.
const NAME_COLUMN: usize = 73;

/// One line of maps, which is also the head of an entry of smaps.
pub(super) fn write_line(text: &mut Vec<u8>, entry: &MapEntry) {
    let flag = |flag, letter| if entry.prot.contains(flag) { letter } else { '-' };
    let (read, write, exec) =
        (flag(Prot::READ, 'r'), flag(Prot::WRITE, 'w'), flag(Prot::EXEC, 'x'));
    let sharing = if entry.shared { 's' } else { 'p' };
    let line = format!(
        "{:08x}-{:08x} {read}{write}{exec}{sharing} {:08x} {:02x}:{:02x} {} ",
        entry.start,
        entry.end,
        entry.offset,
        major(entry.dev),
        minor(entry.dev),
        entry.ino,
    );
    text.extend_from_slice(line.as_bytes());
    if !entry.name.is_empty() {
        text.extend(std::iter::repeat_n(b' ', NAME_COLUMN.saturating_sub(line.len())));
        for byte in &entry.name {
            match byte {
                b'\n' => text.extend_from_slice(b"\\012"),
                other => text.push(*other),
            }
        }
    }
    text.push(b'\n');
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An area with nothing special about it.
    pub fn plain(start: u64, end: u64, name: &[u8]) -> MapEntry {
        MapEntry {
            start,
            end,
            prot: Prot::READ,
            shared: false,
            offset: 0,
            dev: 0,
            ino: 0,
            name: name.to_vec(),
            mapped_bytes: 0,
            locked: false,
            grows_down: false,
            dont_fork: false,
            wipe_on_fork: false,
            dont_dump: false,
        }
    }

    fn line(entry: &MapEntry) -> String {
        let mut text = Vec::new();
        write_line(&mut text, entry);
        String::from_utf8(text).unwrap()
    }

    /// Parses a line as any program would.
    fn parse(line: &str) -> MapEntry {
        let (head, name) = line.split_at(line.len().min(NAME_COLUMN));
        let mut words = head.split_ascii_whitespace();
        let mut word = || words.next().unwrap();
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = word().split_once('-').map(|(a, b)| (hex(a), hex(b))).unwrap();
        let flags = word();
        let mut prot = Prot::empty();
        for (letter, flag) in [('r', Prot::READ), ('w', Prot::WRITE), ('x', Prot::EXEC)] {
            prot.set(flag, flags.contains(letter));
        }
        let offset = hex(word());
        let (major, minor) = word().split_once(':').unwrap();
        MapEntry {
            prot,
            shared: flags.ends_with('s'),
            offset,
            dev: abi::stat::makedev(hex(major) as u32, hex(minor) as u32),
            ino: word().parse().unwrap(),
            ..plain(start, end, name.trim_end().as_bytes())
        }
    }

    #[test]
    fn the_hosts_lines_come_out_as_they_went_in() {
        let host = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(host.lines().count() > 5);
        for expected in host.lines().filter(|line| !line.ends_with("[vsyscall]")) {
            assert_eq!(line(&parse(expected)), format!("{expected}\n"));
        }
    }

    #[test]
    fn names_cannot_forge_lines() {
        let text = line(&plain(0x1000, 0x2000, b"/a\n00002000-"));
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with(" /a\\01200002000-\n"));
    }
}
