//! The contents of /dev, and the devices behind it: null(4), random(4), full(4), tty(4).
//!
//! The nodes themselves are made in a tmpfs from the lists here; opening one, by whatever name,
//! comes to [`open_device`].

mod mem;
mod random;

pub use mem::is_dev_zero;

use crate::devpts::{DevPts, PTS_MAJOR};
use crate::hostio::Console;
use abi::file::{FileType, OpenFlags};
use abi::stat::{major, makedev, minor};
use abi::{Errno, SysResult};
use mem::Mem;
use parking_lot::Mutex;
use random::Random;
use std::sync::Arc;
use vfs::FileOps;

/// A character device of /dev: name, major, minor, permissions.
pub type DeviceNode = (&'static str, u32, u32, u32);

/// The device nodes.
pub const DEVICES: &[DeviceNode] = &[
    ("null", 1, 3, 0o666),
    ("zero", 1, 5, 0o666),
    ("full", 1, 7, 0o666),
    ("random", 1, 8, 0o666),
    ("urandom", 1, 9, 0o666),
    ("tty", 5, 0, 0o666),
];

/// /dev/console: only where the sandbox has one. `st_rdev` of the console whatever the host's is.
pub const CONSOLE: DeviceNode = ("console", 5, 1, 0o600);

/// Symbolic links: name and target.
pub const SYMLINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Directories: name and permissions.
pub const DIRECTORIES: &[(&str, u32)] = &[("shm", 0o1777), ("pts", 0o755), ("mqueue", 0o1777)];

/// The sandbox's console: one, as the sandbox is this process.
static THE_CONSOLE: Mutex<Option<Arc<Console>>> = Mutex::new(None);

/// Its pseudo-terminals.
static THE_DEVPTS: Mutex<Option<Arc<DevPts>>> = Mutex::new(None);

/// Says what the nodes of pseudo-terminals open, and what a task's own terminal is.
pub fn set_devpts(devpts: Option<Arc<DevPts>>) {
    *THE_DEVPTS.lock() = devpts;
}

fn devpts() -> SysResult<Arc<DevPts>> {
    THE_DEVPTS.lock().clone().ok_or(Errno::ENXIO)
}

/// Says what /dev/console and /dev/tty open.
pub fn set_console(console: Option<Arc<Console>>) {
    *THE_CONSOLE.lock() = console;
}

/// The sandbox's console, if it has one.
pub fn console() -> Option<Arc<Console>> {
    THE_CONSOLE.lock().clone()
}

/// `st_rdev` of the console.
pub fn console_rdev() -> u64 {
    makedev(CONSOLE.1, CONSOLE.2)
}

/// Opens the device that a node names. ENXIO where there is no such device.
pub fn open_device(rdev: u64, kind: FileType, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
    if kind != FileType::CharDevice {
        return Err(Errno::ENXIO);
    }
    match (major(rdev), minor(rdev)) {
        (1, 3) => Ok(Arc::new(Mem::Null)),
        (1, 5) => Ok(Arc::new(Mem::Zero)),
        (1, 7) => Ok(Arc::new(Mem::Full)),
        (1, 8 | 9) => Ok(Arc::new(Random::default())),
        (5, 0) => open_tty(flags),
        (5, 1) => console().ok_or(Errno::ENXIO).map(|console| console.open()),
        (5, 2) => Ok(devpts()?.open_master()?),
        (PTS_MAJOR, index) => devpts()?.open_slave(index, flags),
        _ => Err(Errno::ENXIO),
    }
}

/// /dev/tty: the controlling terminal of the task that opens it. ENXIO where it has none.
fn open_tty(flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
    let rdev = devpts()?.controlling().ok_or(Errno::ENXIO)?;
    match rdev {
        rdev if rdev == console_rdev() => console().ok_or(Errno::ENXIO).map(|c| c.open()),
        rdev => devpts()?.open_slave(minor(rdev), flags | OpenFlags::NOCTTY),
    }
}

#[cfg(test)]
mod tests;
