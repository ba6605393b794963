//! oom_score, oom_score_adj, oom_adj: how likely the OOM killer takes a process.

use super::Live;
use super::stat::resident;
use abi::{Errno, SysResult};
use std::sync::atomic::Ordering;
use vfs::cred::Caps;

/// The range of oom_score_adj.
const ADJ_MIN: i32 = -1000;
const ADJ_MAX: i32 = 1000;

/// The range of the old oom_adj, of which -17 means never.
const OLD_DISABLE: i32 = -17;
const OLD_MAX: i32 = 15;

fn current_adj(live: &Live) -> i32 {
    live.group.oom_score_adj.load(Ordering::Relaxed)
}

pub(super) fn score(live: &Live) -> SysResult<Vec<u8>> {
    let value = badness(resident(live), live.kernel.memory_limit(), current_adj(live));
    Ok(format!("{value}\n").into_bytes())
}

/// As proc_oom_score in the kernel: 0 to 2000, 667 for a process that uses nothing.
fn badness(resident: u64, total: u64, adj: i32) -> i64 {
    if adj == ADJ_MIN {
        return 0;
    }
    let share = u128::from(resident) * 1000 / u128::from(total.max(1));
    ((1000 + share.min(1000) as i64 + i64::from(adj)) * 2 / 3).max(0)
}

pub(super) fn score_adj(live: &Live) -> SysResult<Vec<u8>> {
    Ok(format!("{}\n", current_adj(live)).into_bytes())
}

pub(super) fn set_score_adj(live: &Live, data: &[u8]) -> SysResult<()> {
    let value = parse(data)?;
    if !(ADJ_MIN..=ADJ_MAX).contains(&value) {
        return Err(Errno::EINVAL);
    }
    set(live, value)
}

pub(super) fn adj(live: &Live) -> SysResult<Vec<u8>> {
    Ok(format!("{}\n", to_old(current_adj(live))).into_bytes())
}

pub(super) fn set_adj(live: &Live, data: &[u8]) -> SysResult<()> {
    let value = parse(data)?;
    if !(OLD_DISABLE..=OLD_MAX).contains(&value) {
        return Err(Errno::EINVAL);
    }
    set(live, from_old(value))
}

/// Making it less likely needs CAP_SYS_RESOURCE.
fn set(live: &Live, value: i32) -> SysResult<()> {
    let privileged = kernel::current().is_none_or(|c| c.cred().has_cap(Caps::SYS_RESOURCE));
    if value < current_adj(live).min(0) && !privileged {
        return Err(Errno::EACCES);
    }
    live.group.oom_score_adj.store(value, Ordering::Relaxed);
    Ok(())
}

fn to_old(adj: i32) -> i32 {
    if adj == ADJ_MAX { OLD_MAX } else { adj * -OLD_DISABLE / ADJ_MAX }
}

fn from_old(adj: i32) -> i32 {
    if adj == OLD_MAX { ADJ_MAX } else { adj * ADJ_MAX / -OLD_DISABLE }
}

/// A decimal number with white space around it.
fn parse(data: &[u8]) -> SysResult<i32> {
    let text = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    text.trim_matches(['\0', ' ', '\n', '\t']).parse().map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_as_the_kernel_does() {
        assert_eq!(badness(0, 1 << 30, 0), 666);
        assert_eq!(badness(1 << 30, 1 << 30, 0), 1333);
        assert_eq!(badness(1 << 29, 1 << 30, 1000), 1666);
        assert_eq!(badness(1 << 29, 1 << 30, -1000), 0);
        assert_eq!(badness(1, 0, -999), 667, "no division by nothing");
    }

    #[test]
    fn old_values_come_back() {
        for old in OLD_DISABLE..=OLD_MAX {
            let back = to_old(from_old(old));
            assert!((back - old).abs() <= 1, "{old} became {back}");
        }
        assert_eq!((from_old(-17), from_old(15), from_old(0)), (-1000, 1000, 0));
    }

    #[test]
    fn numbers_are_parsed_strictly() {
        assert_eq!(parse(b" -17\n"), Ok(-17));
        assert_eq!(parse(b"1 2"), Err(Errno::EINVAL));
        assert_eq!(parse(b"\xff"), Err(Errno::EINVAL));
    }
}
