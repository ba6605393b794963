//! Extended attributes: xattr(7).

use super::super_block::SuperBlock;
use abi::{Errno, SysResult};
use std::collections::BTreeMap;

/// XATTR_SIZE_MAX.
const MAX_VALUE: usize = 65536;
/// XATTR_LIST_MAX: what listxattr(2) can give.
const MAX_LIST: usize = 65536;
/// Flags of setxattr(2).
const XATTR_CREATE: u32 = 1;
const XATTR_REPLACE: u32 = 2;
/// What an attribute costs beyond its bytes.
const OVERHEAD: usize = 64;

/// The attributes of one inode; each counts against the inode limit.
#[derive(Default)]
pub(super) struct Xattrs {
    map: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

impl Xattrs {
    /// ENODATA, or EOPNOTSUPP for a namespace that is not kept here.
    pub fn get(&self, name: &[u8]) -> SysResult<Vec<u8>> {
        check_name(name)?;
        self.map.get(name).map(|value| value.to_vec()).ok_or(Errno::ENODATA)
    }

    pub fn names(&self) -> Vec<Vec<u8>> {
        self.map.keys().map(|name| name.to_vec()).collect()
    }

    pub fn set(
        &mut self,
        limits: &SuperBlock,
        name: &[u8],
        value: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        check_name(name)?;
        if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
            return Err(Errno::EINVAL);
        }
        if value.len() > MAX_VALUE {
            return Err(Errno::E2BIG);
        }
        let old = self.map.get(name);
        match old {
            Some(_) if flags & XATTR_CREATE != 0 => return Err(Errno::EEXIST),
            None if flags & XATTR_REPLACE != 0 => return Err(Errno::ENODATA),
            None if self.list_len() + name.len() + 1 > MAX_LIST => return Err(Errno::ENOSPC),
            _ => {}
        }
        let released = old.map_or(0, |old| cost(name, old));
        limits.charge_inode_space(cost(name, value))?;
        limits.release_inode_space(released);
        self.map.insert(name.into(), value.into());
        Ok(())
    }

    pub fn remove(&mut self, limits: &SuperBlock, name: &[u8]) -> SysResult<()> {
        check_name(name)?;
        let value = self.map.remove(name).ok_or(Errno::ENODATA)?;
        limits.release_inode_space(cost(name, &value));
        Ok(())
    }

    /// What all of them count against the inode limit.
    pub fn total_cost(&self) -> u64 {
        self.map.iter().map(|(name, value)| cost(name, value)).sum()
    }

    fn list_len(&self) -> usize {
        self.map.keys().map(|name| name.len() + 1).sum()
    }
}

fn cost(name: &[u8], value: &[u8]) -> u64 {
    (OVERHEAD + name.len() + value.len()) as u64
}

/// Only namespaces that need no logic are kept; POSIX ACLs (system.*) are not.
fn check_name(name: &[u8]) -> SysResult<()> {
    let prefixes: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
    match prefixes.iter().find_map(|prefix| name.strip_prefix(*prefix)) {
        None => Err(Errno::EOPNOTSUPP),
        Some(b"") => Err(Errno::EINVAL),
        Some(_) => Ok(()),
    }
}
