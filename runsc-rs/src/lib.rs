//! The front ends: the `sandbox` command, and later the OCI runtime.
//!
//! A front end is an ordinary process with its caller's rights. It decides what the guest may see
//! ([`view`]), starts the two confined processes ([`launch`]: the gofer of [`gofer_process`] and
//! the sentry of the crate of that name) and watches over them ([`monitor`]). It holds none of the
//! guest's data.
//!
//! Start reading at [`run`].

#![forbid(unsafe_code)]

pub mod cli;
pub mod environment;
pub mod error;
pub mod gofer_process;
pub mod launch;
pub mod monitor;
pub mod run;
mod signals;
mod terminal;
#[cfg(test)]
mod testing;
pub mod units;
pub mod users;
pub mod view;

use cli::{Command, Parsed};
use error::{Failure, code};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// The `sandbox` command, and in the processes it starts, their own `main`.
pub fn sandbox_main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let role = args.first().filter(|_| args.len() == 1).and_then(|name| name.to_str());
    match role {
        Some(launch::SENTRY) => {
            on_panic_say("the sentry");
            exit_code(sentry::boot::run())
        }
        Some(launch::GOFER) => {
            on_panic_say("the gofer");
            exit_code(gofer_process::run())
        }
        _ => {
            on_panic_say("the front end");
            match sandbox(args) {
                Ok(code) => ExitCode::from(code),
                Err(failure) => {
                    say(&failure.message);
                    ExitCode::from(failure.code)
                }
            }
        }
    }
}

fn sandbox(args: Vec<OsString>) -> error::Result<u8> {
    match cli::parse(args)? {
        Parsed::Print(text) => {
            print(&text);
            Ok(0)
        }
        Parsed::Command(Command::Run(args)) => run::run(&args),
    }
}

/// The `runsc-rs` command: so far, what it will be.
pub fn runsc_main() -> ExitCode {
    on_panic_say("runsc-rs");
    let version = concat!("runsc-rs ", env!("CARGO_PKG_VERSION"), "\n");
    let help = "\
An OCI runtime on an application kernel in user space.

Usage: runsc-rs --version | --help

The OCI commands (create, start, state, kill, delete, ...) are not here yet. To run a program in a
sandbox now, use: sandbox run -- PROGRAM [ARGS]
";
    match std::env::args().nth(1).as_deref() {
        Some("--version" | "-V") => print(version),
        Some("--help" | "-h") => print(help),
        Some(command) => {
            let failure = Failure::own(format!(
                "'{command}' is not here yet: the OCI commands come later. To run a program in a \
                 sandbox now, use: sandbox run -- PROGRAM [ARGS]"
            ));
            say_as("runsc-rs", &failure.message);
            return ExitCode::from(failure.code);
        }
        None => {
            say_as("runsc-rs", "say what to do; see runsc-rs --help");
            return ExitCode::from(code::OWN);
        }
    }
    ExitCode::SUCCESS
}

fn exit_code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status).unwrap_or(code::OWN))
}

/// Whoever reads may be gone; that is no reason to fail.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A message for the user, in one write.
pub(crate) fn say(message: &str) {
    say_as("sandbox", message);
}

fn say_as(who: &str, message: &str) {
    let _ = std::io::stderr().write_all(format!("{who}: {message}\n").as_bytes());
}

/// A bug ends the process with one line instead of a backtrace, and with it the sandbox: a kernel
/// that has lost one of its threads must not go on.
fn on_panic_say(who: &'static str) {
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        say(&format!(
            "internal error in {who}: {what}{}. This is a bug; please report it",
            place.unwrap_or_default()
        ));
        std::process::exit(i32::from(code::OWN));
    }));
}
