//! Runs one program with a time limit and bounded output.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::runner::{Run, Verdict};
use crate::sys;

/// More output than this is thrown away: a case has a line or two to say.
const OUTPUT_BOUND: usize = 64 << 10;

/// Starts `command`, waits for it, and kills its whole process group at the end, or when `timeout`
/// has passed.
pub fn run(mut command: Command, timeout: Duration) -> Run {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let finished = match command.spawn() {
        Ok(child) => follow(child, start + timeout),
        Err(error) => {
            let output = format!("cannot start {:?}: {error}", command.get_program());
            Ok((Verdict::Error, None, output))
        }
    };
    let (verdict, exit_code, output) = finished.unwrap_or_else(|error| {
        (Verdict::Error, None, format!("cannot follow {:?}: {error}", command.get_program()))
    });
    Run { verdict, output, exit_code, millis: start.elapsed().as_millis() as u64 }
}

type Finished = (Verdict, Option<i32>, String);

fn follow(mut child: Child, deadline: Instant) -> std::io::Result<Finished> {
    let pid = child.id() as i32;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = wait(&mut child, deadline, &mut out, &mut err);
    // Not reaped yet, so the number still names this group; what the case left running goes too.
    let _ = sys!(SYS_kill, -pid, libc::SIGKILL);
    let _ = sys!(SYS_kill, pid, libc::SIGKILL);
    let status = child.wait()?;
    let mut text = String::from_utf8_lossy(&err).into_owned();
    text.push_str(&String::from_utf8_lossy(&out));
    if !ended? {
        text.push_str("\nkilled: it took too long");
        return Ok((Verdict::Timeout, None, text.trim().to_owned()));
    }
    let verdict = verdict(status);
    if let (Verdict::Fail, Some(signal)) = (verdict, status.signal()) {
        text.push_str(&format!("\nended by signal {signal}"));
    }
    Ok((verdict, status.code(), text.trim().to_owned()))
}

fn verdict(status: ExitStatus) -> Verdict {
    match status.code() {
        Some(0) => Verdict::Pass,
        Some(77) => Verdict::Skip,
        _ => Verdict::Fail,
    }
}

/// Collects output until the process has ended (true) or the time is up (false). Ends with the
/// process and not with its output: a left-over grandchild may hold the pipes open.
fn wait(
    child: &mut Child,
    deadline: Instant,
    out: &mut Vec<u8>,
    err: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let error = |errno: sys::Errno| std::io::Error::from_raw_os_error(errno.0);
    let pidfd = sys!(SYS_pidfd_open, child.id(), 0).map_err(error)? as i32;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let fd_of = |fd: Option<i32>| fd.unwrap_or(-1);
    for fd in [stdout.as_ref().map(AsRawFd::as_raw_fd), stderr.as_ref().map(AsRawFd::as_raw_fd)] {
        sys!(SYS_fcntl, fd_of(fd), libc::F_SETFL, libc::O_NONBLOCK).map_err(error)?;
    }
    let mut ended = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let event = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [
            event(pidfd),
            event(fd_of(stdout.as_ref().map(AsRawFd::as_raw_fd))),
            event(fd_of(stderr.as_ref().map(AsRawFd::as_raw_fd))),
        ];
        let millis = left.as_millis().min(60_000) as i32 + 1;
        let _ = sys!(SYS_poll, &mut fds, 3, millis);
        if !drain(stdout.as_mut(), out) {
            stdout = None;
        }
        if !drain(stderr.as_mut(), err) {
            stderr = None;
        }
        if fds[0].revents != 0 {
            drain(stdout.as_mut(), out);
            drain(stderr.as_mut(), err);
            ended = true;
            break;
        }
    }
    let _ = sys!(SYS_close, pidfd);
    Ok(ended)
}

/// Takes what is there; false at the end of the stream.
fn drain(stream: Option<&mut impl Read>, into: &mut Vec<u8>) -> bool {
    let Some(stream) = stream else { return false };
    let mut buffer = [0u8; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => {
                let room = OUTPUT_BOUND.saturating_sub(into.len());
                into.extend_from_slice(&buffer[..n.min(room)]);
            }
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, millis: u64) -> Run {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, Duration::from_millis(millis))
    }

    #[test]
    fn exit_status_decides() {
        assert_eq!(sh("exit 0", 10_000).verdict, Verdict::Pass);
        assert_eq!(sh("echo no >&2; exit 1", 10_000).output, "no");
        assert_eq!(sh("exit 77", 10_000).verdict, Verdict::Skip);
        assert_eq!(sh("kill -9 $$", 10_000).verdict, Verdict::Fail);
        let missing = run(Command::new("/no/such/program"), Duration::from_secs(1));
        assert_eq!(missing.verdict, Verdict::Error);
    }

    #[test]
    fn time_limit_kills_the_group() {
        assert_eq!(sh("sleep 100 & sleep 100", 100).verdict, Verdict::Timeout);
    }

    #[test]
    fn output_is_bounded_and_left_overs_do_not_hold_us() {
        let run = sh("yes | head -c 1000000; sleep 100 & exit 1", 20_000);
        assert_eq!(run.verdict, Verdict::Fail);
        assert!(run.output.len() <= OUTPUT_BOUND);
    }
}
