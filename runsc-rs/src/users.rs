//! Whom a user id belongs to: passwd(5), read without any library that could load plug-ins.

use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Vec<u8>,
    /// The group id.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
}

/// No passwd file that a person looks after is longer.
const MAX_FILE: u64 = 1 << 20;

/// Looks a user up in the passwd file of a root file system. Links in it lead nowhere else.
pub fn find(root: &Path, uid: u32) -> Option<Entry> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let dir = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let file = rustix::fs::openat2(
        dir,
        "etc/passwd",
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    let mut text = Vec::new();
    File::from(file.ok()?).take(MAX_FILE).read_to_end(&mut text).ok()?;
    parse(&text, uid)
}

fn parse(text: &[u8], uid: u32) -> Option<Entry> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
        let number = |index: usize| std::str::from_utf8(fields.get(index)?).ok()?.parse().ok();
        let name = fields.first().filter(|name| !name.is_empty())?.to_vec();
        let home = PathBuf::from(OsString::from_vec(fields.get(5)?.to_vec()));
        let found: u32 = number(2)?;
        (found == uid).then_some(Entry { name, gid: number(3)?, home })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_number() {
        let text = b"root:x:0:0:root:/root:/bin/sh\nbad line\nx:x:y:z::\n\
            ann:x:1000:100:Ann,,,:/home/ann:/bin/sh\n";
        let entry = parse(text, 1000).unwrap();
        assert_eq!((entry.name.as_slice(), entry.gid), (&b"ann"[..], 100));
        assert_eq!(entry.home, Path::new("/home/ann"));
        assert_eq!(parse(text, 1), None);
    }
}
