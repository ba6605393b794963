//! How a process gives up what it has. See capabilities(7), prctl(2).
//!
//! Capabilities belong to threads, so call these while there is one thread; the others inherit.

use super::check;
use std::io;
use std::os::fd::RawFd;

/// A set of capabilities: bit `n` is capability number `n` (CAP_CHOWN is 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// None.
    pub const NONE: Capabilities = Capabilities(0);
    /// What a file server needs to act for the users of a container: CHOWN, DAC_OVERRIDE,
    /// DAC_READ_SEARCH, FOWNER, FSETID, MKNOD, SETFCAP.
    pub const FILES: Capabilities =
        Capabilities(1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 27 | 1 << 31);

    /// Those of both sets.
    pub const fn and(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & other.0)
    }
}

const VERSION_3: u32 = 0x2008_0522;
/// No current kernel has as many.
const MAX_CAPABILITY: u32 = 63;

/// struct __user_cap_data_struct[2]: effective, permitted, inheritable; low words, then high.
type CapData = [[u32; 3]; 2];

/// The permitted and effective capabilities of the calling thread.
pub fn capabilities() -> io::Result<Capabilities> {
    let mut header = [VERSION_3, 0];
    let mut data: CapData = [[0; 3]; 2];
    // SAFETY: the kernel reads the header and writes both elements.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) })?;
    Ok(Capabilities(u64::from(data[0][0]) | u64::from(data[1][0]) << 32))
}

/// Keeps no capability but these (and of these only what the thread has): neither effective,
/// permitted, inheritable, ambient nor in the bounding set; and none ever comes back by being root
/// or by exec (securebits, locked).
pub fn keep_capabilities(keep: Capabilities) -> io::Result<()> {
    let had = capabilities()?;
    let keep = had.and(keep);
    // An older kernel without ambient capabilities has none to clear.
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64);
    const SETPCAP: u64 = 1 << 8;
    if had.0 & SETPCAP != 0 {
        for capability in 0..=MAX_CAPABILITY {
            // EINVAL: past the last one that this kernel knows.
            if keep.0 >> capability & 1 == 0
                && let Err(error) = prctl(libc::PR_CAPBSET_DROP, u64::from(capability))
            {
                if error.raw_os_error() == Some(libc::EINVAL) {
                    break;
                }
                return Err(error);
            }
        }
        // NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each locked, and KEEP_CAPS locked at off.
        const BITS: u64 = 0b1110_1111;
        prctl(libc::PR_SET_SECUREBITS, BITS)?;
    }
    // Without SETPCAP the bounding set stays, which means nothing under no_new_privs.
    let header = [VERSION_3, 0];
    let low_high = [keep.0 as u32, (keep.0 >> 32) as u32];
    let data: CapData = low_high.map(|word| [word, word, 0]);
    // SAFETY: the kernel reads the header and both elements.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })?;
    Ok(())
}

/// Sets no_new_privs: no exec ever gives rights.
pub fn no_new_privs() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Makes the process undumpable: no core, no ptrace and no /proc/pid access by its own user.
pub fn not_dumpable() -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

/// The host kills the process when the thread that started it ends.
pub fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)
}

/// Names the calling thread, as seen in ps (PR_SET_NAME); cut after 15 bytes.
pub fn set_thread_name(name: &std::ffi::CStr) -> io::Result<()> {
    prctl(libc::PR_SET_NAME, name.as_ptr().expose_provenance() as u64)
}

fn prctl(option: i32, arg: u64) -> io::Result<()> {
    // SAFETY: private; the options used here take a number or a live C string, and unused
    // arguments must be zero.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, arg, 0, 0, 0) }).map(drop)
}

/// Marks every descriptor above 2 close-on-exec but those in `keep`, and returns how many ranges
/// that took. For a process that was started by a stranger and is about to exec.
///
/// (To really close what others may hold an `OwnedFd` of would break I/O safety; to start a
/// process with given descriptors only, use [`super::process::SpawnOptions`].)
pub fn cloexec_all_but(keep: &[RawFd]) -> io::Result<usize> {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    keep.dedup();
    keep.push(RawFd::MAX);
    let mut first = 3;
    let mut ranges = 0;
    for fd in keep {
        if first < fd {
            let flags = libc::CLOSE_RANGE_CLOEXEC;
            // SAFETY: with this flag nothing is closed now.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, flags) })?;
            ranges += 1;
        }
        first = fd.saturating_add(1);
    }
    Ok(ranges)
}
