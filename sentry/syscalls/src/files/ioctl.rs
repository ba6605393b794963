//! ioctl(2): the generic ones; others are the file's.

use super::blocking::restartable;
use super::fcntl::set_flags;
use crate::args::Flags;
use abi::file::{FileType, OpenFlags};
use abi::{Errno, UserAddr};
use kernel::{CallResult, TaskContext};
use vfs::Fd;

const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
const FIONBIO: u32 = 0x5421;
const FIOASYNC: u32 = 0x5452;
const FIONREAD: u32 = 0x541b;
const FIOQSIZE: u32 = 0x5460;
const FIGETBSZ: u32 = 2;
const TIOCGPTPEER: u32 = 0x5441;

/// ioctl(2).
pub(crate) fn ioctl(cx: &mut TaskContext<'_>, fd: Fd, cmd: Flags, arg: u64) -> CallResult {
    let cmd = cmd.0;
    let file = cx.file(fd)?;
    let addr = UserAddr(arg);
    let kind = file.path().inode().file_type();
    // What is nameless and not of any type is a regular file here, but has no offset.
    let is_regular = kind == FileType::Regular && file.ops().is_seekable();
    match cmd {
        FIOCLEX | FIONCLEX => cx.files().set_close_on_exec(fd, cmd == FIOCLEX)?,
        FIONBIO => {
            let on: i32 = cx.read(addr)?;
            let mut flags = file.flags();
            flags.set(OpenFlags::NONBLOCK, on != 0);
            set_flags(cx, &file, flags)?;
        }
        // There is no SIGIO.
        FIOASYNC => {
            let on: i32 = cx.read(addr)?;
            if on != 0 {
                return Err(Errno::ENOTTY.into());
            }
        }
        FIONREAD if is_regular => {
            let left = file.ops().size()? as i64 - file.pos() as i64;
            cx.write(addr, &(left as i32))?;
        }
        FIOQSIZE if is_regular || kind == FileType::Directory => {
            let size = file.path().inode().attr()?.size;
            cx.write(addr, &size)?;
        }
        TIOCGPTPEER => {
            let flags = OpenFlags::from_bits_truncate(arg as u32);
            let peer = fs::devpts::open_peer(&file, flags).ok_or(Errno::ENOTTY)??;
            return Ok(cx.install(peer, flags.contains(OpenFlags::CLOEXEC))?.0 as u64);
        }
        FIGETBSZ if is_regular || kind == FileType::Directory => {
            let size = file.path().inode().attr()?.blksize;
            cx.write(addr, &size)?;
        }
        _ => {
            let result = file.ops().ioctl(&file, &cx.mm(), cmd, arg);
            return restartable(result);
        }
    }
    Ok(0)
}
