//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs the same system call cases on Linux and in the sandbox.
#[derive(Debug, Parser)]
#[command(name = "syscall-tests", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the cases: name, what it needs, what it is about.
    List(ListOptions),
    /// Runs the cases.
    Run(RunOptions),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct ListOptions {
    /// Only cases whose name matches this pattern (* and ?).
    #[arg(long, default_value = "*")]
    pub filter: String,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The sandbox command [default: `sandbox` beside this program].
    #[arg(long, value_name = "PATH")]
    pub sandbox: Option<PathBuf>,
    /// The guest binary [default: `syscall-cases` beside this program].
    #[arg(long, value_name = "PATH")]
    pub guest: Option<PathBuf>,
    /// A platform to run on; may be given several times [default: the sandbox's own choice].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// An argument for `sandbox run`; may be given several times.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub sandbox_arg: Vec<String>,
    /// Do not show the guest binary's folder to the sandbox (with `--ro DIR`).
    #[arg(long)]
    pub no_ro: bool,
    /// Only cases whose name matches this pattern (* and ?).
    #[arg(long, value_name = "GLOB", default_value = "*")]
    pub filter: String,
    /// Write the results as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// A skipped case counts as a failure.
    #[arg(long)]
    pub deny_skips: bool,
    /// Cases to run at the same time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Seconds a case may take.
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub timeout: u64,
    /// Run on Linux only.
    #[arg(long)]
    pub native_only: bool,
}
