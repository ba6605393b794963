//! Copies of mounts that are mounted nowhere: a tree of files that is reached only through a
//! descriptor, whatever happens to the caller's mount namespace. See open_tree(2),
//! mount_setattr(2).

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Makes a detached copy of the tree at `place` (`O_PATH`; a directory, with all that is mounted
/// beneath it, or a file). Devices and set-user-ID bits mean nothing in it, and nothing can be
/// changed through it if it is `read_only`. Needs CAP_SYS_ADMIN.
pub fn detached_copy(place: BorrowedFd<'_>, read_only: bool) -> io::Result<OwnedFd> {
    const OPEN_TREE_CLONE: libc::c_int = 1;
    const AT_RECURSIVE: libc::c_int = 0x8000;
    const RDONLY: u64 = 1;
    const NOSUID: u64 = 2;
    const NODEV: u64 = 4;
    let empty = c"".as_ptr();
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | AT_RECURSIVE | libc::AT_EMPTY_PATH;
    // SAFETY: an open descriptor, a live string and numbers.
    let fd = check(unsafe { libc::syscall(libc::SYS_open_tree, place.as_raw_fd(), empty, flags) })?;
    // SAFETY: a new descriptor that nobody else has.
    let tree = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // struct mount_attr: set, clear, propagation, user namespace.
    let attributes = [NOSUID | NODEV | if read_only { RDONLY } else { 0 }, 0, 0, 0];
    let flags = AT_RECURSIVE | libc::AT_EMPTY_PATH;
    let (at, size) = (attributes.as_ptr(), size_of_val(&attributes));
    // SAFETY: an open descriptor, a live string, and a live struct of this size.
    check(unsafe {
        libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), empty, flags, at, size)
    })?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_read_only_copy_refuses_changes() {
        let dir = std::env::temp_dir().join(format!("detached-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("file"), "text").unwrap();
        let place = File::open(&dir).unwrap();
        let tree = match detached_copy(place.as_fd(), true) {
            Ok(tree) => tree,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                assert!(std::env::var_os("RUNSC_DENY_SKIPS").is_none());
                eprintln!("skipped: needs CAP_SYS_ADMIN; run as root");
                return;
            }
        };
        let open = |flags: i32| {
            // SAFETY: an open descriptor and a live string; the result is closed with its number.
            let fd = unsafe { libc::openat(tree.as_raw_fd(), c"file".as_ptr(), flags) };
            // SAFETY: as above.
            check(fd.into()).map(|fd| unsafe { libc::close(fd as i32) })
        };
        assert!(open(libc::O_RDONLY).is_ok());
        assert_eq!(open(libc::O_RDWR).unwrap_err().raw_os_error(), Some(libc::EROFS));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
