//! open(2), openat(2), openat2(2), creat(2): flags and error numbers.

use crate::calls::{self, close, open, openat, read, write};
use crate::case::{Case, Outcome};
use crate::sys::BAD;
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "open";
    excl_existing_file_is_eexist: "O_CREAT|O_EXCL on a file that exists is EEXIST";
    excl_dangling_symlink_is_eexist: "O_CREAT|O_EXCL does not follow even a dangling link";
    creat_follows_dangling_symlink: "O_CREAT alone creates the target of a dangling link";
    creat_applies_umask: "the mode of a new file is masked by the umask";
    creat_mode_does_not_bind_opener: "a new file of mode 0 is still open for writing";
    missing_file_is_enoent: "a missing file, a missing parent and an empty path are ENOENT";
    file_as_directory_is_enotdir: "a path through a file is ENOTDIR, O_DIRECTORY on a file too";
    directory_for_writing_is_eisdir: "a directory opened for writing or with O_CREAT is EISDIR";
    trailing_slash_needs_directory: "a trailing slash on a file is ENOTDIR, with O_CREAT EISDIR";
    trunc_empties_file: "O_TRUNC empties the file, also read-only opens by its owner";
    append_writes_at_end: "O_APPEND writes at the end whatever the offset";
    nofollow_symlink_is_eloop: "O_NOFOLLOW on a symbolic link is ELOOP, not on its parents";
    symlink_loop_is_eloop: "a loop of symbolic links is ELOOP";
    many_symlinks_are_followed: "twenty links in a row are followed, forty-one are ELOOP";
    read_only_descriptor_cannot_write: "write on O_RDONLY and read on O_WRONLY are EBADF";
    lowest_free_descriptor: "the lowest free descriptor is used";
    path_descriptor_is_only_a_name: "O_PATH descriptors refuse read, write and fchmod: EBADF";
    path_of_symlink: "O_PATH|O_NOFOLLOW opens the link itself, readlinkat reads it";
    path_can_be_reopened: "an O_PATH descriptor is reopened through /proc/self/fd";
    tmpfile_has_no_name: "O_TMPFILE makes a file without name, which linkat can name";
    tmpfile_needs_write: "O_TMPFILE without write access is EINVAL, on a file ENOTDIR";
    openat_relative: "openat resolves from its directory, absolute paths ignore it";
    openat_bad_directory: "openat with a bad descriptor is EBADF, with a file ENOTDIR";
    long_component_is_enametoolong: "255 bytes are a name, 256 are ENAMETOOLONG";
    long_path_is_enametoolong: "a path of 4096 bytes is ENAMETOOLONG";
    bad_pointer_is_efault: "a bad path pointer is EFAULT";
    dot_and_dot_dot: "dot, dot-dot and doubled slashes resolve; dot-dot of the root is the root";
    no_permission_is_eacces [Ordinary]: "files without permission are EACCES";
    no_search_permission_is_eacces [Ordinary]: "a directory without x hides what is in it";
    no_write_permission_in_directory [Ordinary]: "creating in a read-only directory is EACCES";
    root_overrides_permissions [Root]: "root opens files of mode 0";
    socket_is_enxio: "opening a socket file is ENXIO";
    openat2_resolve_flags: "RESOLVE_BENEATH, NO_SYMLINKS and IN_ROOT";
    openat2_refuses_unknown: "openat2 refuses unknown flags, which openat ignores";
    getfl_gives_flags_back: "F_GETFL gives access mode and status flags, not creation flags";
}

const CREATE: i32 = libc::O_CREAT | libc::O_RDWR;

fn excl_existing_file_is_eexist(c: &mut Case) -> Outcome {
    let path = c.path("f")?;
    let fd = open(&path, CREATE | libc::O_EXCL, 0o600)?;
    check_errno!(open(&path, CREATE | libc::O_EXCL, 0o600), EEXIST);
    check_errno!(open(&c.dir()?, CREATE | libc::O_EXCL, 0o600), EEXIST);
    close(fd)?;
    Ok(())
}

fn excl_dangling_symlink_is_eexist(c: &mut Case) -> Outcome {
    let path = c.path("link")?;
    calls::symlink("nowhere", &path)?;
    check_errno!(open(&path, CREATE | libc::O_EXCL, 0o600), EEXIST);
    check_errno!(calls::stat(&c.path("nowhere")?), ENOENT);
    Ok(())
}

fn creat_follows_dangling_symlink(c: &mut Case) -> Outcome {
    let path = c.path("link")?;
    calls::symlink("target", &path)?;
    open(&path, CREATE, 0o600)?;
    check_eq!(calls::lstat(&c.path("target")?)?.st_mode, libc::S_IFREG | 0o600, "mode of target");
    Ok(())
}

fn creat_applies_umask(c: &mut Case) -> Outcome {
    sys!(SYS_umask, 0o027)?;
    let fd = open(&c.path("f")?, CREATE, 0o7777)?;
    check_eq!(calls::fstat(fd)?.st_mode & 0o7777, 0o7750, "mode of the file");
    let fd = sys!(SYS_creat, &calls::cstr(&c.path("g")?), 0o666)? as i32;
    check_eq!(calls::fstat(fd)?.st_mode & 0o7777, 0o640, "mode of the file by creat");
    Ok(())
}

fn creat_mode_does_not_bind_opener(c: &mut Case) -> Outcome {
    let fd = open(&c.path("f")?, CREATE, 0)?;
    check_eq!(write(fd, b"abc")?, 3, "bytes written");
    Ok(())
}

fn missing_file_is_enoent(c: &mut Case) -> Outcome {
    check_errno!(open(&c.path("none")?, libc::O_RDONLY, 0), ENOENT);
    check_errno!(open(&c.path("none/f")?, CREATE, 0o600), ENOENT);
    check_errno!(open("", libc::O_RDONLY, 0), ENOENT);
    check_errno!(open("", CREATE, 0o600), ENOENT);
    Ok(())
}

fn file_as_directory_is_enotdir(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    check_errno!(open(&format!("{path}/g"), libc::O_RDONLY, 0), ENOTDIR);
    check_errno!(open(&format!("{path}/g"), CREATE, 0o600), ENOTDIR);
    check_errno!(open(&format!("{path}/.."), libc::O_RDONLY, 0), ENOTDIR);
    check_errno!(open(&path, libc::O_DIRECTORY, 0), ENOTDIR);
    Ok(())
}

fn directory_for_writing_is_eisdir(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_CREAT] {
        check_errno!(open(&dir, flags, 0o600), EISDIR);
    }
    check_errno!(open(&dir, libc::O_RDONLY | libc::O_TRUNC, 0), EISDIR);
    let fd = open(&dir, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    check_errno!(read(fd, &mut [0]), EISDIR);
    Ok(())
}

fn trailing_slash_needs_directory(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    check_errno!(open(&format!("{path}/"), libc::O_RDONLY, 0), ENOTDIR);
    check_errno!(open(&c.path("new/")?, CREATE, 0o600), EISDIR);
    open(&format!("{}/", c.dir()?), libc::O_RDONLY, 0)?;
    Ok(())
}

fn trunc_empties_file(c: &mut Case) -> Outcome {
    let path = c.file("f", b"0123456789")?;
    let fd = open(&path, libc::O_WRONLY | libc::O_TRUNC, 0)?;
    check_eq!(calls::fstat(fd)?.st_size, 0, "size after O_TRUNC");
    write(fd, b"xx")?;
    let fd = open(&path, libc::O_RDONLY | libc::O_TRUNC, 0)?;
    check_eq!(calls::fstat(fd)?.st_size, 0, "size after O_RDONLY|O_TRUNC");
    Ok(())
}

fn append_writes_at_end(c: &mut Case) -> Outcome {
    let path = c.file("f", b"abc")?;
    let fd = open(&path, libc::O_RDWR | libc::O_APPEND, 0)?;
    calls::lseek(fd, 0, libc::SEEK_SET)?;
    write(fd, b"def")?;
    check_eq!(calls::lseek(fd, 0, libc::SEEK_CUR)?, 6, "offset after the write");
    // pwrite appends too, which POSIX does not want but Linux does.
    sys!(SYS_pwrite64, fd, b"gh", 2, 0)?;
    check_eq!(std::fs::read(&path)?, b"abcdefgh", "contents");
    Ok(())
}

fn nofollow_symlink_is_eloop(c: &mut Case) -> Outcome {
    c.file("f", b"")?;
    let (link, parent) = (c.path("link")?, c.path("parent")?);
    calls::symlink("f", &link)?;
    calls::symlink(".", &parent)?;
    check_errno!(open(&link, libc::O_NOFOLLOW, 0), ELOOP);
    open(&format!("{parent}/f"), libc::O_NOFOLLOW, 0)?;
    check_errno!(open(&link, libc::O_NOFOLLOW | libc::O_DIRECTORY, 0), ENOTDIR);
    Ok(())
}

fn symlink_loop_is_eloop(c: &mut Case) -> Outcome {
    let (a, b) = (c.path("a")?, c.path("b")?);
    calls::symlink("b", &a)?;
    calls::symlink("a", &b)?;
    check_errno!(open(&a, libc::O_RDONLY, 0), ELOOP);
    check_errno!(open(&format!("{a}/f"), CREATE, 0o600), ELOOP);
    check_errno!(calls::stat(&b), ELOOP);
    calls::lstat(&b)?;
    Ok(())
}

fn many_symlinks_are_followed(c: &mut Case) -> Outcome {
    c.file("0", b"")?;
    // The scratch directory's own path may contain links, so start inside it.
    calls::chdir(&c.dir()?)?;
    for i in 1..=41 {
        calls::symlink(&(i - 1).to_string(), &i.to_string())?;
    }
    // Forty is the limit, but a walk that Linux begins again (when something else changes the
    // tree) counts its links twice.
    open("20", libc::O_RDONLY, 0)?;
    check_errno!(open("41", libc::O_RDONLY, 0), ELOOP);
    Ok(())
}

fn read_only_descriptor_cannot_write(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    let fd = open(&path, libc::O_RDONLY, 0)?;
    check_errno!(write(fd, b"y"), EBADF);
    check_errno!(sys!(SYS_ftruncate, fd, 0), EINVAL);
    let fd = open(&path, libc::O_WRONLY, 0)?;
    check_errno!(read(fd, &mut [0]), EBADF);
    check_errno!(read(999, &mut [0]), EBADF);
    check_errno!(read(-1, &mut [0]), EBADF);
    Ok(())
}

fn lowest_free_descriptor(_: &mut Case) -> Outcome {
    let a = open("/dev/null", libc::O_RDONLY, 0)?;
    let b = open("/dev/null", libc::O_RDONLY, 0)?;
    check!(b > a, "a higher number for the second, got {a} and {b}");
    close(a)?;
    check_eq!(open("/dev/null", libc::O_RDONLY, 0)?, a, "descriptor after a close");
    Ok(())
}

fn path_descriptor_is_only_a_name(c: &mut Case) -> Outcome {
    let path = c.file("f", b"abc")?;
    let fd = open(&path, libc::O_PATH | libc::O_RDWR, 0)?;
    check_errno!(read(fd, &mut [0]), EBADF);
    check_errno!(write(fd, b"x"), EBADF);
    check_errno!(sys!(SYS_fchmod, fd, 0o600), EBADF);
    check_errno!(sys!(SYS_ftruncate, fd, 0), EBADF);
    check_errno!(calls::lseek(fd, 0, libc::SEEK_CUR), EBADF);
    check_eq!(calls::fstat(fd)?.st_size, 3, "size by fstat");
    check_eq!(calls::fcntl(fd, libc::F_GETFL, 0)?, libc::O_PATH as usize, "F_GETFL");
    Ok(())
}

fn path_of_symlink(c: &mut Case) -> Outcome {
    let path = c.path("link")?;
    calls::symlink("some/where", &path)?;
    let fd = open(&path, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let mut target = [0u8; 32];
    let len = sys!(SYS_readlinkat, fd, c"", &mut target, 32)?;
    check_eq!(&target[..len], b"some/where", "target");
    check_eq!(calls::fstat(fd)?.st_mode & libc::S_IFMT, libc::S_IFLNK, "file type");
    Ok(())
}

fn path_can_be_reopened(c: &mut Case) -> Outcome {
    let path = c.file("f", b"abc")?;
    let fd = open(&path, libc::O_PATH, 0)?;
    let again = open(&format!("/proc/self/fd/{fd}"), libc::O_RDONLY, 0)?;
    let mut buffer = [0u8; 3];
    read(again, &mut buffer)?;
    check_eq!(&buffer, b"abc", "contents");
    Ok(())
}

fn tmpfile_has_no_name(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    let fd = open(&dir, libc::O_TMPFILE | libc::O_RDWR, 0o600)?;
    write(fd, b"hidden")?;
    check_eq!(calls::fstat(fd)?.st_nlink, 0, "links");
    check_eq!(std::fs::read_dir(&dir)?.count(), 0, "entries of the directory");
    let name = c.path("named")?;
    let from = calls::cstr(&format!("/proc/self/fd/{fd}"));
    let follow = libc::AT_SYMLINK_FOLLOW;
    sys!(SYS_linkat, libc::AT_FDCWD, &from, libc::AT_FDCWD, &calls::cstr(&name), follow)?;
    check_eq!(std::fs::read(&name)?, b"hidden", "contents by name");
    let excl = open(&dir, libc::O_TMPFILE | libc::O_RDWR | libc::O_EXCL, 0o600)?;
    let from = calls::cstr(&format!("/proc/self/fd/{excl}"));
    let to = calls::cstr(&c.path("other")?);
    check_errno!(sys!(SYS_linkat, -100, &from, -100, &to, follow), ENOENT);
    Ok(())
}

fn tmpfile_needs_write(c: &mut Case) -> Outcome {
    check_errno!(open(&c.dir()?, libc::O_TMPFILE | libc::O_RDONLY, 0o600), EINVAL);
    let file = c.file("f", b"")?;
    check_errno!(open(&file, libc::O_TMPFILE | libc::O_RDWR, 0o600), ENOTDIR);
    Ok(())
}

fn openat_relative(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    c.file("f", b"abc")?;
    let fd = open(&dir, libc::O_PATH, 0)?;
    openat(fd, "f", libc::O_RDONLY, 0)?;
    openat(999, "/dev/null", libc::O_RDONLY, 0)?;
    // The descriptor goes where the directory goes.
    let moved = format!("{dir}.moved");
    calls::rename(&dir, &moved)?;
    let found = openat(fd, "f", libc::O_RDONLY, 0);
    calls::rename(&moved, &dir)?;
    found?;
    Ok(())
}

fn openat_bad_directory(c: &mut Case) -> Outcome {
    let file = c.file("f", b"")?;
    check_errno!(openat(999, "f", libc::O_RDONLY, 0), EBADF);
    check_errno!(openat(-1, "f", libc::O_RDONLY, 0), EBADF);
    let fd = open(&file, libc::O_RDONLY, 0)?;
    check_errno!(openat(fd, "g", libc::O_RDONLY, 0), ENOTDIR);
    Ok(())
}

fn long_component_is_enametoolong(c: &mut Case) -> Outcome {
    open(&c.path(&"n".repeat(255))?, CREATE, 0o600)?;
    check_errno!(open(&c.path(&"n".repeat(256))?, CREATE, 0o600), ENAMETOOLONG);
    check_errno!(calls::stat(&c.path(&"n".repeat(256))?), ENAMETOOLONG);
    check_errno!(calls::mkdir(&c.path(&"n".repeat(256))?, 0o700), ENAMETOOLONG);
    Ok(())
}

fn long_path_is_enametoolong(_: &mut Case) -> Outcome {
    open(&format!("{}dev/null", "/".repeat(4095 - 8)), libc::O_RDONLY, 0)?;
    let long = format!("{}dev/null", "/".repeat(4096 - 8));
    check_errno!(open(&long, libc::O_RDONLY, 0), ENAMETOOLONG);
    Ok(())
}

fn bad_pointer_is_efault(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_openat, libc::AT_FDCWD, BAD, 0, 0), EFAULT);
    check_errno!(sys!(SYS_openat, libc::AT_FDCWD, 0, 0, 0), EFAULT);
    check_errno!(sys!(SYS_open, sys::KERNEL_ADDRESS, 0, 0), EFAULT);
    Ok(())
}

fn dot_and_dot_dot(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    c.file("f", b"abc")?;
    calls::mkdir(&c.path("d")?, 0o700)?;
    for path in ["d/../f", ".//f", "d/./..//./f"] {
        let stat = calls::stat(&format!("{dir}/{path}"))?;
        check_eq!(stat.st_size, 3, "size of {path}");
    }
    check_eq!(calls::stat("/../../..")?.st_ino, calls::stat("/")?.st_ino, "inode of the root");
    check_errno!(calls::stat(&format!("{dir}/none/../f")), ENOENT);
    Ok(())
}

fn no_permission_is_eacces(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    calls::chmod(&path, 0o200)?;
    check_errno!(open(&path, libc::O_RDONLY, 0), EACCES);
    check_errno!(open(&path, libc::O_RDWR, 0), EACCES);
    open(&path, libc::O_WRONLY, 0)?;
    calls::chmod(&path, 0o400)?;
    check_errno!(open(&path, libc::O_RDONLY | libc::O_TRUNC, 0), EACCES);
    // The owner's bits alone count for the owner.
    calls::chmod(&path, 0o077)?;
    check_errno!(open(&path, libc::O_RDONLY, 0), EACCES);
    Ok(())
}

fn no_search_permission_is_eacces(c: &mut Case) -> Outcome {
    let dir = c.path("d")?;
    calls::mkdir(&dir, 0o700)?;
    let file = c.file("d/f", b"x")?;
    calls::chmod(&dir, 0o600)?;
    check_errno!(open(&file, libc::O_RDONLY, 0), EACCES);
    check_errno!(calls::stat(&file), EACCES);
    check_errno!(calls::stat(&format!("{dir}/none")), EACCES);
    check_errno!(calls::chdir(&dir), EACCES);
    check_eq!(std::fs::read_dir(&dir)?.count(), 1, "entries, for which r is enough");
    calls::chmod(&dir, 0o700)?;
    Ok(())
}

fn no_write_permission_in_directory(c: &mut Case) -> Outcome {
    let dir = c.path("d")?;
    calls::mkdir(&dir, 0o700)?;
    let file = c.file("d/f", b"x")?;
    calls::chmod(&dir, 0o500)?;
    check_errno!(open(&format!("{dir}/new"), CREATE, 0o600), EACCES);
    check_errno!(calls::mkdir(&format!("{dir}/new"), 0o700), EACCES);
    check_errno!(calls::unlink(&file), EACCES);
    check_errno!(calls::rename(&file, &c.path("g")?), EACCES);
    // What exists is found before the permission is looked at.
    check_errno!(calls::mkdir(&file, 0o700), EEXIST);
    open(&file, CREATE, 0o600)?;
    calls::chmod(&dir, 0o700)?;
    Ok(())
}

fn root_overrides_permissions(c: &mut Case) -> Outcome {
    let path = c.file("f", b"x")?;
    calls::chmod(&path, 0)?;
    open(&path, libc::O_RDWR, 0)?;
    let dir = c.path("d")?;
    calls::mkdir(&dir, 0)?;
    open(&format!("{dir}/f"), CREATE, 0o600)?;
    Ok(())
}

fn socket_is_enxio(c: &mut Case) -> Outcome {
    let path = c.path("s")?;
    let _listener = std::os::unix::net::UnixListener::bind(&path)?;
    check_errno!(open(&path, libc::O_RDWR, 0), ENXIO);
    Ok(())
}

fn openat2(dir: i32, path: &str, flags: u64, resolve: u64) -> sys::SysResult {
    let mut how = sys::zeroed::<libc::open_how>();
    how.flags = flags;
    how.resolve = resolve;
    sys!(SYS_openat2, dir, &calls::cstr(path), &how, 24)
}

fn openat2_resolve_flags(c: &mut Case) -> Outcome {
    c.file("f", b"")?;
    calls::mkdir(&c.path("d")?, 0o700)?;
    calls::symlink("f", &c.path("link")?)?;
    calls::symlink("/dev/null", &c.path("abs")?)?;
    let dir = open(&c.dir()?, libc::O_PATH, 0)?;
    openat2(dir, "d/../f", 0, libc::RESOLVE_BENEATH)?;
    openat2(dir, "link", 0, libc::RESOLVE_BENEATH)?;
    check_errno!(openat2(dir, "../x", 0, libc::RESOLVE_BENEATH), EXDEV);
    check_errno!(openat2(dir, "/dev/null", 0, libc::RESOLVE_BENEATH), EXDEV);
    check_errno!(openat2(dir, "abs", 0, libc::RESOLVE_BENEATH), EXDEV);
    check_errno!(openat2(dir, "link", 0, libc::RESOLVE_NO_SYMLINKS), ELOOP);
    openat2(dir, "/../f", 0, libc::RESOLVE_IN_ROOT)?;
    check_errno!(openat2(dir, "abs", 0, libc::RESOLVE_IN_ROOT), ENOENT);
    Ok(())
}

fn openat2_refuses_unknown(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    check_errno!(openat2(-100, &path, 1 << 40, 0), EINVAL);
    check_errno!(openat2(-100, &path, 0, 1 << 20), EINVAL);
    let mut how = sys::zeroed::<libc::open_how>();
    how.mode = 0o600;
    check_errno!(sys!(SYS_openat2, -100, &calls::cstr(&path), &how, 24), EINVAL);
    check_errno!(sys!(SYS_openat2, -100, &calls::cstr(&path), &how, 16), EINVAL);
    open(&path, 0x4000_0000, 0)?;
    Ok(())
}

fn getfl_gives_flags_back(c: &mut Case) -> Outcome {
    let path = c.path("f")?;
    let flags = CREATE | libc::O_EXCL | libc::O_TRUNC | libc::O_APPEND | libc::O_NONBLOCK;
    let fd = open(&path, flags | libc::O_CLOEXEC, 0o600)?;
    // A 64-bit kernel always adds O_LARGEFILE.
    let got = calls::fcntl(fd, libc::F_GETFL, 0)? as i32 & !0x8000;
    check_eq!(got, libc::O_RDWR | libc::O_APPEND | libc::O_NONBLOCK, "F_GETFL");
    Ok(())
}
