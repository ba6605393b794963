//! `sandbox run`: from options to an exit status.

use crate::cli::{PlatformChoice, RunArgs};
use crate::environment::{self, Identity};
use crate::error::{Context, Failure, Result};
use crate::signals::Signals;
use crate::view::{self, Bind, Host, Request, View};
use crate::{launch, monitor};
use sentry::config::{BootConfig, ProcessConfig};
use sentry::control::Phase;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Runs a program in a sandbox. Returns its exit status.
pub fn run(args: &RunArgs) -> Result<u8> {
    let start = Instant::now();
    check_platform(args.platform)?;
    let signals = Signals::take()?;
    let host = Host::real();
    let Plan { view, config } = plan(args, &host)?;
    let log = log(args)?;
    let planned = start.elapsed();
    let roots = launch::open_roots(&host, &view)?;
    let sandbox = launch::start(&view, roots, config, log)?;
    let launched = start.elapsed();
    let deadline = args.timeout.and_then(|after| Some((start.checked_add(after)?, after)));
    monitor::watch(sandbox, &signals, deadline, |phases| {
        if args.timing {
            print_timing(start, planned, launched, &phases);
        }
    })
}

fn check_platform(choice: PlatformChoice) -> Result<()> {
    let name = match choice {
        PlatformChoice::Auto | PlatformChoice::Ptrace => return Ok(()),
        PlatformChoice::Systrap => "systrap",
        PlatformChoice::Kvm => "kvm",
    };
    Err(Failure::own(format!("--platform {name} is not built yet; use --platform ptrace")))
}

/// What is going to be run, and what it will see.
struct Plan {
    view: View,
    config: BootConfig,
}

fn plan(args: &RunArgs, host: &Host) -> Result<Plan> {
    let here = std::env::current_dir().ok();
    // Relative paths on the command line are the caller's.
    let start = here.clone().unwrap_or_else(|| PathBuf::from("/"));
    let root = match &args.root {
        Some(root) => Some(view::parse_root(root, host, &start)?),
        None => None,
    };
    let identity = Identity::new(args.user, root.as_deref().unwrap_or(Path::new("/")))?;
    let mut binds = Vec::new();
    for (values, read_only) in [(&args.ro, true), (&args.rw, false)] {
        for value in values {
            binds.push(Bind::parse(value, read_only, host, &start)?);
        }
    }
    let tmpfs =
        args.tmpfs.iter().map(|path| view::parse_tmpfs(path)).collect::<Result<Vec<_>>>()?;
    let Some(program) = args.command.first() else {
        return Err(Failure::own("say which program to run"));
    };
    if program.is_empty() {
        return Err(Failure::own("the name of the program is empty"));
    }
    let asked_cwd = args.cwd.as_ref().map(|cwd| start.join(cwd));
    let program_path = program
        .as_bytes()
        .contains(&b'/')
        .then(|| asked_cwd.as_deref().unwrap_or(&start).join(program));
    let view = View::new(
        host,
        &Request {
            root: root.as_deref(),
            cwd: here.as_deref(),
            program: program_path.as_deref(),
            home: Some(&identity.home),
            binds: &binds,
            tmpfs: &tmpfs,
        },
    );
    let cwd = match &args.cwd {
        // Relative to where the program would start otherwise.
        Some(cwd) => view.cwd.join(cwd),
        None => view.cwd.clone(),
    };
    let bytes = |text: &OsStr| text.as_bytes().to_vec();
    let process = ProcessConfig {
        program: bytes(program),
        argv: args.command.iter().map(|arg| bytes(arg)).collect(),
        env: environment::variables(&identity, &args.env, |name| std::env::var_os(name))?,
        cwd: bytes(cwd.as_os_str()),
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
        umask: umask(),
        limits: limits(),
    };
    let config = BootConfig {
        hostname: args.hostname.clone(),
        memory_limit: args.memory.unwrap_or_else(default_memory),
        strace: args.strace,
        log_level: args.log_level.into(),
        view: view.config.clone(),
        process,
    };
    Ok(Plan { view, config })
}

/// The caller's file mode creation mask. Asking for it sets it; there is one thread.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.bits() & 0o777
}

/// The caller's resource limits: those of the program, as natively.
fn limits() -> Vec<(u64, u64)> {
    use rustix::process::{Resource, getrlimit};
    let known = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ];
    let limit = |resource| {
        let limit = getrlimit(resource);
        (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
    };
    known.map(limit).to_vec()
}

/// Three quarters of the machine's memory.
fn default_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    // A page less than a multiple would be rounded by the host.
    total.map_or(1 << 30, |kilobytes| (kilobytes / 4 * 3 * 1024) & !0xfff)
}

/// Where the log goes.
fn log(args: &RunArgs) -> Result<OwnedFd> {
    match &args.log {
        None => {
            io::stderr().as_fd().try_clone_to_owned().context(|| "cannot copy a descriptor".into())
        }
        Some(path) => std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .map(OwnedFd::from)
            .context(|| format!("--log {}: cannot open it", path.display())),
    }
}

/// `--timing`: one line a phase, in milliseconds.
fn print_timing(start: Instant, planned: Duration, launched: Duration, sentry: &[Phase]) {
    let total = start.elapsed();
    let mut text = String::new();
    let mut line = |name: &str, took: Duration| {
        text.push_str(&format!(
            "sandbox: timing: {name:<28} {:9.3} ms\n",
            took.as_secs_f64() * 1e3
        ));
    };
    line("front end: plan", planned);
    line("front end: start processes", launched.saturating_sub(planned));
    for phase in sentry {
        line(&format!("sentry: {}", phase.name), phase.took);
    }
    line("all, until the program runs", total);
    let _ = io::stderr().write_all(text.as_bytes());
}
