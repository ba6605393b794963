//! Bad input of every kind, given to the sandbox or to its kernel: the end is an error that Linux
//! gives too, never one of the sandbox.
//!
//! More than by default is tried with `RUNSC_ELF_MUTATIONS` and `RUNSC_RANDOM_CALLS`; other values
//! with `RUNSC_SEED`.

#![allow(clippy::unwrap_used)] // tests, helpers of theirs included

mod common;

use common::native::{Both, have, how_many, syscall_cases};
use common::{callers, finish, make_executable, sandbox};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

const DAMAGE: &str = include_str!("guest/elf.py");

/// A static program of 132 bytes: exit(42).
fn tiny_elf() -> Vec<u8> {
    let code = [0xb8, 60, 0, 0, 0, 0xbf, 42, 0, 0, 0, 0x0f, 0x05];
    let base = 0x40_0000u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [base + 120, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [0u16, 0, 64, 56, 1, 64, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1u32.to_le_bytes());
    elf.extend(5u32.to_le_bytes());
    for word in [0, base, base, 132, 132, 4096] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}

/// Fills a directory with programs to damage.
fn programs(dir: &Path) {
    fs::write(dir.join("elf.py"), DAMAGE).unwrap();
    fs::write(dir.join("tiny"), tiny_elf()).unwrap();
    make_executable(&dir.join("tiny"));
    fs::copy("/bin/true", dir.join("true")).unwrap();
}

fn seed() -> String {
    how_many("RUNSC_SEED", 1).to_string()
}

#[test]
fn damaged_elf_files_never_end_the_sandbox() {
    if !have(&["python3"]) {
        return;
    }
    // What execve(2) may say about a file, and what may become of a process.
    let possible = [
        "ENOEXEC",
        "ELIBBAD",
        "ENOENT",
        "EACCES",
        "EINVAL",
        "EIO",
        "ENOMEM",
        "ENOTDIR",
        "ELOOP",
        "EISDIR",
        "ENAMETOOLONG",
        "EPERM",
        "status",
        "endless",
        "done",
    ];
    let count = how_many("RUNSC_ELF_MUTATIONS", 150);
    for caller in callers() {
        let both = Both::new(caller, &["--timeout", "3600"]).filled(&programs);
        let (seed, count) = (seed(), count.to_string());
        let loader = "/lib64/ld-linux-x86-64.so.2";
        let command = ["python3", "elf.py", "flip", &seed, &count, "tiny", "true", loader];
        let (status, output, errors) = both.inside(&command);
        assert_eq!((status, &*errors), (0, ""), "{output}");
        let first = |line: &'_ str| line.split(' ').next().unwrap_or_default().to_owned();
        for line in output.lines() {
            assert!(possible.contains(&&*first(line)), "{line}");
        }
        let of = |line: &str| line.split(' ').nth(1).map_or(0, |word| word.parse().unwrap());
        assert_eq!(output.lines().map(of).sum::<u32>().to_string(), count);
        // Something was refused and something ran, or this would show nothing.
        assert!(output.contains("ENOEXEC") && output.contains("status 0"), "{output}");
        assert!(output.ends_with("done\n"), "{output}");
    }
}

#[test]
fn elf_files_that_are_cut_off_end_as_natively() {
    if !have(&["python3"]) {
        return;
    }
    for caller in callers() {
        let both = Both::new(caller, &[]).filled(&programs);
        let command = ["python3", "elf.py", "cut", "tiny", "true"];
        let (native, inside) = (both.native(&command), both.inside(&command));
        assert_eq!((native.0, inside.0, &*inside.2), (0, 0, ""));
        let lines = native.1.lines().zip(inside.1.lines());
        let differ: Vec<_> = lines
            .filter(|(native, inside)| {
                // Linux notices too late that a segment is not all there: the caller is gone
                // already, and is killed. Here nothing has changed then, and it is told.
                let told = native.replace("status -11", "ENOEXEC");
                native != inside && told != **inside
            })
            .collect();
        assert!(differ.is_empty(), "{differ:?}");
        assert!(native.1.lines().count() > 40 && inside.1.ends_with("done\n"), "{}", inside.1);
        assert_eq!(native.1.lines().count(), inside.1.lines().count());
    }
}

#[test]
fn programs_that_cannot_be_executed() {
    let fill = |dir: &Path| {
        let executable = |name: &str, content: &[u8]| {
            fs::write(dir.join(name), content).unwrap();
            make_executable(&dir.join(name));
        };
        executable("empty", b"");
        executable("text", b"echo this is no script without a first line\n");
        executable("cut", &tiny_elf()[..90]);
        executable("no-interpreter", b"#!/no/such/interpreter\n");
        executable("directory-interpreter", b"#!/etc\n");
        executable("blank-interpreter", b"#!   \n");
        executable("recursive", b"#!./recursive\n");
        fs::write(dir.join("plain"), tiny_elf()).unwrap();
        fs::set_permissions(dir.join("plain"), fs::Permissions::from_mode(0o644)).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        symlink("nowhere", dir.join("dangling")).unwrap();
        fs::create_dir(dir.join("directory")).unwrap();
    };
    let long = format!("./{}", "x".repeat(300));
    for caller in callers() {
        let both = Both::new(caller, &[]).filled(&fill);
        let refused = |program: &str, expected: i32| {
            let (status, output, errors) = both.inside(&[program]);
            assert_eq!((status, &*output), (expected, ""), "{program}: {errors}");
            assert!(errors.starts_with("sandbox: ") && errors.contains(program), "{errors}");
            assert!(!errors.contains("panicked"), "{errors}");
        };
        // env(1) ends the same way, natively.
        for program in [
            "./no-interpreter",
            "./directory-interpreter",
            "./recursive",
            "./plain",
            "./loop",
            "./dangling",
            "./directory",
            "./missing",
            "./plain/below",
            "./missing/below",
            "no-such-program-anywhere",
            "/",
            &long,
        ] {
            let (native, _, said) = both.native(&["env", program]);
            assert!(native == 126 || native == 127, "{program}: {native}: {said}");
            refused(program, native);
        }
        // env(1) gives these to a shell.
        for program in ["./empty", "./text", "./cut", "./blank-interpreter"] {
            refused(program, 126);
        }
    }
}

#[test]
fn the_programs_end_is_the_commands() {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        for status in [0, 1, 2, 42, 124, 125, 126, 127, 128, 129, 255, 256] {
            both.same(&["sh", "-c", &format!("echo {status}; exit {status} 2>/dev/null")]);
        }
        for signal in ["TERM", "KILL", "SEGV", "HUP", "INT", "ABRT", "PIPE", "USR1", "ALRM"] {
            both.same(&["sh", "-c", &format!("kill -{signal} $$")]);
            both.same(&["sh", "-c", &format!("sh -c 'kill -{signal} $$'; echo $?")]);
        }
    }
}

#[test]
fn arguments_that_are_too_long() {
    if !have(&["python3"]) {
        return;
    }
    let program = "
import errno, os, sys
PAGES = 32
def run(args, env={}):
    pid = os.fork()
    if pid == 0:
        try: os.execve('/bin/sh', ['sh', '-c', 'echo $# ${#1}', 'sh'] + args, env)
        except OSError as e: print(errno.errorcode[e.errno], flush=True)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
run(['x' * 65536] * 48)
run([], {'A%d' % i: 'x' * 65536 for i in range(48)})
run(['x' * (3 << 20)])
run(['x' * 131072]); run(['x' * 131071]); run([], {'A': 'x' * 131070}); run([], {'A': 'x' * 131069})
run(['x' * 65536] * 24); run(['x'] * 50000); run([''] * 1000)
try: os.execve('/bin/sh', [], {})
except (OSError, ValueError) as e: print('refused')
";
    for caller in callers() {
        let both = Both::new(caller, &[]);
        let said = both.same(&["python3", "-c", program]);
        assert_eq!(said.matches("E2BIG").count(), 5, "{said}");
        // Through the command itself.
        let long = "x".repeat(65536);
        let mut command = vec!["sh", "-c", "echo $# ${#1}", "sh"];
        command.extend([long.as_str(); 16]);
        assert_eq!(both.same(&command), "16 65536\n");
    }
}

#[test]
fn system_calls_with_random_arguments() {
    let dir = common::shared_dir("random");
    let Some(cases) = syscall_cases(&dir) else { return };
    let calls = how_many("RUNSC_RANDOM_CALLS", 3000).to_string();
    for caller in callers() {
        let both = Both::new(caller, &["--timeout", "3600"]);
        let command = [cases.to_str().unwrap(), "random", "--seed", &seed(), "--calls", &calls];
        let (status, output, errors) = both.inside(&command);
        assert_eq!(status, 0, "{output}{errors}");
        assert!(output.contains(&format!("{calls} calls made")), "{output}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn more_memory_than_there_may_be() {
    if !have(&["python3"]) {
        return;
    }
    let program = "
kept = []
try:
    while True: kept.append(bytearray(1 << 20))
except MemoryError: pass
";
    for caller in callers() {
        let both = Both::new(caller, &["--memory", "64M"]);
        let (status, _, errors) = both.inside(&["python3", "-c", program]);
        // Refused, or killed for it.
        assert!([0, 137].contains(&status), "{status}: {errors}");
        // The others go on.
        let script = format!("python3 -c '{program}' 2>/dev/null; echo still here");
        let (status, output, errors) = both.inside(&["sh", "-c", &script]);
        assert_eq!((status, &*output), (0, "still here\n"), "{errors}");
    }
}

#[test]
fn a_reader_that_goes_away() {
    for caller in callers() {
        let both = Both::new(caller, &[]);
        let mut command = both.inside_command(&["yes"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "y\n");
        let output = child.wait_with_output().unwrap();
        // SIGPIPE, natively and here.
        assert_eq!(output.status.code().or(output.status.signal()), Some(128 + 13));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn options_that_hide_what_is_needed() {
    let dir = common::shared_dir("empty");
    let empty = dir.to_str().unwrap();
    for caller in callers() {
        // Another root without anything in it; one file where a directory was; nothing to start in.
        for (options, status) in [
            (&["--root", empty][..], 127),
            (&["--root", empty, "--cwd", "/tmp"], 125),
            (&["--tmpfs", "/usr"], 127),
            (&["--ro", "/etc/passwd:/usr/bin/true"], 126),
        ] {
            let args = [&["run"], options, &["--", "/usr/bin/true"]].concat();
            let (code, output, errors) = finish(&mut sandbox(caller, &args));
            assert_eq!((code, &*output), (status, ""), "{options:?}: {errors}");
            assert!(errors.starts_with("sandbox: "), "{errors}");
        }
    }
    assert_eq!(fs::read_dir(&*dir).unwrap().count(), 0);
}
