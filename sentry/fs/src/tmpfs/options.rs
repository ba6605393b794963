//! Mount options.

use abi::{Errno, PAGE_SIZE, SysResult};

/// The options of tmpfs(5) that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// Most bytes of data. None: [`TmpfsOptions::DEFAULT_SIZE`].
    pub size: Option<u64>,
    /// Most inodes. Extended attributes and further hard links count too, by their size, as in
    /// Linux. None: [`TmpfsOptions::DEFAULT_INODES`].
    pub nr_inodes: Option<u64>,
    /// Permissions of the root directory.
    pub mode: u32,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
}

impl Default for TmpfsOptions {
    fn default() -> TmpfsOptions {
        TmpfsOptions { size: None, nr_inodes: None, mode: 0o1777, uid: 0, gid: 0 }
    }
}

impl TmpfsOptions {
    /// Without `size`. Never unlimited: fallocate(2) costs the sentry something per extent.
    pub const DEFAULT_SIZE: u64 = 64 << 30;

    /// Without `nr_inodes`. An inode costs the sentry about half a kilobyte, its name included.
    pub const DEFAULT_INODES: u64 = 1 << 20;

    /// Parses the data of mount(2): "size=64m,mode=1777". `total_memory` is what a percentage is
    /// of, and half of it the size where the options name none. EINVAL for what Linux would refuse.
    pub fn parse(data: &str, total_memory: u64) -> SysResult<TmpfsOptions> {
        let half = Some((total_memory / 2).max(PAGE_SIZE));
        let mut options = TmpfsOptions { size: half, ..TmpfsOptions::default() };
        for option in data.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match key {
                "size" => {
                    options.size = match value.strip_suffix('%') {
                        Some(percent) => {
                            let percent: u64 = percent.parse().map_err(|_| Errno::EINVAL)?;
                            Some((total_memory / 100).saturating_mul(percent))
                        }
                        None => non_zero(number(value)?),
                    };
                }
                "nr_blocks" => {
                    options.size = non_zero(number(value)?.saturating_mul(PAGE_SIZE));
                }
                "nr_inodes" => options.nr_inodes = non_zero(number(value)?),
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?;
                    options.mode = mode & 0o7777;
                }
                "uid" => options.uid = value.parse().map_err(|_| Errno::EINVAL)?,
                "gid" => options.gid = value.parse().map_err(|_| Errno::EINVAL)?,
                // About how Linux uses its memory; nothing a program could notice.
                "huge" | "mpol" | "inode32" | "inode64" | "noswap" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

/// For size and nr_inodes, 0 means no limit.
fn non_zero(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// A number with the suffixes of the kernel's memparse.
fn number(text: &str) -> SysResult<u64> {
    let (digits, shift) = match text.as_bytes().last().map(u8::to_ascii_lowercase) {
        Some(b'k') => (&text[..text.len() - 1], 10),
        Some(b'm') => (&text[..text.len() - 1], 20),
        Some(b'g') => (&text[..text.len() - 1], 30),
        Some(b't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    number.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed_as_linux_does() {
        let parsed = TmpfsOptions::parse("size=64m,mode=755,nr_inodes=1k,uid=5,gid=6", 0).unwrap();
        assert_eq!(parsed.size, Some(64 << 20));
        assert_eq!(parsed.nr_inodes, Some(1024));
        assert_eq!((parsed.mode, parsed.uid, parsed.gid), (0o755, 5, 6));
        assert_eq!(TmpfsOptions::parse("size=50%", 1000 << 20).unwrap().size, Some(500 << 20));
        assert_eq!(TmpfsOptions::parse("", 1 << 30).unwrap().size, Some(1 << 29));
        assert_eq!(TmpfsOptions::parse("size=0", 1 << 30).unwrap().size, None);
        for bad in ["size=", "size=x", "mode=9", "surprise", "uid=-1", "size=99999999999t"] {
            assert_eq!(TmpfsOptions::parse(bad, 0), Err(Errno::EINVAL), "{bad}");
        }
    }
}
