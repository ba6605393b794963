//! Directories: mkdir(2), rmdir(2), getdents64(2), chdir(2), getcwd(2), rename(2) of directories.

use crate::calls::{self, chdir, mkdir, open, rename, rmdir};
use crate::case::{Case, Outcome, in_child};
use crate::sys::BAD;
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "dir";
    mkdir_mode_and_umask: "mkdir applies the umask; the sticky bit is kept";
    mkdir_errors: "mkdir's EEXIST, ENOENT, ENOTDIR, also for dot and trailing slashes";
    rmdir_errors: "rmdir's ENOTEMPTY, ENOTDIR, EINVAL, EBUSY and ENOENT";
    link_count_follows_subdirectories: "nlink counts subdirectories where it counts at all";
    getdents_lists_everything: "getdents64 lists each entry once, with types";
    getdents_small_buffer: "a buffer too small for one entry is EINVAL, a file ENOTDIR";
    getdents_restarts_by_lseek: "lseek to 0 starts again";
    getdents_many_entries: "five hundred entries come whole through small buffers";
    getdents_of_removed_directory: "a removed directory that is open gives ENOENT or nothing";
    chdir_and_getcwd: "getcwd gives the path, ERANGE for small buffers";
    chdir_errors: "chdir's ENOTDIR and ENOENT, fchdir's EBADF and ENOTDIR";
    getcwd_of_removed_directory_is_enoent: "the current directory may be removed";
    rename_over_empty_directory: "a directory replaces an empty one, ENOTEMPTY otherwise";
    rename_type_mismatch: "file over directory is EISDIR, directory over file ENOTDIR";
    rename_into_itself_is_einval: "a directory cannot go below itself";
    rename_onto_itself_is_nothing: "two names of one file: rename does nothing";
    rename_dot_is_ebusy: "the last component dot or dot-dot is EBUSY";
    renameat2_flags: "RENAME_NOREPLACE and RENAME_EXCHANGE, and EINVAL for both";
    unlinkat_removedir: "AT_REMOVEDIR makes unlinkat an rmdir";
    unlink_directory_is_eisdir: "unlink of a directory is EISDIR";
    sticky_protects_others_files [Root]: "in a sticky directory others cannot remove: EPERM";
    setgid_directory_gives_group [Root]: "files in a set-group-id directory get its group";
    dot_dot_follows_rename: "dot-dot of a moved directory is the new parent";
    chroot_confines [Root]: "after chroot dot-dot of the root stays, EPERM for others";
}

fn mkdir_mode_and_umask(c: &mut Case) -> Outcome {
    sys!(SYS_umask, 0o027)?;
    let path = c.path("d")?;
    mkdir(&path, 0o1777)?;
    check_eq!(calls::stat(&path)?.st_mode, libc::S_IFDIR | 0o1750, "mode");
    Ok(())
}

fn mkdir_errors(c: &mut Case) -> Outcome {
    let (dir, file) = (c.dir()?, c.file("f", b"")?);
    check_errno!(mkdir(&dir, 0o700), EEXIST);
    check_errno!(mkdir(&file, 0o700), EEXIST);
    check_errno!(mkdir("/", 0o700), EEXIST);
    check_errno!(mkdir(&c.path("none/d")?, 0o700), ENOENT);
    check_errno!(mkdir(&c.path("f/d")?, 0o700), ENOTDIR);
    check_errno!(mkdir(&c.path("new/.")?, 0o700), ENOENT);
    check_errno!(mkdir(&format!("{dir}/."), 0o700), EEXIST);
    check_errno!(mkdir("", 0o700), ENOENT);
    calls::symlink("nowhere", &c.path("link")?)?;
    check_errno!(mkdir(&c.path("link")?, 0o700), EEXIST);
    mkdir(&c.path("slash///")?, 0o700)?;
    check_errno!(sys!(SYS_mkdir, BAD, 0o700), EFAULT);
    Ok(())
}

fn rmdir_errors(c: &mut Case) -> Outcome {
    let file = c.file("f", b"")?;
    check_errno!(rmdir(&c.dir()?), ENOTEMPTY);
    check_errno!(rmdir(&file), ENOTDIR);
    check_errno!(rmdir(&c.path("none")?), ENOENT);
    mkdir(&c.path("d")?, 0o700)?;
    check_errno!(rmdir(&c.path("d/.")?), EINVAL);
    check_errno!(rmdir(&c.path("d/..")?), ENOTEMPTY);
    check_errno!(rmdir("/"), EBUSY);
    calls::symlink("d", &c.path("link")?)?;
    check_errno!(rmdir(&c.path("link")?), ENOTDIR);
    rmdir(&c.path("d/")?)?;
    Ok(())
}

fn link_count_follows_subdirectories(c: &mut Case) -> Outcome {
    let dir = c.dir()?;
    let before = calls::stat(&dir)?.st_nlink;
    mkdir(&c.path("d")?, 0o700)?;
    let after = calls::stat(&dir)?.st_nlink;
    // Some file systems keep 1, as overlays and btrfs do.
    check!(after == before + 1 || (before, after) == (1, 1), "one more link: {before}, {after}");
    Ok(())
}

/// All entries: name and type, by reading with a buffer of `size` bytes.
fn entries(fd: i32, size: usize) -> Outcome<Vec<(String, u8)>> {
    let mut found = Vec::new();
    let mut buffer = vec![0u8; size];
    loop {
        let len = sys!(SYS_getdents64, fd, &mut buffer[..], size)?;
        if len == 0 {
            return Ok(found);
        }
        let mut rest = &buffer[..len];
        while rest.len() >= 19 {
            let record = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
            check!(record >= 20 && record <= rest.len(), "a sane record length, got {record}");
            check!(record.is_multiple_of(8), "aligned records, got {record}");
            let name = rest[19..record].split(|b| *b == 0).next().unwrap_or_default();
            found.push((String::from_utf8_lossy(name).into_owned(), rest[18]));
            rest = &rest[record..];
        }
    }
}

fn getdents_lists_everything(c: &mut Case) -> Outcome {
    c.file("file", b"")?;
    mkdir(&c.path("dir")?, 0o700)?;
    calls::symlink("x", &c.path("link")?)?;
    sys!(SYS_mknod, &calls::cstr(&c.path("fifo")?), libc::S_IFIFO | 0o600, 0)?;
    let fd = open(&c.dir()?, libc::O_RDONLY, 0)?;
    let mut found = entries(fd, 4096)?;
    found.sort();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    check_eq!(names, [".", "..", "dir", "fifo", "file", "link"], "names");
    let types: Vec<u8> = found.iter().map(|(_, kind)| *kind).collect();
    let (d, f, r, l) = (libc::DT_DIR, libc::DT_FIFO, libc::DT_REG, libc::DT_LNK);
    check!(types == [d, d, d, f, r, l] || types.contains(&0), "types, got {types:?}");
    Ok(())
}

fn getdents_small_buffer(c: &mut Case) -> Outcome {
    c.file("some-longer-name", b"")?;
    let fd = open(&c.dir()?, libc::O_RDONLY, 0)?;
    check_errno!(sys!(SYS_getdents64, fd, &mut [0u8; 16], 16), EINVAL);
    check_errno!(sys!(SYS_getdents64, fd, BAD, 4096), EFAULT);
    check_errno!(sys!(SYS_getdents64, 999, BAD, 4096), EBADF);
    let file = c.open_file("f")?;
    check_errno!(sys!(SYS_getdents64, file, &mut [0u8; 64], 64), ENOTDIR);
    Ok(())
}

fn getdents_restarts_by_lseek(c: &mut Case) -> Outcome {
    c.file("a", b"")?;
    let fd = open(&c.dir()?, libc::O_RDONLY, 0)?;
    let first = entries(fd, 4096)?;
    check_eq!(entries(fd, 4096)?.len(), 0, "entries at the end");
    calls::lseek(fd, 0, libc::SEEK_SET)?;
    check_eq!(entries(fd, 4096)?, first, "entries after lseek");
    Ok(())
}

fn getdents_many_entries(c: &mut Case) -> Outcome {
    for i in 0..500 {
        c.file(&format!("entry-{i:04}"), b"")?;
    }
    let fd = open(&c.dir()?, libc::O_RDONLY, 0)?;
    let mut found = entries(fd, 256)?;
    found.sort();
    found.dedup();
    check_eq!(found.len(), 502, "distinct entries");
    Ok(())
}

fn getdents_of_removed_directory(c: &mut Case) -> Outcome {
    let path = c.path("d")?;
    mkdir(&path, 0o700)?;
    let fd = open(&path, libc::O_RDONLY, 0)?;
    rmdir(&path)?;
    check_errno!(sys!(SYS_getdents64, fd, &mut [0u8; 512], 512), ENOENT);
    check_errno!(calls::openat(fd, "f", libc::O_CREAT | libc::O_WRONLY, 0o600), ENOENT);
    check_eq!(calls::fstat(fd)?.st_nlink, 0, "links");
    Ok(())
}

fn getcwd() -> sys::SysResult<String> {
    let mut buffer = [0u8; 4096];
    let len = sys!(SYS_getcwd, &mut buffer, 4096)?;
    Ok(String::from_utf8_lossy(&buffer[..len.saturating_sub(1)]).into_owned())
}

fn chdir_and_getcwd(c: &mut Case) -> Outcome {
    let dir = std::fs::canonicalize(c.dir()?)?.to_string_lossy().into_owned();
    chdir(&dir)?;
    check_eq!(getcwd()?, dir, "getcwd");
    mkdir("sub", 0o700)?;
    let fd = open("sub", libc::O_PATH, 0)?;
    sys!(SYS_fchdir, fd)?;
    check_eq!(getcwd()?, format!("{dir}/sub"), "getcwd after fchdir");
    chdir("..")?;
    rename("sub", "moved")?;
    sys!(SYS_fchdir, fd)?;
    check_eq!(getcwd()?, format!("{dir}/moved"), "getcwd after a rename");
    check_errno!(sys!(SYS_getcwd, &mut [0u8; 3], 3), ERANGE);
    check_errno!(sys!(SYS_getcwd, BAD, 4096), EFAULT);
    Ok(())
}

fn chdir_errors(c: &mut Case) -> Outcome {
    let file = c.file("f", b"")?;
    check_errno!(chdir(&file), ENOTDIR);
    check_errno!(chdir(&c.path("none")?), ENOENT);
    check_errno!(chdir(""), ENOENT);
    check_errno!(sys!(SYS_fchdir, 999), EBADF);
    let fd = open(&file, libc::O_RDONLY, 0)?;
    check_errno!(sys!(SYS_fchdir, fd), ENOTDIR);
    Ok(())
}

fn getcwd_of_removed_directory_is_enoent(c: &mut Case) -> Outcome {
    let path = c.path("d")?;
    mkdir(&path, 0o700)?;
    in_child(|| {
        chdir(&path)?;
        rmdir(&path)?;
        check_errno!(getcwd(), ENOENT);
        check_errno!(open("f", libc::O_CREAT | libc::O_WRONLY, 0o600), ENOENT);
        check_errno!(mkdir("d", 0o700), ENOENT);
        chdir("..")?;
        Ok(())
    })
}

fn rename_over_empty_directory(c: &mut Case) -> Outcome {
    let (a, b) = (c.path("a")?, c.path("b")?);
    mkdir(&a, 0o700)?;
    mkdir(&b, 0o700)?;
    c.file("a/f", b"")?;
    check_errno!(rename(&b, &a), ENOTEMPTY);
    rename(&a, &b)?;
    calls::stat(&format!("{b}/f"))?;
    check_errno!(calls::stat(&a), ENOENT);
    Ok(())
}

fn rename_type_mismatch(c: &mut Case) -> Outcome {
    let (file, dir) = (c.file("f", b"")?, c.path("d")?);
    mkdir(&dir, 0o700)?;
    check_errno!(rename(&file, &dir), EISDIR);
    check_errno!(rename(&dir, &file), ENOTDIR);
    check_errno!(rename(&file, &c.path("g/")?), ENOTDIR);
    check_errno!(rename(&c.path("none")?, &file), ENOENT);
    check_errno!(rename(&file, &c.path("none/f")?), ENOENT);
    Ok(())
}

fn rename_into_itself_is_einval(c: &mut Case) -> Outcome {
    let dir = c.path("d")?;
    mkdir(&dir, 0o700)?;
    mkdir(&c.path("d/e")?, 0o700)?;
    check_errno!(rename(&dir, &c.path("d/new")?), EINVAL);
    check_errno!(rename(&dir, &c.path("d/e/new")?), EINVAL);
    // The other way round the target is an ancestor, so not empty.
    check_errno!(rename(&c.path("d/e")?, &dir), ENOTEMPTY);
    rename(&dir, &dir)?;
    Ok(())
}

fn rename_onto_itself_is_nothing(c: &mut Case) -> Outcome {
    let (a, b) = (c.file("a", b"x")?, c.path("b")?);
    calls::link(&a, &b)?;
    rename(&a, &b)?;
    check_eq!((calls::stat(&a)?.st_nlink, calls::stat(&b)?.st_nlink), (2, 2), "links");
    Ok(())
}

fn rename_dot_is_ebusy(c: &mut Case) -> Outcome {
    let dir = c.path("d")?;
    mkdir(&dir, 0o700)?;
    check_errno!(rename(&format!("{dir}/."), &c.path("x")?), EBUSY);
    check_errno!(rename(&format!("{dir}/.."), &c.path("x")?), EBUSY);
    check_errno!(rename(&dir, &format!("{dir}/.")), EBUSY);
    Ok(())
}

fn renameat2(from: &str, to: &str, flags: u32) -> sys::SysResult {
    sys!(SYS_renameat2, -100, &calls::cstr(from), -100, &calls::cstr(to), flags)
}

fn renameat2_flags(c: &mut Case) -> Outcome {
    let (a, b) = (c.file("a", b"a")?, c.file("b", b"bb")?);
    check_errno!(renameat2(&a, &b, libc::RENAME_NOREPLACE), EEXIST);
    renameat2(&a, &b, libc::RENAME_EXCHANGE)?;
    check_eq!((calls::stat(&a)?.st_size, calls::stat(&b)?.st_size), (2, 1), "sizes");
    let none = c.path("none")?;
    check_errno!(renameat2(&a, &none, libc::RENAME_EXCHANGE), ENOENT);
    let both = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE;
    check_errno!(renameat2(&a, &b, both), EINVAL);
    check_errno!(renameat2(&a, &b, 0x100), EINVAL);
    renameat2(&a, &none, libc::RENAME_NOREPLACE)?;
    Ok(())
}

fn unlinkat_removedir(c: &mut Case) -> Outcome {
    mkdir(&c.path("d")?, 0o700)?;
    c.file("f", b"")?;
    let fd = open(&c.dir()?, libc::O_PATH, 0)?;
    check_errno!(sys!(SYS_unlinkat, fd, c"f", libc::AT_REMOVEDIR), ENOTDIR);
    check_errno!(sys!(SYS_unlinkat, fd, c"d", 0), EISDIR);
    check_errno!(sys!(SYS_unlinkat, fd, c"d", 1), EINVAL);
    sys!(SYS_unlinkat, fd, c"d", libc::AT_REMOVEDIR)?;
    sys!(SYS_unlinkat, fd, c"f", 0)?;
    Ok(())
}

fn unlink_directory_is_eisdir(c: &mut Case) -> Outcome {
    check_errno!(calls::unlink(&c.dir()?), EISDIR);
    check_errno!(calls::unlink(&c.path("none")?), ENOENT);
    let file = c.file("f", b"")?;
    check_errno!(calls::unlink(&format!("{file}/")), ENOTDIR);
    Ok(())
}

fn sticky_protects_others_files(c: &mut Case) -> Outcome {
    let dir = c.path("d")?;
    mkdir(&dir, 0)?;
    calls::chmod(&dir, 0o1777)?;
    let file = c.file("d/f", b"")?;
    in_child(|| {
        calls::become_user(crate::case::ORDINARY)?;
        check_errno!(calls::unlink(&file), EPERM);
        check_errno!(rename(&file, &format!("{dir}/g")), EPERM);
        open(&format!("{dir}/own"), libc::O_CREAT | libc::O_WRONLY, 0o600)?;
        calls::unlink(&format!("{dir}/own"))?;
        Ok(())
    })
}

fn setgid_directory_gives_group(c: &mut Case) -> Outcome {
    let dir = c.path("d")?;
    mkdir(&dir, 0o700)?;
    sys!(SYS_chown, &calls::cstr(&dir), 0, 1234)?;
    calls::chmod(&dir, 0o2755)?;
    let file = c.file("d/f", b"")?;
    check_eq!(calls::stat(&file)?.st_gid, 1234, "group of the file");
    mkdir(&c.path("d/e")?, 0o700)?;
    let stat = calls::stat(&c.path("d/e")?)?;
    check_eq!((stat.st_gid, stat.st_mode & 0o7777), (1234, 0o2700), "group and mode inherited");
    Ok(())
}

fn dot_dot_follows_rename(c: &mut Case) -> Outcome {
    for name in ["a", "b", "a/x"] {
        mkdir(&c.path(name)?, 0o700)?;
    }
    let fd = open(&c.path("a/x")?, libc::O_PATH, 0)?;
    rename(&c.path("a/x")?, &c.path("b/x")?)?;
    let parent = calls::openat(fd, "..", libc::O_PATH, 0)?;
    let want = calls::stat(&c.path("b")?)?.st_ino;
    check_eq!(calls::fstat(parent)?.st_ino, want, "inode of dot-dot");
    Ok(())
}

fn chroot_confines(c: &mut Case) -> Outcome {
    mkdir(&c.path("d")?, 0o755)?;
    let dir = c.dir()?;
    in_child(|| {
        sys!(SYS_chroot, &calls::cstr(&dir))?;
        chdir("/")?;
        check_eq!(getcwd()?, "/", "getcwd");
        check_eq!(calls::stat("/../../d")?.st_ino, calls::stat("/d")?.st_ino, "inode");
        calls::become_user(crate::case::ORDINARY)?;
        check_errno!(sys!(SYS_chroot, c"/d"), EPERM);
        check_errno!(sys!(SYS_chroot, c"/none"), ENOENT);
        Ok(())
    })
}
