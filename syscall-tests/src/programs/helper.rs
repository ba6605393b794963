//! The other side of `execve`: says on stdout what it was given and what it finds.

use crate::calls;
use crate::case::{Failure, Outcome};
use crate::sys;
use crate::sys::KernelSigaction;

/// Runs the helper `arguments[0]`; `all` is the whole argument vector. Gives the exit code.
pub fn run(all: &[String], arguments: &[String]) -> Outcome<i32> {
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    let rest = arguments.get(1..).unwrap_or_default();
    match name {
        "echo" => echo(all),
        "exit" => return number(rest.first()),
        "fds" => fds(rest)?,
        "signals" => signals(rest)?,
        "whoami" => whoami()?,
        "threads" => threads()?,
        "hold" => hold()?,
        other => return Err(Failure::new(format_args!("no helper named {other:?}"))),
    }
    Ok(0)
}

fn number(text: Option<&String>) -> Outcome<i32> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Failure::new("expected a number"))
}

/// Arguments on one line and the environment on another, each followed by a bar.
pub fn echo(all: &[String]) {
    let arguments: String = all.iter().map(|argument| format!("{argument}|")).collect();
    let environment: String =
        std::env::vars().map(|(name, value)| format!("{name}={value}|")).collect();
    println!("{arguments}\n{environment}");
}

fn fds(list: &[String]) -> Outcome {
    for fd in list {
        let open = calls::fcntl(number(Some(fd))?, libc::F_GETFD, 0).is_ok();
        println!("{fd} {}", if open { "open" } else { "closed" });
    }
    Ok(())
}

fn signals(list: &[String]) -> Outcome {
    let mask = sys::mask(libc::SIG_BLOCK, 0)?;
    let mut pending = 0u64;
    sys!(SYS_rt_sigpending, &mut pending, 8)?;
    for signal in list {
        let number = number(Some(signal))?;
        let mut action = KernelSigaction::default();
        sys!(SYS_rt_sigaction, number, 0, &mut action, 8)?;
        let action = match action.handler {
            libc::SIG_DFL => "default",
            libc::SIG_IGN => "ignored",
            _ => "handled",
        };
        let blocked = if mask & sys::bit(number) != 0 { " blocked" } else { "" };
        let pending = if pending & sys::bit(number) != 0 { " pending" } else { "" };
        println!("{signal} {action}{blocked}{pending}");
    }
    Ok(())
}

fn whoami() -> Outcome {
    let umask = sys!(SYS_umask, 0)?;
    println!("{} {} {umask:o}", calls::getpid(), std::env::current_dir()?.display());
    Ok(())
}

fn threads() -> Outcome {
    let count = std::fs::read_dir("/proc/self/task")?.count();
    println!("{} {} {count}", calls::getpid(), calls::gettid());
    Ok(())
}

/// Says that it runs, and ends when stdin does.
fn hold() -> Outcome {
    calls::write(1, b"x")?;
    calls::read(0, &mut [0])?;
    Ok(())
}
