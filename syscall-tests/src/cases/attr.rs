//! Attributes of files: stat(2), statx(2), chmod(2), chown(2), utimensat(2), access(2), statfs(2).

use crate::calls::{self, chmod, open};
use crate::case::{Case, Outcome, in_child, skip};
use crate::sys::{BAD, SysResult, zeroed};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "attr";
    stat_of_regular_file: "type, mode, size, blocks, links and owner of a file";
    stat_errors: "stat's ENOENT, ENOTDIR and EFAULT, fstat's EBADF";
    fstatat_flags: "AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH; unknown flags are EINVAL";
    stat_of_devices: "/dev/null is character device 1:3";
    stat_of_pipe_and_socket: "fstat knows pipes and sockets";
    statx_fills_mask: "statx fills what stat does, and says so";
    statx_errors: "statx's EINVAL, EFAULT and EBADF";
    chmod_changes_mode: "chmod, fchmod and fchmodat change the mode, and ctime";
    chmod_follows_symlinks: "chmod changes the target of a link";
    chmod_errors: "chmod's ENOENT, ENOTDIR and EFAULT";
    fchmodat2_flags: "fchmodat2 refuses unknown flags and changes no symbolic link";
    chmod_of_others_file_is_eperm [Root]: "only the owner may change the mode";
    chown_needs_privilege [Ordinary]: "giving a file away is EPERM, to oneself works";
    chown_minus_one_keeps [Root]: "an id of -1 keeps the old one";
    chown_clears_set_id_bits [Root]: "chown takes the set-user-id bit away";
    lchown_changes_the_link [Root]: "lchown and AT_SYMLINK_NOFOLLOW change the link itself";
    write_clears_setuid [Ordinary]: "a write by an ordinary user takes the set-user-id bit away";
    utimensat_sets_times: "utimensat sets nanoseconds";
    utimensat_now_and_omit: "UTIME_NOW and UTIME_OMIT";
    utimensat_errors: "utimensat's EINVAL, ENOENT, EFAULT and EBADF";
    utimes_of_others_file [Root]: "setting times is EPERM for others, to now EACCES";
    access_checks_existence_and_bits: "access: F_OK, R_OK, W_OK, X_OK, EINVAL for others";
    access_as_ordinary_user [Ordinary]: "access looks at the mode";
    access_uses_real_ids [Root]: "access uses the real ids, AT_EACCESS the effective ones";
    access_root_needs_one_execute_bit [Root]: "X_OK for root needs an execute bit";
    statfs_of_directory: "statfs and fstatfs agree";
    proc_statfs_type: "/proc is of type PROC_SUPER_MAGIC";
    xattr_set_get_list_remove: "user attributes can be set, read, listed and removed";
    rename_and_link_touch_times: "making a name changes the directory's mtime";
    read_only_file_is_writable_by_open_descriptor: "chmod does not take open access away";
}

fn stat_of_regular_file(c: &mut Case) -> Outcome {
    let path = c.file("f", &[1; 5000])?;
    chmod(&path, 0o640)?;
    let stat = calls::stat(&path)?;
    check_eq!(stat.st_mode, libc::S_IFREG | 0o640, "mode");
    check_eq!((stat.st_size, stat.st_nlink), (5000, 1), "size and links");
    check_eq!(stat.st_uid, calls::geteuid(), "owner");
    check!(stat.st_blocks == 0 || stat.st_blocks >= 10, "blocks, got {}", stat.st_blocks);
    check!(stat.st_blksize >= 512, "block size, got {}", stat.st_blksize);
    check!(stat.st_ino != 0, "an inode number");
    Ok(())
}

fn stat_errors(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    check_errno!(calls::stat(&c.path("none")?), ENOENT);
    check_errno!(calls::stat(""), ENOENT);
    check_errno!(calls::stat(&format!("{path}/x")), ENOTDIR);
    check_errno!(calls::stat(&format!("{path}/")), ENOTDIR);
    check_errno!(calls::fstat(999), EBADF);
    check_errno!(sys!(SYS_stat, BAD, BAD), EFAULT);
    check_errno!(sys!(SYS_stat, &calls::cstr(&path), BAD), EFAULT);
    Ok(())
}

fn fstatat(fd: i32, path: &str, flags: i32) -> SysResult<libc::stat> {
    let mut stat = zeroed::<libc::stat>();
    sys!(SYS_newfstatat, fd, &calls::cstr(path), &mut stat, flags)?;
    Ok(stat)
}

fn fstatat_flags(c: &mut Case) -> Outcome {
    c.file("f", b"abc")?;
    calls::symlink("f", &c.path("s")?)?;
    let dir = open(&c.dir()?, libc::O_PATH, 0)?;
    check_eq!(fstatat(dir, "s", 0)?.st_size, 3, "size of the target");
    let link = fstatat(dir, "s", libc::AT_SYMLINK_NOFOLLOW)?;
    check_eq!(link.st_mode & libc::S_IFMT, libc::S_IFLNK, "type of the link");
    let own = fstatat(dir, "", libc::AT_EMPTY_PATH)?;
    check_eq!(own.st_mode & libc::S_IFMT, libc::S_IFDIR, "type by AT_EMPTY_PATH");
    check_errno!(fstatat(dir, "", 0), ENOENT);
    check_errno!(fstatat(dir, "f", 1), EINVAL);
    check_errno!(fstatat(999, "f", 0), EBADF);
    fstatat(999, "/", 0)?;
    Ok(())
}

fn stat_of_devices(_: &mut Case) -> Outcome {
    for (path, minor) in [("/dev/null", 3), ("/dev/zero", 5), ("/dev/full", 7)] {
        let stat = calls::stat(path)?;
        check_eq!(stat.st_mode & libc::S_IFMT, libc::S_IFCHR, "type of {path}");
        check_eq!(stat.st_rdev, 0x100 + minor, "device number of {path}");
    }
    Ok(())
}

fn stat_of_pipe_and_socket(_: &mut Case) -> Outcome {
    let (r, w) = calls::pipe(0)?;
    let (one, other) = (calls::fstat(r)?, calls::fstat(w)?);
    check_eq!(one.st_mode & libc::S_IFMT, libc::S_IFIFO, "type of a pipe");
    check_eq!(one.st_ino, other.st_ino, "inode of both ends");
    let socket = sys!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)? as i32;
    check_eq!(calls::fstat(socket)?.st_mode & libc::S_IFMT, libc::S_IFSOCK, "type of a socket");
    Ok(())
}

fn statx_fills_mask(c: &mut Case) -> Outcome {
    let path = c.file("f", b"abc")?;
    let mut got = zeroed::<libc::statx>();
    let basic = libc::STATX_BASIC_STATS;
    sys!(SYS_statx, -100, &calls::cstr(&path), 0, basic, &mut got)?;
    check_eq!(got.stx_mask & basic, basic, "mask");
    let stat = calls::stat(&path)?;
    check_eq!(u32::from(got.stx_mode), stat.st_mode, "mode");
    check_eq!((got.stx_size, got.stx_ino), (3, stat.st_ino), "size and inode");
    check_eq!(got.stx_mtime.tv_sec, stat.st_mtime, "mtime");
    let device = libc::makedev(got.stx_dev_major, got.stx_dev_minor);
    check_eq!(device, stat.st_dev, "device");
    Ok(())
}

fn statx_errors(c: &mut Case) -> Outcome {
    let path = calls::cstr(&c.file("f", b"")?);
    let mut got = zeroed::<libc::statx>();
    check_errno!(sys!(SYS_statx, -100, &path, 0, 0x8000_0000u32, &mut got), EINVAL);
    check_errno!(sys!(SYS_statx, -100, &path, 1, 0, &mut got), EINVAL);
    check_errno!(sys!(SYS_statx, -100, &path, 0x6000, 0, &mut got), EINVAL);
    check_errno!(sys!(SYS_statx, -100, &path, 0, 0, BAD), EFAULT);
    check_errno!(sys!(SYS_statx, 999, c"f", 0, 0, &mut got), EBADF);
    check_errno!(sys!(SYS_statx, -100, c"", 0, 0, &mut got), ENOENT);
    Ok(())
}

fn chmod_changes_mode(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let mode = |path: &str| calls::stat(path).map(|s| s.st_mode & 0o7777);
    chmod(&path, 0o4711)?;
    check_eq!(mode(&path)?, 0o4711, "mode by chmod");
    let fd = open(&path, libc::O_RDONLY, 0)?;
    sys!(SYS_fchmod, fd, 0o600)?;
    check_eq!(mode(&path)?, 0o600, "mode by fchmod");
    // Bits beyond the twelve are ignored.
    sys!(SYS_fchmodat, -100, &calls::cstr(&path), 0o100_644)?;
    check_eq!(mode(&path)?, 0o644, "mode by fchmodat");
    Ok(())
}

fn chmod_follows_symlinks(c: &mut Case) -> Outcome {
    let (file, link) = (c.file("f", b"")?, c.path("s")?);
    calls::symlink("f", &link)?;
    chmod(&link, 0o611)?;
    check_eq!(calls::stat(&file)?.st_mode & 0o7777, 0o611, "mode of the target");
    check_eq!(calls::lstat(&link)?.st_mode & 0o7777, 0o777, "mode of the link");
    Ok(())
}

fn chmod_errors(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    check_errno!(chmod(&c.path("none")?, 0o600), ENOENT);
    check_errno!(chmod(&format!("{path}/x"), 0o600), ENOTDIR);
    check_errno!(sys!(SYS_chmod, BAD, 0o600), EFAULT);
    check_errno!(sys!(SYS_fchmod, 999, 0o600), EBADF);
    Ok(())
}

fn fchmodat2_flags(c: &mut Case) -> Outcome {
    let (path, link) = (c.file("f", b"")?, c.path("s")?);
    calls::symlink("f", &link)?;
    let nofollow = libc::AT_SYMLINK_NOFOLLOW;
    match sys!(SYS_fchmodat2, -100, &calls::cstr(&path), 0o640, nofollow) {
        Err(errno) if errno.0 == libc::ENOSYS => return skip("the kernel lacks fchmodat2"),
        other => other?,
    };
    check_eq!(calls::stat(&path)?.st_mode & 0o7777, 0o640, "mode");
    check_errno!(sys!(SYS_fchmodat2, -100, &calls::cstr(&path), 0o600, 1), EINVAL);
    check_errno!(sys!(SYS_fchmodat2, -100, &calls::cstr(&link), 0o600, nofollow), EOPNOTSUPP);
    Ok(())
}

fn chown(path: &str, uid: i64, gid: i64) -> SysResult {
    sys!(SYS_chown, &calls::cstr(path), uid, gid)
}

fn chmod_of_others_file_is_eperm(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    chmod(&path, 0o666)?;
    in_child(|| {
        calls::become_user(crate::case::ORDINARY)?;
        check_errno!(chmod(&path, 0o600), EPERM);
        Ok(())
    })
}

fn chown_needs_privilege(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let stat = calls::stat(&path)?;
    check_errno!(chown(&path, 0, -1), EPERM);
    check_errno!(chown(&path, -1, 4321), EPERM);
    chown(&path, i64::from(stat.st_uid), i64::from(stat.st_gid))?;
    Ok(())
}

fn chown_minus_one_keeps(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    chown(&path, 1000, 2000)?;
    chown(&path, -1, 2001)?;
    chown(&path, 1001, -1)?;
    let stat = calls::stat(&path)?;
    check_eq!((stat.st_uid, stat.st_gid), (1001, 2001), "owner and group");
    Ok(())
}

fn chown_clears_set_id_bits(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    chmod(&path, 0o6755)?;
    chown(&path, 1000, -1)?;
    check_eq!(calls::stat(&path)?.st_mode & 0o7777, 0o755, "mode after chown");
    // Without group execute the bit meant mandatory locking, and stays.
    chmod(&path, 0o2644)?;
    chown(&path, 1001, -1)?;
    check_eq!(calls::stat(&path)?.st_mode & 0o7777, 0o2644, "mode after the second chown");
    Ok(())
}

fn lchown_changes_the_link(c: &mut Case) -> Outcome {
    let (file, link) = (c.file("f", b"")?, c.path("s")?);
    calls::symlink("f", &link)?;
    sys!(SYS_lchown, &calls::cstr(&link), 1000, 1000)?;
    check_eq!(calls::lstat(&link)?.st_uid, 1000, "owner of the link");
    check_eq!(calls::stat(&file)?.st_uid, 0, "owner of the file");
    let name = calls::cstr(&link);
    sys!(SYS_fchownat, -100, &name, 1001, -1, libc::AT_SYMLINK_NOFOLLOW)?;
    check_eq!(calls::lstat(&link)?.st_uid, 1001, "owner by fchownat");
    check_errno!(sys!(SYS_fchownat, -100, &name, 0, 0, 1), EINVAL);
    Ok(())
}

fn write_clears_setuid(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    chmod(&path, 0o4755)?;
    let fd = open(&path, libc::O_WRONLY, 0)?;
    calls::write(fd, b"x")?;
    check_eq!(calls::stat(&path)?.st_mode & 0o7777, 0o755, "mode after a write");
    Ok(())
}

/// Two timespecs, as `utimensat` takes them.
type Times = [i64; 4];

fn utimensat(path: &str, times: &Times, flags: i32) -> SysResult {
    sys!(SYS_utimensat, -100, &calls::cstr(path), times, flags)
}

fn utimensat_sets_times(c: &mut Case) -> Outcome {
    let (path, link) = (c.file("f", b"")?, c.path("s")?);
    utimensat(&path, &[1_000_000, 123_456_789, 2_000_000, 987_654_321], 0)?;
    let stat = calls::stat(&path)?;
    check_eq!((stat.st_atime, stat.st_atime_nsec), (1_000_000, 123_456_789), "atime");
    check_eq!((stat.st_mtime, stat.st_mtime_nsec), (2_000_000, 987_654_321), "mtime");
    calls::symlink("f", &link)?;
    utimensat(&link, &[5, 0, 6, 0], libc::AT_SYMLINK_NOFOLLOW)?;
    check_eq!(calls::lstat(&link)?.st_mtime, 6, "mtime of the link");
    check_eq!(calls::stat(&path)?.st_mtime, 2_000_000, "mtime of its target");
    Ok(())
}

fn utimensat_now_and_omit(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    utimensat(&path, &[1000, 1, 2000, 2], 0)?;
    utimensat(&path, &[0, libc::UTIME_OMIT, 0, libc::UTIME_NOW], 0)?;
    let stat = calls::stat(&path)?;
    check_eq!((stat.st_atime, stat.st_atime_nsec), (1000, 1), "atime omitted");
    check!(stat.st_mtime > 1_000_000, "mtime now, got {}", stat.st_mtime);
    sys!(SYS_utimensat, -100, &calls::cstr(&path), 0, 0)?;
    check!(calls::stat(&path)?.st_atime > 1_000_000, "atime now");
    Ok(())
}

fn utimensat_errors(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    check_errno!(utimensat(&path, &[0, -1, 0, 0], 0), EINVAL);
    check_errno!(utimensat(&path, &[0, 0, 0, 1_000_000_000], 0), EINVAL);
    check_errno!(utimensat(&path, &[0; 4], 1), EINVAL);
    check_errno!(utimensat(&c.path("none")?, &[0; 4], 0), ENOENT);
    check_errno!(sys!(SYS_utimensat, -100, &calls::cstr(&path), BAD, 0), EFAULT);
    check_errno!(sys!(SYS_utimensat, 999, 0, 0, 0), EBADF);
    // Both omitted: not even the path is looked at.
    let omit = [0, libc::UTIME_OMIT, 0, libc::UTIME_OMIT];
    utimensat(&c.path("none")?, &omit, 0)?;
    Ok(())
}

fn utimes_of_others_file(c: &mut Case) -> Outcome {
    let (closed, open) = (c.file("a", b"")?, c.file("b", b"")?);
    chmod(&open, 0o666)?;
    in_child(|| {
        calls::become_user(crate::case::ORDINARY)?;
        check_errno!(utimensat(&closed, &[1, 0, 1, 0], 0), EPERM);
        check_errno!(sys!(SYS_utimensat, -100, &calls::cstr(&closed), 0, 0), EACCES);
        // Who may write may set the times to now, and to nothing else.
        sys!(SYS_utimensat, -100, &calls::cstr(&open), 0, 0)?;
        check_errno!(utimensat(&open, &[1, 0, 1, 0], 0), EPERM);
        Ok(())
    })
}

fn access(path: &str, mode: i32) -> SysResult {
    sys!(SYS_access, &calls::cstr(path), mode)
}

fn access_checks_existence_and_bits(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    access(&path, libc::F_OK)?;
    access(&path, libc::R_OK | libc::W_OK)?;
    check_errno!(access(&path, libc::X_OK), EACCES);
    check_errno!(access(&path, 8), EINVAL);
    check_errno!(access(&c.path("none")?, libc::F_OK), ENOENT);
    check_errno!(access(&c.path("none")?, 8), EINVAL);
    check_errno!(access(&format!("{path}/x"), libc::F_OK), ENOTDIR);
    check_errno!(sys!(SYS_faccessat2, -100, &calls::cstr(&path), 0, 1), EINVAL);
    check_errno!(sys!(SYS_access, BAD, 0), EFAULT);
    Ok(())
}

fn access_as_ordinary_user(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    for mode in 0..8u32 {
        chmod(&path, mode << 6)?;
        for want in 0..8i32 {
            let allowed = want as u32 & !mode == 0;
            check_eq!(access(&path, want).is_ok(), allowed, "access {want} with mode {mode}");
        }
    }
    Ok(())
}

fn access_uses_real_ids(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    chmod(&path, 0o600)?;
    in_child(|| {
        sys!(SYS_setresuid, crate::case::ORDINARY, 0, 0)?;
        check_errno!(access(&path, libc::R_OK), EACCES);
        let name = calls::cstr(&path);
        sys!(SYS_faccessat2, -100, &name, libc::R_OK, libc::AT_EACCESS)?;
        Ok(())
    })
}

fn access_root_needs_one_execute_bit(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    chmod(&path, 0)?;
    access(&path, libc::R_OK | libc::W_OK)?;
    check_errno!(access(&path, libc::X_OK), EACCES);
    chmod(&path, 0o001)?;
    access(&path, libc::X_OK)?;
    Ok(())
}

fn statfs_of_directory(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    let (mut a, mut b) = (zeroed::<libc::statfs>(), zeroed::<libc::statfs>());
    sys!(SYS_statfs, &calls::cstr(&dir), &mut a)?;
    let fd = open(&dir, libc::O_PATH, 0)?;
    sys!(SYS_fstatfs, fd, &mut b)?;
    check_eq!((a.f_type, a.f_bsize), (b.f_type, b.f_bsize), "type and block size");
    check!(a.f_namelen >= 255 && a.f_bsize > 0, "a name length and a block size");
    check_errno!(sys!(SYS_statfs, &calls::cstr(&dir), BAD), EFAULT);
    check_errno!(sys!(SYS_statfs, c"/no/such", &mut a), ENOENT);
    check_errno!(sys!(SYS_fstatfs, 999, &mut a), EBADF);
    Ok(())
}

fn proc_statfs_type(_: &mut Case) -> Outcome {
    let mut a = zeroed::<libc::statfs>();
    sys!(SYS_statfs, c"/proc", &mut a)?;
    check_eq!(a.f_type, libc::PROC_SUPER_MAGIC, "type");
    Ok(())
}

fn xattr_set_get_list_remove(c: &mut Case) -> Outcome {
    let path = calls::cstr(&c.file("f", b"")?);
    let mut buffer = [0u8; 64];
    match sys!(SYS_setxattr, &path, c"user.colour", b"red", 3, 0) {
        Err(errno) if errno.0 == libc::EOPNOTSUPP => {
            return skip("the file system has no user attributes");
        }
        other => other?,
    };
    check_eq!(sys!(SYS_getxattr, &path, c"user.colour", &mut buffer, 64)?, 3, "getxattr");
    check_eq!(&buffer[..3], b"red", "value");
    check_eq!(sys!(SYS_getxattr, &path, c"user.colour", 0, 0)?, 3, "size asked for");
    check_errno!(sys!(SYS_getxattr, &path, c"user.colour", &mut buffer, 2), ERANGE);
    check_errno!(sys!(SYS_getxattr, &path, c"user.none", &mut buffer, 64), ENODATA);
    let create = libc::XATTR_CREATE;
    check_errno!(sys!(SYS_setxattr, &path, c"user.colour", b"x", 1, create), EEXIST);
    let replace = libc::XATTR_REPLACE;
    check_errno!(sys!(SYS_setxattr, &path, c"user.none", b"x", 1, replace), ENODATA);
    check_errno!(sys!(SYS_setxattr, &path, c"nonsense", b"x", 1, 0), EOPNOTSUPP);
    let len = sys!(SYS_listxattr, &path, &mut buffer, 64)?;
    let listed = String::from_utf8_lossy(&buffer[..len]).into_owned();
    check!(listed.split('\0').any(|n| n == "user.colour"), "the name listed in {listed:?}");
    sys!(SYS_removexattr, &path, c"user.colour")?;
    check_errno!(sys!(SYS_removexattr, &path, c"user.colour"), ENODATA);
    Ok(())
}

fn rename_and_link_touch_times(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    let file = c.file("f", b"")?;
    let other = c.path("g")?;
    let touched = |what: &str, action: &mut dyn FnMut() -> SysResult<()>| -> Outcome {
        utimensat(&dir, &[1, 0, 1, 0], 0)?;
        action()?;
        let mtime = calls::stat(&dir)?.st_mtime;
        check!(mtime > 1_000_000, "a fresh mtime of the directory after {what}, got {mtime}");
        Ok(())
    };
    touched("link", &mut || calls::link(&file, &other))?;
    touched("unlink", &mut || calls::unlink(&other))?;
    touched("rename", &mut || calls::rename(&file, &other))?;
    touched("mkdir", &mut || calls::mkdir(&file, 0o700))
}

fn read_only_file_is_writable_by_open_descriptor(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let fd = open(&path, libc::O_RDWR, 0)?;
    chmod(&path, 0)?;
    check_eq!(calls::write(fd, b"abc")?, 3, "bytes written");
    Ok(())
}
