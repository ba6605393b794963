//! Control messages: cmsg(3), and what unix(7) sends with them.

use super::identity;
use abi::{Errno, SysResult, UserAddr};
use kernel::TaskContext;
use net::{MAX_RIGHTS, MsgFlags, PeerCred, Received};
use std::sync::Arc;
use vfs::cred::Caps;
use vfs::{Fd, OpenFile};
use zerocopy::{FromBytes, IntoBytes};

/// `struct cmsghdr`: length, level, type.
const HEADER: usize = 16;
/// The default of net.core.optmem_max.
const MAX_CONTROL: usize = 20480;

/// What comes along with a message that is sent.
#[derive(Default)]
pub(super) struct Control {
    pub files: Vec<Arc<OpenFile>>,
    pub cred: Option<PeerCred>,
}

/// Control messages of the level that sockets share, by type, with their data.
fn split(mut bytes: &[u8]) -> SysResult<Vec<(i32, &[u8])>> {
    let mut found = Vec::new();
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
        let (len, rest) = header.split_at(8);
        let len = u64::read_from_bytes(len).ok().and_then(|len| usize::try_from(len).ok());
        let len = len.filter(|len| (HEADER..=bytes.len()).contains(len)).ok_or(Errno::EINVAL)?;
        let [level, kind] = <[i32; 2]>::read_from_bytes(rest).map_err(|_| Errno::EINVAL)?;
        if level == libc::SOL_SOCKET {
            found.push((kind, &bytes[HEADER..len]));
        }
        bytes = bytes.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
    Ok(found)
}

impl Control {
    /// Reads and checks what is at `addr`. ENOBUFS where it is too much.
    pub fn read(cx: &TaskContext<'_>, addr: UserAddr, len: u64) -> SysResult<Control> {
        let mut control = Control::default();
        if len == 0 || addr.is_null() {
            return Ok(control);
        }
        if len > MAX_CONTROL as u64 {
            return Err(Errno::ENOBUFS);
        }
        let bytes: Vec<u8> = cx.mm().read_array(addr, len, MAX_CONTROL)?;
        for (kind, data) in split(&bytes)? {
            match kind {
                libc::SCM_RIGHTS => control.add_files(cx, data)?,
                libc::SCM_CREDENTIALS => {
                    let cred = PeerCred::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                    check_cred(cx, &cred)?;
                    control.cred = Some(cred);
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(control)
    }

    fn add_files(&mut self, cx: &TaskContext<'_>, data: &[u8]) -> SysResult<()> {
        if self.files.len() + data.len() / 4 > MAX_RIGHTS {
            return Err(Errno::EINVAL);
        }
        let table = cx.files();
        for fd in data.chunks_exact(4) {
            let fd = i32::read_from_bytes(fd).map_err(|_| Errno::EINVAL)?;
            self.files.push(table.get(Fd(fd))?);
        }
        Ok(())
    }
}

/// EPERM for an identity that is not the sender's.
fn check_cred(cx: &TaskContext<'_>, claimed: &PeerCred) -> SysResult<()> {
    let cred = cx.cred();
    let pid = claimed.pid == identity(cx).pid || cred.has_cap(Caps::SYS_ADMIN);
    let uid = [cred.uid, cred.euid, cred.suid].contains(&claimed.uid) || cred.has_cap(Caps::SETUID);
    let gid = [cred.gid, cred.egid, cred.sgid].contains(&claimed.gid) || cred.has_cap(Caps::SETGID);
    if pid && uid && gid { Ok(()) } else { Err(Errno::EPERM) }
}

/// Appends a control message, as much of it as fits; false where something had to be left out.
fn push(out: &mut Vec<u8>, room: usize, kind: i32, data: &[u8]) -> bool {
    let left = room.saturating_sub(out.len());
    if left < HEADER {
        return false;
    }
    let len = (HEADER + data.len()).min(left);
    out.extend_from_slice(&(len as u64).to_ne_bytes());
    out.extend_from_slice([libc::SOL_SOCKET, kind].as_bytes());
    out.extend_from_slice(&data[..len - HEADER]);
    let padded = out.len().next_multiple_of(8).min(room);
    out.resize(padded, 0);
    len == HEADER + data.len()
}

/// Writes what came with a message to the `room` bytes at `addr`, and installs its files. Returns
/// how much was written; MSG_CTRUNC in `flags` where something did not fit.
pub(super) fn deliver(
    cx: &TaskContext<'_>,
    received: &mut Received,
    addr: UserAddr,
    room: usize,
    close_on_exec: bool,
    flags: &mut MsgFlags,
) -> SysResult<usize> {
    let room = if addr.is_null() { 0 } else { room.min(MAX_CONTROL) };
    let mut out = Vec::new();
    let mut complete = true;
    if let Some(cred) = received.cred {
        complete &= push(&mut out, room, libc::SCM_CREDENTIALS, cred.as_bytes());
    }
    let files = std::mem::take(&mut received.rights);
    if !files.is_empty() {
        let fit = room.saturating_sub(out.len() + HEADER) / 4;
        complete &= fit >= files.len();
        let mut numbers: Vec<i32> = Vec::new();
        for file in files.into_iter().take(fit) {
            match cx.install(file, close_on_exec) {
                Ok(fd) => numbers.push(fd.0),
                Err(_) => {
                    complete = false;
                    break;
                }
            }
        }
        if !numbers.is_empty() {
            push(&mut out, room, libc::SCM_RIGHTS, numbers.as_bytes());
        }
    }
    flags.set(MsgFlags::CTRUNC, !complete);
    cx.mm().write_bytes(addr, &out)?;
    Ok(out.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&((HEADER + data.len()) as u64).to_ne_bytes());
        out.extend_from_slice([level, kind].as_bytes());
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }

    #[test]
    fn messages_are_split_and_other_levels_left_out() {
        let bytes = [
            message(libc::SOL_SOCKET, 1, &[1, 2, 3, 4]),
            message(99, 1, &[5]),
            message(libc::SOL_SOCKET, 2, &[6; 12]),
        ]
        .concat();
        assert_eq!(split(&bytes).unwrap(), [(1, &[1, 2, 3, 4][..]), (2, &[6; 12][..])]);
        assert_eq!(split(&[0; 15]).unwrap(), []);
    }

    #[test]
    fn lengths_are_checked() {
        let mut bytes = message(libc::SOL_SOCKET, 1, &[1, 2, 3, 4]);
        for bad in [0u64, 15, 25, u64::MAX] {
            bytes[..8].copy_from_slice(&bad.to_ne_bytes());
            assert_eq!(split(&bytes).err(), Some(Errno::EINVAL), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut out = Vec::new();
        assert!(push(&mut out, 64, 2, &[7; 12]));
        assert_eq!(out.len(), 32);
        assert!(push(&mut out, 64, 1, &[8; 4]));
        assert_eq!(out.len(), 56);
        assert!(!push(&mut out, 64, 1, &[9; 4]));
        assert_eq!(out.len(), 56);
        let mut out = Vec::new();
        assert!(!push(&mut out, 20, 2, &[7; 12]));
        assert_eq!(out.len(), 20);
    }
}
