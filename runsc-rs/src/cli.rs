//! The command line of `sandbox`.

use crate::error::{Failure, Result, code};
use crate::units::{parse_duration, parse_size};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  sandbox run -- ls -l                      list the current directory
  sandbox run --rw . -- make                let make write to the current directory
  sandbox run --env HOME=/tmp -- python3 script.py
  sandbox run --timeout 10 --memory 512M -- ./untrusted
  sandbox run --root ./rootfs -- /bin/sh    run in another root file system

Exit status: the program's own; 128+N if signal N killed it; 124 if --timeout ended it; 125 if the
sandbox itself failed; 126 if the program cannot be executed; 127 if it was not found.";

const ABOUT_RUN: &str = "\
Run a program in a sandbox.

The program sees the system directories (/usr, /etc, ...) and the current directory. It may write
anywhere it could outside, but what it writes stays in memory and is gone afterwards. Other
directories are not there unless --ro, --rw or --root shows them. Of the environment only TERM,
LANG and TZ are passed on. There is no network.";

/// Runs programs on a Linux of their own, in user space.
#[derive(Debug, Parser)]
#[command(name = "sandbox", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `sandbox` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program in a sandbox
    #[command(long_about = ABOUT_RUN, after_help = EXAMPLES)]
    Run(Box<RunArgs>),
}

/// `sandbox run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Use DIR as root file system; "/" shows all of the host's files. Writes stay in memory
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Show a directory or file of the host read-only [DST: the same path]
    #[arg(long, value_name = "SRC[:DST]")]
    pub ro: Vec<OsString>,

    /// Show a directory or file of the host, and let writes through
    #[arg(long, value_name = "SRC[:DST]")]
    pub rw: Vec<OsString>,

    /// Mount an empty directory in memory
    #[arg(long, value_name = "DST")]
    pub tmpfs: Vec<PathBuf>,

    /// Start in this directory of the sandbox
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,

    /// Set a variable, or pass on the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,

    /// Run as this user (numbers) [default: the caller]
    #[arg(long, value_name = "UID[:GID]", value_parser = parse_user)]
    pub user: Option<User>,

    /// Name of the machine as the program sees it
    #[arg(long, value_name = "NAME", default_value = "sandbox", value_parser = parse_hostname)]
    pub hostname: String,

    /// End everything after this time: 10, 500ms, 2m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// How guest code is run
    #[arg(long, value_enum, default_value = "auto")]
    pub platform: PlatformChoice,

    /// Limit the memory of the sandbox: 512M, 2G [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,

    /// Log each system call of the program
    #[arg(long)]
    pub strace: bool,

    /// How much the sandbox logs about itself
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "warn")]
    pub log_level: LogLevelArg,

    /// Append the log to FILE [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Print how long each phase of starting up took
    #[arg(long)]
    pub timing: bool,

    /// The program and its arguments
    #[arg(value_name = "PROGRAM [ARGS]", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// `--user`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The group id; the user's own number where it was not given.
    pub gid: u32,
}

/// `--platform`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlatformChoice {
    /// The best that works here
    Auto,
    /// ptrace(2): slow, works everywhere
    Ptrace,
    /// seccomp traps (not built yet)
    Systrap,
    /// Hardware virtualization (not built yet)
    Kvm,
}

/// `--log-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum LogLevelArg {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevelArg> for sentry::config::LogLevel {
    fn from(level: LogLevelArg) -> Self {
        use sentry::config::LogLevel::*;
        match level {
            LogLevelArg::Error => Error,
            LogLevelArg::Warn => Warn,
            LogLevelArg::Info => Info,
            LogLevelArg::Debug => Debug,
            LogLevelArg::Trace => Trace,
        }
    }
}

/// Less cannot hold a program and its libraries.
const MIN_MEMORY: u64 = 16 << 20;

fn parse_memory(text: &str) -> std::result::Result<u64, String> {
    match parse_size(text)? {
        bytes if bytes < MIN_MEMORY => Err("at least 16M are needed".into()),
        bytes => Ok(bytes),
    }
}

fn parse_user(text: &str) -> std::result::Result<User, String> {
    // The last number means "unchanged" to chown(2) and setuid(2).
    let id = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (id(uid), id(gid)),
        None => (id(text), id(text)),
    };
    match (uid, gid) {
        (Some(uid), Some(gid)) => Ok(User { uid, gid }),
        _ => Err("give numbers: 1000 or 1000:1000".into()),
    }
}

fn parse_hostname(text: &str) -> std::result::Result<String, String> {
    // HOST_NAME_MAX
    match text.len() {
        1..=64 if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("a host name has 1 to 64 bytes".into()),
    }
}

/// What a command line asks for.
pub enum Parsed {
    /// To do something.
    Command(Command),
    /// To print this, successfully: help or version.
    Print(String),
}

/// Takes a command line apart.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand};
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(Parsed::Command(cli.command)),
        Err(error) => {
            let text = error.render().to_string();
            match error.kind() {
                DisplayHelp | clap::error::ErrorKind::DisplayVersion => Ok(Parsed::Print(text)),
                DisplayHelpOnMissingArgumentOrSubcommand => {
                    Err(Failure { code: code::OWN, message: format!("say what to do\n\n{text}") })
                }
                _ => {
                    let text = text.strip_prefix("error: ").unwrap_or(&text);
                    Err(Failure::own(text.trim_end()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> std::result::Result<RunArgs, String> {
        let args = ["sandbox", "run"].iter().chain(args).map(OsString::from);
        match parse(args) {
            Ok(Parsed::Command(Command::Run(args))) => Ok(*args),
            Ok(Parsed::Print(text)) => Err(text),
            Err(failure) => {
                assert_eq!(failure.code, 125);
                Err(failure.message)
            }
        }
    }

    #[test]
    fn options_after_the_program_are_its_own() {
        for args in [
            &["--strace", "ls", "--timing", "-e", "--", "--rw"][..],
            &["--strace", "--", "ls", "--timing", "-e", "--", "--rw"],
        ] {
            let run = run(args).unwrap();
            assert!(run.strace && !run.timing);
            assert_eq!(run.command, ["ls", "--timing", "-e", "--", "--rw"]);
        }
        assert_eq!(run(&["--", "--odd-name"]).unwrap().command, ["--odd-name"]);
    }

    #[test]
    fn options_repeat_where_that_makes_sense() {
        let run = run(&["--ro", "/a", "--ro=/b:/c", "-e", "A=1", "--env", "B", "x"]).unwrap();
        assert_eq!(run.ro, ["/a", "/b:/c"]);
        assert_eq!(run.env, ["A=1", "B"]);
    }

    #[test]
    fn bad_lines_are_refused_in_words() {
        for (args, word) in [
            (&[][..], "PROGRAM"),
            (&["--no-such-option", "ls"], "--no-such-option"),
            (&["--timeout", "soon", "ls"], "not a duration"),
            (&["--memory", "lots", "ls"], "not a size"),
            (&["--memory", "1M", "ls"], "at least 16M"),
            (&["--user", "root", "ls"], "numbers"),
            (&["--user", "4294967295", "ls"], "numbers"),
            (&["--hostname", "", "ls"], "host name"),
            (&["--platform", "xen", "ls"], "xen"),
            (&["--root"], "DIR"),
        ] {
            let message = run(args).unwrap_err();
            assert!(message.contains(word), "{args:?}: {message}");
            assert!(!message.starts_with("error"), "{message}");
        }
    }

    #[test]
    fn users() {
        assert_eq!(parse_user("0"), Ok(User { uid: 0, gid: 0 }));
        assert_eq!(parse_user("1000:100"), Ok(User { uid: 1000, gid: 100 }));
    }

    #[test]
    fn help_has_an_example() {
        assert!(run(&["--help"]).unwrap_err().contains("sandbox run --rw . -- make"));
    }
}
