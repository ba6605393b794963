//! A terminal and its keys, signals from outside: what they do natively, they do here, and nothing
//! is left behind.

#![allow(clippy::unwrap_used)] // tests, helpers of theirs included

mod common;

use common::native::{Both, ENVIRONMENT, Ended, have, native};
use common::{Caller, Process, callers, finish, sandbox};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

const DRIVER: &str = include_str!("guest/terminal.py");

/// Runs a command on a terminal, as this user.
fn on_terminal(caller: Caller, dir: &std::path::Path, steps: &[&str], command: &[&str]) -> Ended {
    let command = [&["python3", "-c", DRIVER], steps, &["--"], command].concat();
    let mut driver = native(caller, &command);
    driver.env_clear().envs(ENVIRONMENT.iter().copied()).env("HISTFILE", "").current_dir(dir);
    finish(&mut driver)
}

/// Both ways: the same is seen on the terminal and the end is the same. Gives what was seen.
fn same_on_terminal(caller: Caller, steps: &[&str], command: &[&str]) -> String {
    let dir = common::shared_dir("terminal");
    let native = on_terminal(caller, &dir, steps, command);
    assert_eq!((native.0, &*native.2), (0, ""), "{steps:?} {command:?}: {}", native.1);
    let program = sandbox(Caller::Myself, &[]).get_program().to_owned();
    let options =
        ["run", "--timeout", "80", "--env", "LC_ALL", "--env", "HISTFILE", "--env", "TERM", "--"];
    let inside = [&[program.to_str().unwrap()], &options[..], command].concat();
    let inside = on_terminal(caller, &dir, steps, &inside);
    assert_eq!((inside.0, &*inside.2), (0, ""), "{steps:?} {command:?}: {}", inside.1);
    // What a program changes in the settings of the terminal ends with the sandbox.
    let native = native.1.replace("settings changed", "settings kept");
    assert_eq!(inside.1, native, "{caller:?}: {steps:?} {command:?}");
    assert!(inside.1.ends_with("settings kept\nnothing left\n"), "{}", inside.1);
    inside.1
}

/// Steps, script of a shell, how it ends.
type Scene = (&'static [&'static str], &'static str, i32);

// What says that it is ready is the foreground child, once it is a program of its own: a shell that
// is about to start one may take the signal for it.
const SCENES: &[Scene] = &[
    // Ctrl-C: with a handler, without, in the middle of a line, twice.
    (
        &["wait ready", r"type \x03"],
        "trap 'echo caught; exit 7' INT; while :; do sh -c 'echo ready; exec sleep 1000'; done",
        7,
    ),
    (&["wait ready", r"type \x03"], "sh -c 'echo ready; exec sleep 1000'; echo never", 130),
    (&["wait ready", r"type \x03"], "echo ready; exec cat", 130),
    (
        &["wait ready", r"type half\x03"],
        "trap 'echo caught' INT; sh -c 'echo ready; exec cat'; echo $?",
        0,
    ),
    (
        &["wait ready", r"type \x03", "wait one", "wait ready", r"type \x03"],
        "trap 'echo one; trap \"echo two; exit 2\" INT' INT; while :; do sh -c 'echo ready; exec sleep 1000'; done",
        2,
    ),
    // Ctrl-\, Ctrl-D, editing.
    (&["wait ready", r"type \x1c"], "ulimit -c 0; echo ready; exec sleep 1000", 131),
    (&["wait ready", r"type abc\x7fd\n\x04"], "echo ready; exec cat", 0),
    (&["wait ready", r"type word\n"], "echo ready; read x; echo got $x; exit 4", 4),
    // Settings, and their return.
    (&[], "test -t 0 && test -t 1 && stty -a; exit 3", 3),
    (
        &["size 33 77", "wait ready", "size 44 88"],
        "trap 'stty size; exit 5' WINCH; until [ \"$(stty size)\" = '33 77' ]; do :; done; echo ready; while :; do sleep 0.01; done",
        5,
    ),
    (
        &["wait ready", r"type a\x03"],
        "stty -isig -icanon -echo; echo ready; head -c 2 | od -c; stty sane",
        0,
    ),
    // The terminal is closed.
    (&["wait ready", "hangup"], "sh -c 'echo ready; exec sleep 1000'; echo never", 129),
    (&["wait ready", "hangup"], "trap 'exit 6' HUP; echo ready; while :; do :; done", 6),
];

#[test]
fn keys_do_what_they_do_natively() {
    if !have(&["python3"]) {
        return;
    }
    for caller in callers() {
        for (steps, script, status) in SCENES {
            let seen = same_on_terminal(caller, steps, &["sh", "-c", script]);
            assert!(seen.contains(&format!("ended {status}\n")), "{script}: {seen}");
            assert!(!seen.contains("never"), "{script}: {seen}");
        }
    }
}

#[test]
fn job_control_of_a_shell() {
    if !have(&["python3", "bash"]) {
        return;
    }
    let steps = [
        r"type stty -echo; PS1= PS2=; bind 'set enable-bracketed-paste off' 2>/dev/null; echo re''ady\n",
        "wait ready",
        // The foreground job is stopped, goes on, and is interrupted.
        r#"type sh -c 'trap "echo $((6*7))" CONT; echo fg; while :; do :; done'\n"#,
        "wait fg",
        r"type \x1a",
        "wait Stopped",
        r"type jobs; echo st''opped=$?\n",
        "wait stopped=",
        r"type fg\n",
        // Not the command, which fg writes before the job has the terminal.
        "wait 42",
        r"type \x03",
        r"type echo in''terrupted=$?\n",
        "wait interrupted=130",
        // One in the background is not.
        r"type sleep 1000 &\n",
        r"type sh -c 'echo fg2; exec sleep 1000'\n",
        "wait fg2",
        r"type \x03",
        r"type jobs %1; kill %1; wait %1 2>/dev/null; echo ki''lled=$?\n",
        "wait killed=143",
        r"type exit 9\n",
    ];
    for caller in callers() {
        let dir = common::shared_dir("jobs");
        let program = sandbox(Caller::Myself, &[]).get_program().to_owned();
        let shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"];
        let inside = [&[program.to_str().unwrap(), "run", "--"], &shell[..]].concat();
        for command in [&shell[..], &inside] {
            let (status, seen, errors) = on_terminal(caller, &dir, &steps, command);
            assert_eq!((status, &*errors), (0, ""), "{seen}");
            for word in ["Stopped", "Running", "ended 9\n", "nothing left\n"] {
                assert!(seen.contains(word), "{command:?}: no {word}: {seen}");
            }
        }
    }
}

#[test]
fn signals_to_the_command_reach_the_program() {
    let signals = [("TERM", libc::SIGTERM), ("INT", libc::SIGINT), ("HUP", libc::SIGHUP)];
    let more = [("USR1", libc::SIGUSR1), ("USR2", libc::SIGUSR2), ("QUIT", libc::SIGQUIT)];
    for caller in callers() {
        for (name, number) in signals.into_iter().chain(more) {
            let both = Both::new(caller, &[]);
            let script = format!(
                "trap 'echo caught; exit 9' {name}; echo ready; while :; do sleep 0.01; done"
            );
            let mut command = both.inside_command(&["sh", "-c", &script]);
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            let front_end = i32::try_from(child.id()).unwrap();
            let processes = Process::beneath(front_end);
            Process::of(front_end).kill(number);
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            assert_eq!((child.wait().unwrap().code(), &*rest), (Some(9), "caught\n"), "{name}");
            assert!(processes.len() >= 3 && !processes.iter().any(Process::lives), "{name}");
        }
    }
}
