//! smaps and smaps_rollup: the areas, with what is resident of them.
//!
//! What is known is an upper bound of the resident bytes of each area. Pages of private areas are
//! taken to be the process's own, those of shared ones to be clean.

use super::Live;
use super::maps::{entries, write_line};
use crate::node::text::has_room;
use abi::SysResult;
use mm::{MapEntry, Prot};

/// The sums of one area, or of all, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    rss: u64,
    shared_clean: u64,
    private_dirty: u64,
    private_clean: u64,
    anonymous: u64,
    shared_memory: u64,
    locked: u64,
}

impl Sums {
    fn of(entry: &MapEntry) -> Sums {
        let rss = entry.mapped_bytes;
        let is_file = entry.ino != 0;
        let mut sums = Sums { rss, locked: if entry.locked { rss } else { 0 }, ..Sums::default() };
        if entry.shared {
            sums.shared_clean = rss;
            sums.shared_memory = if is_file { 0 } else { rss };
        } else if is_file && !entry.prot.contains(Prot::WRITE) {
            sums.private_clean = rss;
        } else {
            sums.private_dirty = rss;
            sums.anonymous = rss;
        }
        sums
    }

    fn add(&mut self, other: &Sums) {
        self.rss += other.rss;
        self.shared_clean += other.shared_clean;
        self.private_dirty += other.private_dirty;
        self.private_clean += other.private_clean;
        self.anonymous += other.anonymous;
        self.shared_memory += other.shared_memory;
        self.locked += other.locked;
    }

    /// The lines; `rollup`: with those that only smaps_rollup has.
    fn write(&self, text: &mut Vec<u8>, rollup: bool) {
        let file = self.rss - self.anonymous - self.shared_memory;
        let rows = [
            ("Rss", self.rss, true),
            ("Pss", self.rss, true),
            ("Pss_Dirty", self.private_dirty, true),
            ("Pss_Anon", self.anonymous, rollup),
            ("Pss_File", file, rollup),
            ("Pss_Shmem", self.shared_memory, rollup),
            ("Shared_Clean", self.shared_clean, true),
            ("Shared_Dirty", 0, true),
            ("Private_Clean", self.private_clean, true),
            ("Private_Dirty", self.private_dirty, true),
            ("Referenced", self.rss, true),
            ("Anonymous", self.anonymous, true),
            ("KSM", 0, true),
            ("LazyFree", 0, true),
            ("AnonHugePages", 0, true),
            ("ShmemPmdMapped", 0, true),
            ("FilePmdMapped", 0, true),
            ("Shared_Hugetlb", 0, true),
            ("Private_Hugetlb", 0, true),
            ("Swap", 0, true),
            ("SwapPss", 0, true),
            ("Locked", self.locked, true),
        ];
        for (name, bytes, _) in rows.iter().filter(|(.., shown)| *shown) {
            write_size(text, name, *bytes);
        }
    }
}

fn write_size(text: &mut Vec<u8>, name: &str, bytes: u64) {
    let label = format!("{name}:");
    text.extend_from_slice(format!("{label:<16}{:>8} kB\n", bytes >> 10).as_bytes());
}

pub(super) fn smaps(live: &Live) -> SysResult<Vec<u8>> {
    Ok(format(&entries(live)?))
}

fn format(entries: &[MapEntry]) -> Vec<u8> {
    let mut text = Vec::new();
    for entry in entries {
        write_line(&mut text, entry);
        write_size(&mut text, "Size", entry.end - entry.start);
        write_size(&mut text, "KernelPageSize", abi::PAGE_SIZE);
        write_size(&mut text, "MMUPageSize", abi::PAGE_SIZE);
        Sums::of(entry).write(&mut text, false);
        text.extend_from_slice(b"THPeligible:           0\n");
        text.extend_from_slice(format!("VmFlags: {}\n", flags(entry)).as_bytes());
        if !has_room(&mut text) {
            break;
        }
    }
    text
}

/// The two-letter flags, each followed by a space.
fn flags(entry: &MapEntry) -> String {
    let prot = |flag| entry.prot.contains(flag);
    let known = [
        ("rd ", prot(Prot::READ)),
        ("wr ", prot(Prot::WRITE)),
        ("ex ", prot(Prot::EXEC)),
        ("sh ", entry.shared),
        ("mr ", true),
        ("mw ", true),
        ("me ", true),
        ("ms ", entry.shared),
        ("gd ", entry.grows_down),
        ("lo ", entry.locked),
        ("dc ", entry.dont_fork),
        ("ac ", !entry.shared && prot(Prot::WRITE)),
        ("wf ", entry.wipe_on_fork),
        ("dd ", entry.dont_dump),
    ];
    known.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

pub(super) fn smaps_rollup(live: &Live) -> SysResult<Vec<u8>> {
    Ok(format_rollup(&entries(live)?))
}

fn format_rollup(entries: &[MapEntry]) -> Vec<u8> {
    let mut sums = Sums::default();
    entries.iter().for_each(|entry| sums.add(&Sums::of(entry)));
    let start = entries.first().map_or(0, |entry| entry.start);
    let end = entries.last().map_or(0, |entry| entry.end);
    let line = format!("{start:08x}-{end:08x} ---p 00000000 00:00 0 ");
    let mut text = format!("{line:<73}[rollup]\n").into_bytes();
    sums.write(&mut text, true);
    text
}

#[cfg(test)]
mod tests {
    use super::super::maps::tests::plain;
    use super::*;

    /// The first line without its numbers, then each label and where its unit ends.
    fn shape(text: &str) -> Vec<(String, usize)> {
        let sized = |line: &&str| line.ends_with(" kB");
        let label =
            |line: &str| (line.split(':').next().unwrap_or_default().to_owned(), line.len());
        text.lines().filter(sized).map(label).collect()
    }

    fn host(name: &str) -> String {
        std::fs::read_to_string(format!("/proc/self/{name}")).unwrap()
    }

    #[test]
    fn has_the_lines_that_linux_has() {
        let entry = MapEntry { mapped_bytes: 4096, ..plain(0x1000, 0x3000, b"") };
        let ours = String::from_utf8(format(std::slice::from_ref(&entry))).unwrap();
        let host_text = host("smaps");
        let first: Vec<_> = shape(&host_text).into_iter().take(shape(&ours).len()).collect();
        assert_eq!(shape(&ours), first);
        assert!(ours.contains("\nSize:                  8 kB\n"), "{ours}");
        assert!(ours.ends_with("THPeligible:           0\nVmFlags: rd mr mw me \n"), "{ours}");
        let rollup = String::from_utf8(format_rollup(&[entry])).unwrap();
        assert_eq!(shape(&rollup), shape(&host("smaps_rollup")));
        let head = |text: &str| text.lines().next().unwrap_or_default().find("[rollup]");
        assert_eq!(head(&rollup), Some(73));
    }
}
