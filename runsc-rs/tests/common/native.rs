//! The yardstick: what a command does without a sandbox.
//!
//! Each command runs twice with the same environment, user and directory, once natively and once
//! in the sandbox, and has to do the same. The directory is filled anew for each run.

use super::{Caller, SharedDir, as_nobody, finish, make_executable, sandbox, shared_dir, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment of both sides.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", "/tmp"),
    ("LC_ALL", "C"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("TERM", "dumb"),
    ("TZ", "UTC"),
    ("USER", "somebody"),
];

/// More than any command here needs on a slow machine: for what would hang.
const LIMIT: &str = "100";

/// A command, as it is to be run both ways.
pub struct Both<'a> {
    caller: Caller,
    options: &'a [&'a str],
    dir: SharedDir,
    fill: &'a dyn Fn(&Path),
}

/// Exit status (128+N for a signal), standard output, standard error.
pub type Ended = (i32, String, String);

impl<'a> Both<'a> {
    /// For this user, with these options of `sandbox run`.
    pub fn new(caller: Caller, options: &'a [&'a str]) -> Both<'a> {
        Both { caller, options, dir: shared_dir("both"), fill: &|_| {} }
    }

    /// With files in the directory, which this function makes.
    pub fn filled(self, fill: &'a dyn Fn(&Path)) -> Both<'a> {
        Both { fill, ..self }
    }

    /// Where it runs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Natively.
    pub fn native(&self, command: &[&str]) -> Ended {
        self.refill();
        finish(&mut self.prepared(native(self.caller, command)))
    }

    /// In the sandbox. What it leaves in the directory is not looked at.
    pub fn inside(&self, command: &[&str]) -> Ended {
        self.refill();
        finish(&mut self.inside_command(command))
    }

    /// In the sandbox, to be started.
    pub fn inside_command(&self, command: &[&str]) -> Command {
        let mut args = vec!["run".to_owned()];
        if !self.options.contains(&"--timeout") {
            args.extend(["--timeout".to_owned(), LIMIT.to_owned()]);
        }
        for (name, value) in ENVIRONMENT {
            args.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.prepared(sandbox(self.caller, &[&args, self.options, &["--"], command].concat()))
    }

    /// Both ways: output and exit status are the same. Gives what was said.
    pub fn same(&self, command: &[&str]) -> String {
        let (native_status, native_output, native_errors) = self.native(command);
        let (status, output, errors) = self.inside(command);
        let context = || format!("{:?} {command:?}\n{errors}\n{native_errors}", self.caller);
        assert_eq!(output, native_output, "{}", context());
        assert_eq!(status, native_status, "{}", context());
        output
    }

    /// A shell script, both ways.
    pub fn same_script(&self, shell: &str, script: &str) -> String {
        self.same(&[shell, "-c", script])
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.env_clear().envs(ENVIRONMENT.iter().copied()).current_dir(&*self.dir);
        command.stdin(Stdio::null());
        command
    }

    fn refill(&self) {
        empty(&self.dir);
        (self.fill)(&self.dir);
    }
}

/// A command as this user, without a sandbox.
pub fn native(caller: Caller, command: &[&str]) -> Command {
    let mut native = match caller {
        Caller::Myself => Command::new(command[0]),
        Caller::Nobody => as_nobody(command[0]),
    };
    native.args(&command[1..]);
    native
}

fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Are these programs installed? Says so where one is not.
pub fn have(programs: &[&str]) -> bool {
    let path = ENVIRONMENT.iter().find(|(name, _)| *name == "PATH").unwrap().1;
    let missing: Vec<_> = programs
        .iter()
        .filter(|name| !path.split(':').any(|dir| Path::new(dir).join(name).is_file()))
        .collect();
    if !missing.is_empty() {
        skip(&programs.join(" and "), &format!("{missing:?} is not installed"));
    }
    missing.is_empty()
}

/// The guest binary of the package `syscall-tests`, copied to a directory where everybody may
/// execute it.
pub fn syscall_cases(dir: &Path) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_sandbox")).with_file_name("syscall-cases");
    if !built.is_file() {
        skip("syscall-cases", "it is not built (cargo build -p syscall-tests)");
        return None;
    }
    let copy = dir.join("syscall-cases");
    fs::copy(built, &copy).unwrap();
    make_executable(&copy);
    Some(copy)
}

/// A number from the environment, for tests that can do more than they do by default.
pub fn how_many(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}
