//! Files, directories, descriptors, events, sockets.

use crate::args::{Flags, Mode, UserStr};
use crate::files::*;
use crate::table::rows;
use abi::UserAddr;
use vfs::Fd;

rows! {
    0 read(fd: Fd, buf: UserAddr, count: usize) => transfer::read, Full;
}
