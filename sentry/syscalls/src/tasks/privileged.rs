//! Calls that are for the administrator of the machine. A sandbox is not the machine: as in a
//! container with a user namespace, its root has no power over the host's modules, swap, ports or
//! kernel, so that the answer is EPERM, after the checks that Linux makes before that one.

use crate::args::{Flags, UserStr};
use abi::{Errno, UserAddr};
use kernel::{CallResult, TaskContext};
use vfs::cred::Caps;

/// EPERM: init_module(2), delete_module(2), finit_module(2), kexec_load(2), kexec_file_load(2),
/// swapoff(2), acct(2), vhangup(2), which look at the capability first.
pub(crate) fn refused(_cx: &mut TaskContext<'_>) -> CallResult {
    Err(Errno::EPERM.into())
}

/// pivot_root(2). For who may mount it is EINVAL, the answer where the root is the initial RAM
/// file system, which cannot be exchanged either: programs know to move a mount over it instead.
pub(crate) fn pivot_root(
    cx: &mut TaskContext<'_>,
    _new_root: UserStr,
    _put_old: UserStr,
) -> CallResult {
    if !cx.cred().has_cap(Caps::SYS_ADMIN) {
        return Err(Errno::EPERM.into());
    }
    Err(Errno::EINVAL.into())
}

/// swapon(2).
pub(crate) fn swapon(_cx: &mut TaskContext<'_>, _path: UserAddr, flags: Flags) -> CallResult {
    /// SWAP_FLAGS_VALID.
    const KNOWN: u32 = 0x7_ffff;
    if flags.0 & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    Err(Errno::EPERM.into())
}

/// iopl(2): the level is 0, and stays so.
pub(crate) fn iopl(_cx: &mut TaskContext<'_>, level: u32) -> CallResult {
    match level {
        0 => Ok(0),
        1..=3 => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// ioperm(2): no port is accessible, and none becomes so.
pub(crate) fn ioperm(_cx: &mut TaskContext<'_>, from: u64, count: u64, on: i32) -> CallResult {
    /// IO_BITMAP_BITS.
    const PORTS: u64 = 65_536;
    let end = from.checked_add(count).filter(|end| *end > from && *end <= PORTS);
    match (end, on) {
        (None, _) => Err(Errno::EINVAL.into()),
        (Some(_), 0) => Ok(0),
        (Some(_), _) => Err(Errno::EPERM.into()),
    }
}

/// reboot(2), as in a pid namespace: to halt or restart is to end its first process, by SIGINT or
/// SIGHUP, and so everything in it.
pub(crate) fn reboot(
    cx: &mut TaskContext<'_>,
    magic: u32,
    magic2: u32,
    command: u32,
) -> CallResult {
    /// LINUX_REBOOT_MAGIC1.
    const MAGIC: u32 = 0xfee1_dead;
    /// LINUX_REBOOT_MAGIC2 and the later ones.
    const MAGIC2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
    const RESTART: u32 = 0x0123_4567;
    const RESTART2: u32 = 0xa1b2_c3d4;
    const HALT: u32 = 0xcdef_0123;
    const POWER_OFF: u32 = 0x4321_fedc;
    if !cx.cred().has_cap(Caps::SYS_BOOT) {
        return Err(Errno::EPERM.into());
    }
    if magic != MAGIC || !MAGIC2.contains(&magic2) {
        return Err(Errno::EINVAL.into());
    }
    let signal = match command {
        RESTART | RESTART2 => abi::signal::Signal::SIGHUP,
        HALT | POWER_OFF => abi::signal::Signal::SIGINT,
        _ => return Err(Errno::EINVAL.into()),
    };
    cx.task.end_sandbox(signal);
    Ok(0)
}
