//! /proc as the tasks of a kernel see it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod sandbox;

use abi::Errno;
use abi::file::{FileType, OpenFlags};
use abi::process::CloneFlags;
use kernel::wait4::{WaitOptions, Which};
use sandbox::*;
use std::collections::HashSet;
use std::sync::Arc;
use vfs::Credentials;
use vfs::inode::LinkTarget;

const RDONLY: OpenFlags = OpenFlags::empty();

/// The value of a line of /proc/PID/status.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:\t")));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).to_owned()
}

#[test]
fn a_process_sees_itself() {
    Sandbox::new().run(0, |cx| {
        let task = cx.task;
        assert_eq!(readlink(task, "/proc/self").unwrap(), "2");
        assert_eq!(readlink(task, "/proc/thread-self").unwrap(), "2/task/2");
        assert_eq!(text(task, "/proc/self/cmdline").unwrap(), "prog\0two words\0");
        assert_eq!(text(task, "/proc/self/environ").unwrap(), "A=b\0");
        assert_eq!(text(task, "/proc/self/comm").unwrap(), "prog\n");
        assert_eq!(readlink(task, "/proc/self/exe").unwrap(), "/bin/prog");
        assert_eq!(readlink(task, "/proc/self/cwd").unwrap(), "/tmp");
        assert_eq!(readlink(task, "/proc/self/root").unwrap(), "/");
        let status = text(task, "/proc/self/status").unwrap();
        for (name, value) in [
            ("Name", "prog"),
            ("Umask", "0022"),
            ("State", "R (running)"),
            ("Pid", "2"),
            ("PPid", "1"),
            ("Groups", "7 "),
            ("Threads", "1"),
            ("CapEff", "000001ffffffffff"),
            ("Cpus_allowed_list", "0-1"),
        ] {
            assert_eq!(field(&status, name), value, "{name}");
        }
        let stat = text(task, "/proc/self/stat").unwrap();
        assert!(stat.starts_with("2 (prog) R 1 2 2 1281 2 "), "{stat}");
        let maps = text(task, "/proc/self/maps").unwrap();
        assert!(maps.contains("r-xp") && maps.contains(" /bin/prog\n"), "{maps}");
        assert!(maps.contains("[stack]\n"), "{maps}");
    });
}

#[test]
fn every_file_can_be_read_and_has_a_number_of_its_own() {
    Sandbox::new().run(0, |cx| {
        let task = cx.task;
        install(task, "/bin/prog", RDONLY);
        let mut inos = HashSet::new();
        let mut pending = vec!["/proc".to_owned(), "/sys".to_owned()];
        let mut files = 0;
        while let Some(dir) = pending.pop() {
            for name in list(task, &dir).unwrap().into_iter().filter(|n| n != "." && n != "..") {
                let path = format!("{dir}/{name}");
                let inode = find(task, &path).unwrap_or_else(|e| panic!("{path}: {e}"));
                let attr = inode.attr().unwrap();
                assert_eq!(attr.file_type(), inode.file_type(), "{path}");
                let shared = path.contains("/net");
                assert!(inos.insert((attr.dev, attr.ino)) || shared, "{path}: {}", attr.ino);
                match inode.file_type() {
                    FileType::Directory => pending.push(path),
                    FileType::Symlink => {
                        drop(inode.readlink().unwrap_or_else(|e| panic!("{path}: {e}")))
                    }
                    _ if name == "mem" => {}
                    _ => {
                        let file = open(task, &path, RDONLY);
                        let read = file.and_then(|file| read_all(&file));
                        assert!(read.is_ok(), "{path}: {read:?}");
                        files += 1;
                    }
                }
            }
        }
        assert!(files > 300, "{files}");
    });
}

#[test]
fn the_same_thing_is_the_same_inode() {
    Sandbox::new().run(0, |cx| {
        for path in ["/proc/2", "/proc/2/stat", "/proc/2/task/2/fd", "/proc/sys/kernel/hostname"] {
            // Somebody holds what is on the way.
            let held = open(cx.task, path.rsplit_once('/').unwrap().0, RDONLY).unwrap();
            let (a, b) = (find(cx.task, path).unwrap(), find(cx.task, path).unwrap());
            assert!(Arc::ptr_eq(&a, &b), "{path}");
            drop(held);
        }
    });
}

#[test]
fn descriptors_are_links_to_what_is_open() {
    Sandbox::new().run(0, |cx| {
        let task = cx.task;
        assert_eq!(install(task, "/bin/prog", OpenFlags::RDWR).0, 0);
        assert_eq!(install(task, "/tmp", RDONLY).0, 1);
        assert_eq!(list(task, "/proc/self/fd").unwrap(), [".", "..", "0", "1"]);
        assert_eq!(readlink(task, "/proc/self/fd/0").unwrap(), "/bin/prog");
        assert_eq!(find(task, "/proc/self/fd/0").unwrap().attr().unwrap().mode & 0o777, 0o700);
        let again = open(task, "/proc/self/fd/0", RDONLY).unwrap();
        assert!(again.path().is_same(task.files().get(vfs::Fd(0)).unwrap().path()));
        task.files().get(vfs::Fd(0)).unwrap().seek(3, 0).unwrap();
        let info = text(task, "/proc/self/fdinfo/0").unwrap();
        assert!(info.starts_with("pos:\t3\nflags:\t0100002\nmnt_id:\t"), "{info}");
        assert_eq!(text(task, "/proc/self/fd/7"), Err(Errno::ENOENT));
    });
}

#[test]
fn fdinfo_of_itself_does_not_hang() {
    Sandbox::new().run(0, |cx| {
        let first = open(cx.task, "/tmp", RDONLY).unwrap();
        cx.task.files().install(first, false, 0, 9).unwrap();
        let info = open(cx.task, "/proc/self/fdinfo/0", RDONLY).unwrap();
        let old = cx.task.files().install_at(info.clone(), false, vfs::Fd(0), 9).unwrap();
        drop(old);
        let bytes = read_all(&info).unwrap();
        assert!(bytes.starts_with(b"pos:\t0\nflags:\t0100000\n"));
    });
}

#[test]
fn magic_links_lead_there() {
    Sandbox::new().run(0, |cx| {
        let exe = find(cx.task, "/proc/self/exe").unwrap();
        assert!(matches!(exe.readlink(), Ok(LinkTarget::Magic(_))));
        let file = open(cx.task, "/proc/self/exe", RDONLY).unwrap();
        assert!(read_all(&file).unwrap().starts_with(b"\x7fELF"));
        assert!(list(cx.task, "/proc/self/root/bin").unwrap().contains(&"prog".to_owned()));
        assert_eq!(readlink(cx.task, "/proc/self/ns/pid").unwrap(), "pid:[4026531836]");
        let ns = open(cx.task, "/proc/self/ns/pid", RDONLY).unwrap();
        assert_eq!(ns.path().inode().attr().unwrap().ino, 4_026_531_836);
    });
}

#[test]
fn memory_is_read_and_written_at_its_address() {
    Sandbox::new().run(0, |cx| {
        let mem = open(cx.task, "/proc/self/mem", OpenFlags::RDWR).unwrap();
        let at = cx.mm().layout().arg_start;
        let mut buf = [0; 4];
        assert_eq!(mem.read_at(&mut buf, at), Ok(4));
        assert_eq!(&buf, b"prog");
        assert_eq!(mem.write_at(b"PROG", at), Ok(4));
        assert_eq!(text(cx.task, "/proc/self/cmdline").unwrap(), "PROG\0two words\0");
        assert_eq!(mem.read_at(&mut buf, 0), Err(Errno::EIO));
        let auxv = open(cx.task, "/proc/self/auxv", RDONLY).unwrap();
        let auxv = read_all(&auxv).unwrap();
        assert_eq!(auxv.len() % 16, 0);
        assert!(auxv.chunks(16).any(|pair| pair[..8] == 6u64.to_ne_bytes()), "AT_PAGESZ");
        assert_eq!(auxv[auxv.len() - 16..], [0; 16]);
    });
}

#[test]
fn a_process_can_overwrite_its_title() {
    Sandbox::new().run(0, |cx| {
        let layout = cx.mm().layout();
        let room = (layout.env_end - layout.arg_start) as usize;
        let title = [&vec![b't'; room - 2][..], b"\0\0"].concat();
        cx.mm().write_bytes(abi::UserAddr(layout.arg_start), &title).unwrap();
        let shown = text(cx.task, "/proc/self/cmdline").unwrap();
        assert_eq!(shown.len(), room - 1);
        assert!(shown.ends_with("tt\0"));
    });
}

#[test]
fn other_processes_come_and_go() {
    let sandbox = Sandbox::new();
    let child = sandbox.run(0, |cx| fork(cx, CloneFlags::empty()));
    assert_eq!(child, 3);
    let stat = sandbox.run(0, |cx| {
        let names = list(cx.task, "/proc").unwrap();
        let numbers: Vec<_> = names.iter().filter(|n| n.parse::<i32>().is_ok()).collect();
        assert_eq!(numbers, ["2", "3"], "init is not shown");
        assert!(names.contains(&"self".to_owned()) && names.contains(&"meminfo".to_owned()));
        assert_eq!(text(cx.task, "/proc/2/task/2/children").unwrap(), "3 ");
        assert_eq!(find(cx.task, "/proc/1").err(), Some(Errno::ENOENT));
        let status = text(cx.task, "/proc/3/status").unwrap();
        assert_eq!((field(&status, "PPid"), field(&status, "NSpgid")), ("2".into(), "2".into()));
        open(cx.task, "/proc/3/stat", RDONLY).unwrap()
    });
    sandbox.exit(1, 5);
    sandbox.run(0, move |cx| {
        let status = text(cx.task, "/proc/3/status").unwrap();
        assert_eq!(field(&status, "State"), "Z (zombie)");
        assert!(!status.contains("VmSize"));
        assert!(text(cx.task, "/proc/3/stat").unwrap().starts_with("3 (prog) Z 2 2 2 "));
        assert_eq!(text(cx.task, "/proc/3/cmdline").unwrap(), "");
        assert_eq!(list(cx.task, "/proc/3/fd"), Err(Errno::ENOENT));
        assert_eq!(readlink(cx.task, "/proc/3/exe"), Err(Errno::ENOENT));
        assert_eq!(list(cx.task, "/proc/3/task").unwrap(), [".", "..", "3"]);
        let options = WaitOptions::EXITED | WaitOptions::NOHANG;
        let waited = cx.task.wait_child(Which::Pid(3), options).unwrap();
        assert!(waited.is_some());
        assert_eq!(find(cx.task, "/proc/3").err(), Some(Errno::ENOENT));
        assert_eq!(read_all(&stat), Err(Errno::ESRCH));
    });
}

#[test]
fn threads_are_in_task_only() {
    let sandbox = Sandbox::new();
    let flags = CloneFlags::VM | CloneFlags::FILES | CloneFlags::FS | CloneFlags::SIGHAND;
    let tid = sandbox.run(0, move |cx| fork(cx, flags | CloneFlags::THREAD));
    sandbox.run(0, move |cx| {
        let task = cx.task;
        assert_eq!(list(task, "/proc/self/task").unwrap(), [".", "..", "2", "3"]);
        assert_eq!(field(&text(task, "/proc/self/status").unwrap(), "Threads"), "2");
        let status = text(task, "/proc/self/task/3/status").unwrap();
        assert_eq!((field(&status, "Tgid"), field(&status, "Pid")), ("2".into(), tid.to_string()));
        assert!(!list(task, "/proc").unwrap().contains(&"3".to_owned()));
        assert!(find(task, "/proc/3/stat").is_ok(), "as in Linux, not listed but there");
        assert_eq!(find(task, "/proc/self/task/2/task").err(), Some(Errno::ENOENT));
        // A process names any of its threads.
        assert_eq!(write(task, "/proc/self/task/3/comm", "a very long name indeed"), Ok(23));
        assert_eq!(text(task, "/proc/self/task/3/comm").unwrap(), "a very long nam\n");
        assert_eq!(text(task, "/proc/self/comm").unwrap(), "prog\n");
    });
    sandbox.run(1, |cx| {
        assert_eq!(readlink(cx.task, "/proc/self").unwrap(), "2");
        assert_eq!(readlink(cx.task, "/proc/thread-self").unwrap(), "2/task/3");
    });
}

#[test]
fn others_may_not_look_inside() {
    let sandbox = Sandbox::new();
    sandbox.run(0, |cx| {
        fork(cx, CloneFlags::empty());
        fork(cx, CloneFlags::empty())
    });
    sandbox.run(1, |cx| cx.task.set_cred(Credentials::new(1000, 1000, &[])));
    sandbox.run(2, |cx| {
        let task = cx.task;
        task.set_cred(Credentials::new(1001, 1001, &[]));
        for file in ["environ", "maps", "mem", "io", "auxv", "smaps", "personality"] {
            let opened = open(task, &format!("/proc/3/{file}"), RDONLY);
            assert_eq!(opened.err(), Some(Errno::EACCES), "{file}");
        }
        for link in ["exe", "cwd", "root", "ns/pid"] {
            assert_eq!(readlink(task, &format!("/proc/3/{link}")), Err(Errno::EACCES), "{link}");
        }
        assert_eq!(list(task, "/proc/3/fd"), Err(Errno::EACCES));
        assert_eq!(list(task, "/proc/3/fdinfo"), Err(Errno::EACCES));
        // Everybody may see that it is there, and what it is doing.
        let status = text(task, "/proc/3/status").unwrap();
        assert_eq!(field(&status, "Uid"), "1000\t1000\t1000\t1000");
        assert_eq!(text(task, "/proc/3/cmdline").unwrap(), "prog\0two words\0");
        let stat = text(task, "/proc/3/stat").unwrap();
        let words: Vec<&str> = stat.split(' ').collect();
        assert_eq!((words[25], words[27]), ("1", "0"), "no addresses: {stat}");
        assert_eq!(find(task, "/proc/3").unwrap().attr().unwrap().uid, 1000);
        // Its own it may see.
        assert!(list(task, "/proc/self/fd").is_ok());
        assert!(text(task, "/proc/self/environ").is_ok());
        assert_eq!(write(task, "/proc/3/comm", "x"), Err(Errno::EACCES));
        assert_eq!(write(task, "/proc/self/comm", "mine"), Ok(4));
        assert_eq!(write(task, "/proc/self/oom_score_adj", "-1"), Err(Errno::EACCES));
        assert_eq!(write(task, "/proc/self/oom_score_adj", "500\n"), Ok(4));
        assert_eq!(text(task, "/proc/self/oom_score_adj").unwrap(), "500\n");
        assert_eq!(write(task, "/proc/sys/kernel/hostname", "x"), Err(Errno::EACCES));
    });
    sandbox.run(1, |cx| {
        cx.group().dumpable.store(0, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(find(cx.task, "/proc/self/stat").unwrap().attr().unwrap().uid, 0);
        assert_eq!(find(cx.task, "/proc/self").unwrap().attr().unwrap().uid, 0);
        assert_eq!(find(cx.task, "/proc/3").unwrap().attr().unwrap().uid, 1000);
    });
}

#[test]
fn settings_have_an_effect_or_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.run(0, |cx| {
        let task = cx.task;
        assert_eq!(text(task, "/proc/sys/kernel/hostname").unwrap(), "box\n");
        assert_eq!(write(task, "/proc/sys/kernel/hostname", "other\n"), Ok(6));
        assert_eq!(cx.kernel().uts.read().nodename, b"other");
        assert_eq!(write(task, "/proc/sys/vm/swappiness", "1"), Err(Errno::EROFS));
        assert_eq!(write(task, "/proc/self/oom_score_adj", "-1001"), Err(Errno::EINVAL));
        assert_eq!(write(task, "/proc/self/oom_adj", "-17"), Ok(3));
        assert_eq!(text(task, "/proc/self/oom_score_adj").unwrap(), "-1000\n");
        assert_eq!(write(task, "/proc/self/uid_map", "0 0 1"), Err(Errno::EPERM));
        assert_eq!(write(task, "/proc/self/stat", "x"), Err(Errno::EINVAL));
        assert_eq!(write(task, "/proc/uptime", "x"), Err(Errno::EIO));
        let flags = OpenFlags::WRONLY | OpenFlags::CREAT;
        let made = open(task, "/proc/new", flags);
        assert_eq!(made.err(), Some(Errno::ENOENT));
        assert_ne!(
            text(task, "/proc/sys/kernel/random/uuid"),
            text(task, "/proc/sys/kernel/random/uuid")
        );
        let boot_id = text(task, "/proc/sys/kernel/random/boot_id");
        assert_eq!(boot_id, text(task, "/proc/sys/kernel/random/boot_id"));
    });
}

#[test]
fn mounts_are_seen_from_the_root() {
    Sandbox::new().run(0, |cx| {
        let mounts = text(cx.task, "/proc/mounts").unwrap();
        let lines: Vec<&str> = mounts.lines().collect();
        assert!(lines[0].starts_with("tmpfs / tmpfs rw,"), "{mounts}");
        assert_eq!(lines[1], "proc /proc proc rw,nosuid,nodev,noexec 0 0");
        assert_eq!(lines[2], "sysfs /sys sysfs ro,nosuid,nodev,noexec 0 0");
        let info = text(cx.task, "/proc/self/mountinfo").unwrap();
        let ids: Vec<Vec<&str>> = info.lines().map(|l| l.split(' ').take(5).collect()).collect();
        assert_eq!((ids[1][1], ids[1][4]), (ids[0][0], "/proc"), "{info}");
    });
}

#[test]
fn a_directory_that_is_held_keeps_nobody_alive() {
    let sandbox = Sandbox::new();
    sandbox.run(0, |cx| fork(cx, CloneFlags::empty()));
    let child = sandbox.run(1, |cx| {
        let own = open(cx.task, "/proc/self/fd", RDONLY).unwrap();
        cx.task.fs().set_cwd(own.path().clone());
        install(cx.task, "/proc/self/stat", RDONLY);
        Arc::downgrade(cx.task)
    });
    let held = sandbox.run(0, |cx| open(cx.task, "/proc/3", RDONLY).unwrap());
    sandbox.exit(1, 0);
    sandbox.run(0, |cx| {
        cx.task.wait_child(Which::Any, WaitOptions::EXITED | WaitOptions::NOHANG).unwrap();
    });
    sandbox.forget(1);
    assert!(child.upgrade().is_none(), "the task is gone");
    drop(held);
    let kernel = Arc::downgrade(&sandbox.kernel);
    sandbox.exit(0, 0);
    sandbox.forget(0);
    drop(sandbox);
    assert!(kernel.upgrade().is_none(), "and in the end the kernel is");
}
