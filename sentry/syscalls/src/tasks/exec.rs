//! execve(2), execveat(2).

use crate::args::{Flags, UserStr};
use abi::file::FileType;
use abi::{Errno, SysResult, UserAddr};
use kernel::exec::{Arguments, MAX_ARG_STRINGS, MAX_ARG_STRLEN, argument_space};
use kernel::{CallResult, Resource, TaskContext};
use vfs::{Fd, WalkFlags};

/// execve(2).
pub(crate) fn execve(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    argv: UserAddr,
    envp: UserAddr,
) -> CallResult {
    execveat(cx, Fd(libc::AT_FDCWD), path, argv, envp, Flags(0))
}

/// execveat(2).
pub(crate) fn execveat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    argv: UserAddr,
    envp: UserAddr,
    flags: Flags,
) -> CallResult {
    let known = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) as u32;
    if flags.0 & !known != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = cx.read_path(path.0)?;
    let follow = flags.0 & libc::AT_SYMLINK_NOFOLLOW as u32 == 0;
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, follow);
    walk.set(WalkFlags::EMPTY, flags.0 & libc::AT_EMPTY_PATH as u32 != 0);
    let place = cx.with_path(dir, &path, |paths| paths.walk(&path, walk))?;
    if !follow && place.inode().file_type() == FileType::Symlink {
        return Err(Errno::ELOOP.into());
    }
    // How a script's interpreter can name the file.
    let name = if dir.0 == libc::AT_FDCWD || path.first() == Some(&b'/') {
        path
    } else if path.is_empty() {
        format!("/dev/fd/{}", dir.0).into_bytes()
    } else {
        [format!("/dev/fd/{}/", dir.0).as_bytes(), &path].concat()
    };
    let mut space = argument_space(cx.group().limits().get(Resource::Stack).cur);
    let argv = read_strings(cx, argv, &mut space)?;
    let envp = read_strings(cx, envp, &mut space)?;
    cx.exec(place, name, Arguments { argv, envp })
}

/// Copies a NULL-terminated array of strings. E2BIG when `space` is used up.
fn read_strings(
    cx: &TaskContext<'_>,
    array: UserAddr,
    space: &mut usize,
) -> SysResult<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    if array.is_null() {
        return Ok(strings);
    }
    let mm = cx.mm();
    for index in 0..MAX_ARG_STRINGS as u64 {
        let pointer: u64 = mm.read(array.offset(index * 8))?;
        if pointer == 0 {
            return Ok(strings);
        }
        let string = mm
            .read_cstr(UserAddr(pointer), MAX_ARG_STRLEN)
            .map_err(|errno| if errno == Errno::ENAMETOOLONG { Errno::E2BIG } else { errno })?;
        let needed = string.len() + 1 + size_of::<u64>();
        *space = space.checked_sub(needed).ok_or(Errno::E2BIG)?;
        strings.push(string);
    }
    Err(Errno::E2BIG)
}
