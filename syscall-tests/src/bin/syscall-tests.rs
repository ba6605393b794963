//! The runner's command.

use std::process::ExitCode;

use clap::Parser;
use syscall_tests::runner::options::{Command, Options};
use syscall_tests::runner::suite;

fn main() -> ExitCode {
    match Options::parse().command {
        Command::List(options) => {
            suite::list(&options);
            ExitCode::SUCCESS
        }
        Command::Run(options) => match suite::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(message) => {
                eprintln!("syscall-tests: {message}");
                ExitCode::from(2)
            }
        },
    }
}
