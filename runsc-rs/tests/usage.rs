//! Bad input: a clear message, the right status, and nothing started.

#![allow(clippy::unwrap_used)] // tests, helpers of theirs included

mod common;

use common::{Caller, callers, finish, sandbox, shared_dir};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Fails with 125 and one message that has these words.
fn refuses(caller: Caller, args: &[&str], words: &[&str]) {
    let (status, stdout, stderr) = finish(&mut sandbox(caller, args));
    assert_eq!(status, 125, "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    assert!(stderr.starts_with("sandbox: "), "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("backtrace"), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{args:?}: no '{word}' in: {stderr}");
    }
}

#[test]
fn options_that_make_no_sense() {
    for caller in callers() {
        for (args, words) in [
            (&[][..], &["say what to do", "Usage"][..]),
            (&["walk"], &["walk"]),
            (&["run"], &["PROGRAM"]),
            (&["run", "--no-such-option", "true"], &["--no-such-option"]),
            (&["run", "--timeout", "never", "true"], &["--timeout", "never", "500ms"]),
            (&["run", "--memory", "1K", "true"], &["--memory", "16M"]),
            (&["run", "--user", "root", "true"], &["--user", "numbers"]),
            (&["run", "--env", "=x", "true"], &["--env", "NAME=VALUE"]),
            (&["run", "--platform", "kvm", "true"], &["kvm", "not built yet", "ptrace"]),
            (&["run", "--platform", "systrap", "true"], &["systrap", "not built yet"]),
            (&["run", "--tmpfs", "scratch", "true"], &["--tmpfs", "absolute"]),
            (&["run", "--log", "/no/such/dir/log", "true"], &["--log", "No such file"]),
            (&["run", "--", ""], &["empty"]),
        ] {
            refuses(caller, args, words);
        }
    }
}

#[test]
fn files_that_cannot_be_shown() {
    let dir = shared_dir("bad");
    let locked = dir.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let locked = locked.to_str().unwrap();
    for caller in callers() {
        for (args, words) in [
            (&["run", "--ro", "/no/such", "true"][..], &["--ro /no/such", "No such file"][..]),
            (&["run", "--rw", "/no/such:/x", "true"], &["--rw", "/no/such"]),
            (&["run", "--ro", "/usr:x", "true"], &["--ro", "absolute"]),
            (&["run", "--ro", "/usr:/", "true"], &["--root"]),
            (&["run", "--ro", "/dev/null", "true"], &["/dev/null", "regular files"]),
            (&["run", "--root", "/no/such", "true"], &["--root /no/such", "No such file"]),
            (&["run", "--root", "/etc/passwd", "true"], &["--root /etc/passwd", "not a directory"]),
        ] {
            refuses(caller, args, words);
        }
        if caller == Caller::Nobody {
            for option in ["--root", "--ro"] {
                refuses(caller, &["run", option, locked, "true"], &[locked, "Permission denied"]);
            }
        }
    }
}

#[test]
fn help_and_versions() {
    let (status, stdout, _) = finish(&mut sandbox(Caller::Myself, &["run", "--help"]));
    assert_eq!(status, 0);
    for word in ["Examples:", "--rw . -- make", "Exit status", "--timeout", "no network"] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    let (status, stdout, _) = finish(&mut sandbox(Caller::Myself, &["--version"]));
    assert_eq!((status, stdout), (0, format!("sandbox {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_runtime_says_what_is_not_here_yet() {
    let runtime = env!("CARGO_BIN_EXE_runsc-rs");
    let (status, stdout, _) = finish(Command::new(runtime).arg("--version"));
    assert_eq!((status, stdout), (0, format!("runsc-rs {}\n", env!("CARGO_PKG_VERSION"))));
    let (status, _, stderr) = finish(Command::new(runtime).args(["create", "x"]));
    assert_eq!(status, 125);
    assert!(stderr.contains("'create' is not here yet"), "{stderr}");
    assert_eq!(finish(&mut Command::new(runtime)).0, 125);
}

#[test]
fn the_internal_processes_are_not_for_calling_by_hand() {
    use std::os::unix::process::CommandExt;
    for role in ["sandbox-sentry", "sandbox-gofer"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
        let (status, _, stderr) = finish(command.arg0(role));
        assert_eq!(status, 125, "{stderr}");
        assert!(stderr.starts_with("sandbox: "), "{stderr}");
    }
}
