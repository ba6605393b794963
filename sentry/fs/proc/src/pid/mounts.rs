//! mounts, mountinfo, mountstats: what is mounted, as seen from the process's root.

use super::Live;
use crate::node::text::has_room;
use abi::stat::{major, minor};
use abi::{Errno, SysResult};
use std::sync::Arc;
use vfs::{Dentry, Mount, MountFlags, Path};

/// A mount, as these files show it.
#[derive(Clone, Debug, Default)]
struct Line {
    id: u64,
    parent: u64,
    dev: u64,
    /// The directory of the file system that is shown.
    root: Vec<u8>,
    /// Where.
    point: Vec<u8>,
    flags: MountFlags,
    kind: String,
    source: String,
    /// The file system's own options.
    options: String,
}

pub(super) fn mounts(live: &Live) -> SysResult<Vec<u8>> {
    format(live, Line::write_mounts)
}

pub(super) fn mountinfo(live: &Live) -> SysResult<Vec<u8>> {
    format(live, Line::write_mountinfo)
}

pub(super) fn mountstats(live: &Live) -> SysResult<Vec<u8>> {
    format(live, Line::write_mountstats)
}

fn format(live: &Live, write: fn(&Line, &mut Vec<u8>)) -> SysResult<Vec<u8>> {
    let task = live.task.as_ref().ok_or(Errno::EINVAL)?;
    let fs = task.fs();
    let (root, _) = fs.root_and_cwd();
    let mut text = Vec::new();
    // What is outside of the root is not shown.
    for line in fs.mounts().list().iter().filter_map(|mount| Line::of(mount, &root)) {
        write(&line, &mut text);
        if !has_room(&mut text) {
            break;
        }
    }
    Ok(text)
}

impl Line {
    fn of(mount: &Arc<Mount>, root: &Path) -> Option<Line> {
        let point = Path::root_of(mount).relative_to(root)?;
        let fs = mount.fs();
        Some(Line {
            id: mount.id(),
            parent: mount.point().map_or(mount.id(), |point| point.mount.id()),
            dev: fs.dev(),
            root: path_in_fs(mount.root()),
            point,
            flags: mount.flags(),
            kind: fs.name().to_owned(),
            source: fs.source(),
            options: fs.options(),
        })
    }

    fn read_write(&self) -> &'static str {
        if self.flags.contains(MountFlags::RDONLY) { "ro" } else { "rw" }
    }

    /// The mount's own options, each after a comma, in the kernel's order.
    fn mount_options(&self) -> String {
        const NAMES: [(MountFlags, &str); 6] = [
            (MountFlags::NOSUID, ",nosuid"),
            (MountFlags::NODEV, ",nodev"),
            (MountFlags::NOEXEC, ",noexec"),
            (MountFlags::NOATIME, ",noatime"),
            (MountFlags::NODIRATIME, ",nodiratime"),
            (MountFlags::RELATIME, ",relatime"),
        ];
        let set = NAMES.into_iter().filter(|(flag, _)| self.flags.contains(*flag));
        set.map(|(_, name)| name).collect()
    }

    fn fs_options(&self) -> String {
        if self.options.is_empty() { String::new() } else { format!(",{}", self.options) }
    }

    fn write_mounts(&self, text: &mut Vec<u8>) {
        text.extend(escape(self.source.as_bytes(), ESCAPED_SOURCE));
        text.push(b' ');
        text.extend(escape(&self.point, ESCAPED_PATH));
        let (options, fs_options) = (self.mount_options(), self.fs_options());
        let rest = format!(" {} {}{options}{fs_options} 0 0\n", self.kind, self.read_write());
        text.extend_from_slice(rest.as_bytes());
    }

    fn write_mountinfo(&self, text: &mut Vec<u8>) {
        let Line { id, parent, dev, .. } = self;
        let head = format!("{id} {parent} {}:{} ", major(*dev), minor(*dev));
        text.extend_from_slice(head.as_bytes());
        text.extend(escape(&self.root, ESCAPED_PATH));
        text.push(b' ');
        text.extend(escape(&self.point, ESCAPED_PATH));
        let options = format!(" {}{} - {} ", self.read_write(), self.mount_options(), self.kind);
        text.extend_from_slice(options.as_bytes());
        text.extend(escape(self.source.as_bytes(), ESCAPED_SOURCE));
        text.extend_from_slice(format!(" rw{}\n", self.fs_options()).as_bytes());
    }

    fn write_mountstats(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(b"device ");
        text.extend(escape(self.source.as_bytes(), ESCAPED_SOURCE));
        text.extend_from_slice(b" mounted on ");
        text.extend(escape(&self.point, ESCAPED_PATH));
        text.extend_from_slice(format!(" with fstype {}\n", self.kind).as_bytes());
    }
}

/// The path of an entry from the root of its file system.
fn path_in_fs(dentry: &Arc<Dentry>) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = dentry.clone();
    while let Some(parent) = at.parent() {
        names.push(at.name());
        at = parent;
    }
    if names.is_empty() {
        return b"/".to_vec();
    }
    let mut path: Vec<u8> = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if dentry.is_unlinked() {
        path.extend_from_slice(b"//deleted");
    }
    path
}

const ESCAPED_PATH: &[u8] = b" \t\n\\";
const ESCAPED_SOURCE: &[u8] = b" \t\n\\#";

/// These bytes in octal, as getmntent(3) reads them.
fn escape(text: &[u8], which: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match which.contains(byte) {
            true => escaped.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            false => escaped.push(*byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &Line, write: fn(&Line, &mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        write(line, &mut text);
        String::from_utf8(text).unwrap()
    }

    fn data() -> Line {
        Line {
            id: 36,
            parent: 35,
            dev: abi::stat::makedev(0, 21),
            root: b"/a".to_vec(),
            point: b"/mnt/two words".to_vec(),
            flags: MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::RELATIME,
            kind: "tmpfs".to_owned(),
            source: "#none".to_owned(),
            options: "size=4k,mode=755".to_owned(),
        }
    }

    #[test]
    fn reads_as_linux_writes_it() {
        assert_eq!(
            text(&data(), Line::write_mounts),
            "\\043none /mnt/two\\040words tmpfs ro,nosuid,relatime,size=4k,mode=755 0 0\n"
        );
        assert_eq!(
            text(&data(), Line::write_mountinfo),
            "36 35 0:21 /a /mnt/two\\040words ro,nosuid,relatime - tmpfs \\043none \
             rw,size=4k,mode=755\n"
        );
        assert_eq!(
            text(&data(), Line::write_mountstats),
            "device \\043none mounted on /mnt/two\\040words with fstype tmpfs\n"
        );
        let plain = Line { flags: MountFlags::empty(), options: String::new(), ..data() };
        assert!(text(&plain, Line::write_mounts).ends_with(" tmpfs rw 0 0\n"));
    }

    /// The host's mountinfo has the same number of words before and after the dash.
    #[test]
    fn has_the_fields_that_linux_has() {
        let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = text(&data(), Line::write_mountinfo);
        let split = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let dash = words.iter().position(|word| word == "-").unwrap();
            (dash, words.len() - dash)
        };
        let (before, after) = split(ours.trim_end());
        for line in host.lines() {
            let host = split(line);
            assert!(host.0 >= before && host.1 == after, "{line}");
        }
    }
}
