//! Names of files: link(2), symlink(2), readlink(2), unlink(2), mknod(2).

use crate::calls::{self, link, open, read, symlink, unlink, write};
use crate::case::{Case, Outcome};
use crate::sys::{BAD, KERNEL_ADDRESS};
use crate::{cases, check_eq, check_errno, sys};

cases! { "link";
    hard_links_share_the_file: "two names, one file, a count of two";
    link_errors: "link's EEXIST, ENOENT, EPERM for directories";
    link_does_not_follow_symlinks: "link names the symbolic link, AT_SYMLINK_FOLLOW its target";
    unlink_open_file_lives_on: "an unlinked file is there until it is closed";
    symlink_contents_are_free: "any target will do, but not an empty one";
    symlink_existing_name_is_eexist: "symlink over any name is EEXIST";
    readlink_truncates: "readlink cuts silently; size 0 is EINVAL";
    readlink_of_file_is_einval: "readlink of what is no link is EINVAL";
    symlink_relative_to_its_directory: "a relative target starts at the link's directory";
    symlink_with_trailing_slash: "a trailing slash follows the link";
    unlink_removes_link_not_target: "unlink removes the symbolic link itself";
    mknod_makes_files_and_fifos: "mknod makes regular files and FIFOs for everybody";
    mknod_device_needs_privilege [Ordinary]: "mknod of a device is EPERM";
    renamed_file_keeps_inode: "rename keeps the inode and replaces the target at once";
    lstat_size_is_target_length: "st_size of a symbolic link is its length";
}

fn hard_links_share_the_file(c: &mut Case) -> Outcome {
    let (a, b) = (c.file("a", b"one")?, c.path("b")?);
    link(&a, &b)?;
    let (x, y) = (calls::stat(&a)?, calls::stat(&b)?);
    check_eq!((x.st_ino, x.st_dev), (y.st_ino, y.st_dev), "inode and device");
    check_eq!(y.st_nlink, 2, "links");
    std::fs::write(&b, b"other")?;
    check_eq!(std::fs::read(&a)?, b"other", "contents by the first name");
    unlink(&a)?;
    check_eq!(calls::stat(&b)?.st_nlink, 1, "links after unlink");
    Ok(())
}

fn link_errors(c: &mut Case) -> Outcome {
    let file = c.file("f", b"")?;
    check_errno!(link(&file, &file), EEXIST);
    check_errno!(link(&c.path("none")?, &c.path("b")?), ENOENT);
    check_errno!(link(&file, &c.path("none/b")?), ENOENT);
    check_errno!(link(&c.dir()?, &c.path("d")?), EPERM);
    check_errno!(link(&file, &format!("{file}/b")), ENOTDIR);
    let (from, to) = (calls::cstr(&file), calls::cstr(&c.path("b")?));
    check_errno!(sys!(SYS_linkat, -100, &from, -100, &to, 1), EINVAL);
    check_errno!(sys!(SYS_link, &from, BAD), EFAULT);
    Ok(())
}

fn link_does_not_follow_symlinks(c: &mut Case) -> Outcome {
    c.file("f", b"abc")?;
    let (symbolic, hard, followed) = (c.path("s")?, c.path("h")?, c.path("t")?);
    symlink("f", &symbolic)?;
    link(&symbolic, &hard)?;
    check_eq!(calls::lstat(&hard)?.st_mode & libc::S_IFMT, libc::S_IFLNK, "type");
    let (from, to) = (calls::cstr(&symbolic), calls::cstr(&followed));
    sys!(SYS_linkat, -100, &from, -100, &to, libc::AT_SYMLINK_FOLLOW)?;
    check_eq!(calls::lstat(&followed)?.st_mode & libc::S_IFMT, libc::S_IFREG, "type");
    Ok(())
}

fn unlink_open_file_lives_on(c: &mut Case) -> Outcome {
    let path = c.file("f", b"abc")?;
    let fd = open(&path, libc::O_RDWR, 0)?;
    unlink(&path)?;
    check_errno!(calls::stat(&path), ENOENT);
    check_eq!(calls::fstat(fd)?.st_nlink, 0, "links");
    let mut buffer = [0u8; 3];
    check_eq!(read(fd, &mut buffer)?, 3, "bytes read");
    write(fd, b"def")?;
    // A new file of that name is another file.
    c.file("f", b"")?;
    check_eq!(calls::fstat(fd)?.st_size, 6, "size of the unlinked file");
    check_eq!(calls::stat(&path)?.st_size, 0, "size of the new file");
    Ok(())
}

fn readlink(path: &str, buffer: &mut [u8]) -> crate::sys::SysResult {
    let len = buffer.len();
    sys!(SYS_readlink, &calls::cstr(path), buffer, len)
}

fn symlink_contents_are_free(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let target = format!("//any thing//../\u{e9}/{}", "x".repeat(3000));
    symlink(&target, &path)?;
    let mut buffer = [0u8; 4096];
    let len = readlink(&path, &mut buffer)?;
    check_eq!(&buffer[..len], target.as_bytes(), "target");
    check_errno!(symlink("", &c.path("t")?), ENOENT);
    check_errno!(symlink("x", ""), ENOENT);
    check_errno!(symlink(&"x".repeat(4096), &c.path("t")?), ENAMETOOLONG);
    check_errno!(sys!(SYS_symlink, BAD, &calls::cstr(&path)), EFAULT);
    Ok(())
}

fn symlink_existing_name_is_eexist(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    symlink("none", &path)?;
    check_errno!(symlink("other", &path), EEXIST);
    check_errno!(symlink("other", &c.dir()?), EEXIST);
    check_errno!(symlink("other", &c.path("none/s")?), ENOENT);
    Ok(())
}

fn readlink_truncates(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    symlink("0123456789", &path)?;
    let mut buffer = [b'-'; 6];
    check_eq!(readlink(&path, &mut buffer[..4])?, 4, "bytes");
    check_eq!(&buffer, b"0123--", "buffer, without a NUL");
    check_errno!(readlink(&path, &mut []), EINVAL);
    let name = calls::cstr(&path);
    check_errno!(sys!(SYS_readlink, &name, KERNEL_ADDRESS, 4), EFAULT);
    check_errno!(sys!(SYS_readlink, &name, BAD, -1), EINVAL);
    Ok(())
}

fn readlink_of_file_is_einval(c: &mut Case) -> Outcome {
    let file = c.file("f", b"")?;
    check_errno!(readlink(&file, &mut [0; 8]), EINVAL);
    check_errno!(readlink(&c.dir()?, &mut [0; 8]), EINVAL);
    check_errno!(readlink(&c.path("none")?, &mut [0; 8]), ENOENT);
    check_errno!(readlink(&format!("{file}/x"), &mut [0; 8]), ENOTDIR);
    Ok(())
}

fn symlink_relative_to_its_directory(c: &mut Case) -> Outcome {
    calls::mkdir(&c.path("d")?, 0o700)?;
    c.file("d/f", b"abc")?;
    symlink("f", &c.path("d/s")?)?;
    symlink("d/s", &c.path("t")?)?;
    check_eq!(calls::stat(&c.path("t")?)?.st_size, 3, "size through two links");
    Ok(())
}

fn symlink_with_trailing_slash(c: &mut Case) -> Outcome {
    calls::mkdir(&c.path("d")?, 0o700)?;
    c.file("f", b"")?;
    symlink("d", &c.path("s")?)?;
    symlink("f", &c.path("t")?)?;
    check_eq!(calls::lstat(&c.path("s/")?)?.st_mode & libc::S_IFMT, libc::S_IFDIR, "type");
    check_errno!(calls::lstat(&c.path("t/")?), ENOTDIR);
    check_errno!(readlink(&c.path("s/")?, &mut [0; 8]), EINVAL);
    Ok(())
}

fn unlink_removes_link_not_target(c: &mut Case) -> Outcome {
    let (file, path) = (c.file("f", b"")?, c.path("s")?);
    symlink("f", &path)?;
    unlink(&path)?;
    calls::stat(&file)?;
    check_errno!(calls::lstat(&path), ENOENT);
    // Also a link to a directory is no directory.
    symlink(".", &path)?;
    unlink(&path)?;
    Ok(())
}

fn mknod_makes_files_and_fifos(c: &mut Case) -> Outcome {
    let mut make = |leaf: &str, mode: u32| {
        let path = c.path(leaf)?;
        sys!(SYS_mknod, &calls::cstr(&path), mode, 0)?;
        crate::case::Outcome::Ok(calls::stat(&path)?.st_mode)
    };
    check_eq!(make("a", 0o640)?, libc::S_IFREG | 0o640, "mode of type 0");
    check_eq!(make("b", libc::S_IFREG | 0o600)?, libc::S_IFREG | 0o600, "mode of a file");
    check_eq!(make("c", libc::S_IFIFO | 0o622)?, libc::S_IFIFO | 0o600, "mode of a FIFO");
    check_eq!(make("d", libc::S_IFSOCK | 0o600)?, libc::S_IFSOCK | 0o600, "mode of a socket");
    let existing = calls::cstr(&c.path("a")?);
    check_errno!(sys!(SYS_mknod, &existing, libc::S_IFREG, 0), EEXIST);
    let new = calls::cstr(&c.path("e")?);
    check_errno!(sys!(SYS_mknod, &new, libc::S_IFDIR | 0o700, 0), EPERM);
    check_errno!(sys!(SYS_mknod, &new, libc::S_IFLNK | 0o700, 0), EINVAL);
    Ok(())
}

fn mknod_device_needs_privilege(c: &mut Case) -> Outcome {
    let path = calls::cstr(&c.path("dev")?);
    check_errno!(sys!(SYS_mknod, &path, libc::S_IFCHR | 0o600, 0x103), EPERM);
    check_errno!(sys!(SYS_mknod, &path, libc::S_IFBLK | 0o600, 0x103), EPERM);
    Ok(())
}

fn renamed_file_keeps_inode(c: &mut Case) -> Outcome {
    let (a, b) = (c.file("a", b"new")?, c.file("b", b"older")?);
    let old = open(&b, libc::O_RDONLY, 0)?;
    let inode = calls::stat(&a)?.st_ino;
    calls::rename(&a, &b)?;
    check_eq!(calls::stat(&b)?.st_ino, inode, "inode");
    check_errno!(calls::stat(&a), ENOENT);
    let mut buffer = [0u8; 8];
    check_eq!(read(old, &mut buffer)?, 5, "bytes of the file replaced");
    Ok(())
}

fn lstat_size_is_target_length(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    symlink("0123456", &path)?;
    let stat = calls::lstat(&path)?;
    check_eq!((stat.st_size, stat.st_mode), (7, libc::S_IFLNK | 0o777), "size and mode");
    Ok(())
}
