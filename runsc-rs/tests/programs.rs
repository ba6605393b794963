//! Programs, and what they see: exit statuses, environment, files.

#![allow(clippy::unwrap_used)] // tests, helpers of theirs included

mod common;

use common::{Caller, NOBODY, callers, finish, sandbox, shared_dir};
use std::fs;
use std::path::Path;
use std::process::Command;

/// `sandbox run OPTIONS -- sh -c SCRIPT`, in a directory: status, output, errors.
fn shell(caller: Caller, dir: &Path, options: &[&str], script: &str) -> (i32, String, String) {
    let args = [&["run", "--timeout", "60"], options, &["--", "/bin/sh", "-c", script]].concat();
    finish(sandbox(caller, &args).current_dir(dir))
}

/// The output of a script that succeeds silently.
fn output(caller: Caller, dir: &Path, options: &[&str], script: &str) -> String {
    let (status, stdout, stderr) = shell(caller, dir, options, script);
    assert_eq!((status, stderr.as_str()), (0, ""), "{script}: {stdout}");
    stdout
}

fn run(caller: Caller, command: &[&str]) -> (i32, String, String) {
    let args = [&["run", "--timeout", "60", "--"], command].concat();
    finish(&mut sandbox(caller, &args))
}

#[test]
fn the_status_is_the_programs() {
    let dir = shared_dir("status");
    fs::write(dir.join("text"), "no program").unwrap();
    fs::write(dir.join("broken"), b"\x7fELF\x02\x01\x01").unwrap();
    let text = dir.join("text");
    let broken = dir.join("broken");
    common::make_executable(&broken);
    for caller in callers() {
        assert_eq!(run(caller, &["/bin/echo", "hello"]), (0, "hello\n".into(), String::new()));
        for (script, status) in [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
            assert_eq!(run(caller, &["/bin/sh", "-c", script]).0, status, "{script}");
        }
        for (program, status) in [
            ("no-such-program", 127),
            ("/no/such/program", 127),
            ("/etc", 126),
            (text.to_str().unwrap(), 126),
            (broken.to_str().unwrap(), 126),
        ] {
            let (code, _, stderr) = run(caller, &[program]);
            assert_eq!(code, status, "{program}: {stderr}");
            assert!(stderr.starts_with("sandbox: ") && stderr.contains(program), "{stderr}");
        }
    }
}

#[test]
fn the_environment_is_not_passed_on() {
    for caller in callers() {
        let args = ["run", "--env", "A=1", "--env", "PASSED", "--", "/usr/bin/env"];
        let mut command = sandbox(caller, &args);
        command.env("SECRET", "x").env("PASSED", "y").env("TERM", "vt100").env("LANG", "C");
        command.env_remove("TZ");
        let (status, stdout, stderr) = finish(&mut command);
        assert_eq!((status, stderr.as_str()), (0, ""));
        let mut names: Vec<_> =
            stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.retain(|name| *name != "USER");
        names.sort_unstable();
        assert_eq!(names, ["A", "HOME", "LANG", "PASSED", "PATH", "TERM"], "{stdout}");
        assert!(stdout.contains("PASSED=y\n") && stdout.contains("TERM=vt100\n"), "{stdout}");
    }
}

#[test]
fn little_is_visible() {
    let dir = shared_dir("view");
    fs::write(dir.join("mine"), "here").unwrap();
    let other = shared_dir("other");
    for caller in callers() {
        let out = output(caller, &dir, &[], "pwd; cat mine; echo; ls -A /home /run /tmp");
        // /root is there, and empty, but only for those who may look into it.
        assert_eq!(shell(caller, &dir, &[], "ls -A /root").1, "");
        assert!(out.starts_with(&format!("{}\nhere\n", dir.display())), "{out}");
        // Of /tmp only the way to the current directory is there.
        assert!(!out.contains(other.file_name().unwrap().to_str().unwrap()), "{out}");
        let native = String::from_utf8(Command::new("ls").arg("/usr").output().unwrap().stdout);
        assert_eq!(output(caller, &dir, &[], "ls /usr"), native.unwrap());
        assert_eq!(output(caller, Path::new("/"), &[], "pwd"), "/\n");
        let gone = format!("test -e {}", other.display());
        assert_eq!(shell(caller, &dir, &[], &gone).0, 1);
    }
}

#[test]
fn writes_stay_inside_unless_they_are_let_through() {
    let dir = shared_dir("writes");
    fs::write(dir.join("file"), "old").unwrap();
    common::make_writable(&dir.join("file"));
    let script = "echo new >file; echo more >more; mkdir sub; cat file";
    for caller in callers() {
        assert_eq!(output(caller, &dir, &[], script), "new\n");
        assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "old");
        assert_eq!(fs::read_dir(&*dir).unwrap().count(), 1);

        let option = format!("--ro={}", dir.display());
        assert_ne!(shell(caller, &dir, &[&option], "echo new >file").0, 0);

        let own = if caller == Caller::Nobody { Some(NOBODY) } else { None };
        assert_eq!(output(caller, &dir, &["--rw", "."], script), "new\n");
        assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "new\n");
        if let Some(uid) = own {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(dir.join("more")).unwrap().uid(), uid);
        }
        fs::write(dir.join("file"), "old").unwrap();
        fs::remove_file(dir.join("more")).unwrap();
        fs::remove_dir(dir.join("sub")).unwrap();
    }
    let root = if common::is_root() { "echo x >>/etc/hostname && cat /etc/hostname" } else { ":" };
    let before = fs::read("/etc/hostname").ok();
    let _ = shell(Caller::Myself, &dir, &[], root);
    assert_eq!(fs::read("/etc/hostname").ok(), before);
}

#[test]
fn more_can_be_shown() {
    let dir = shared_dir("shown");
    fs::write(dir.join("data"), "data").unwrap();
    let root = Path::new("/");
    for caller in callers() {
        let bind = format!("{}:/mnt/new/place", dir.display());
        assert_eq!(output(caller, root, &["--ro", &bind], "cat /mnt/new/place/data"), "data");
        let file = format!("{}:/opt-file", dir.join("data").display());
        assert_eq!(output(caller, root, &["--ro", &file], "cat /opt-file"), "data");
        let tmpfs = ["--tmpfs", "/scratch", "--cwd", "/scratch"];
        assert_eq!(output(caller, root, &tmpfs, "echo x >y; ls; pwd"), "y\n/scratch\n");
        let all = format!("cat {}", dir.join("data").display());
        assert_eq!(output(caller, root, &["--root", "/"], &all), "data");
        let (status, _, stderr) = shell(caller, root, &["--cwd", "/no/such"], ":");
        assert!((125..=127).contains(&status) && stderr.contains("/no/such"), "{stderr}");
    }
}

#[test]
fn the_program_is_somebody() {
    let root = Path::new("/");
    for caller in callers() {
        let me = match caller {
            Caller::Nobody => NOBODY,
            Caller::Myself => rustix::process::geteuid().as_raw(),
        };
        assert_eq!(output(caller, root, &[], "id -u"), format!("{me}\n"));
        assert_eq!(output(caller, root, &["--user", "12:34"], "id -u; id -g"), "12\n34\n");
        assert_eq!(output(caller, root, &["--hostname", "box"], "uname -n"), "box\n");
        assert_eq!(output(caller, root, &[], "ls /proc | grep -c '^[0-9]'").trim().len(), 1);
    }
}
