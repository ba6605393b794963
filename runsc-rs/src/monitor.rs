//! Watching over a running sandbox: signals in, the end out.
//!
//! Whatever ends first, all of it ends: returning from here drops the [`Sandbox`], which kills and
//! reaps its processes.

use crate::error::{Failure, Result, code, describe};
use crate::launch::Sandbox;
use crate::signals::{self, Meaning, Signals};
use crate::terminal;
use platform::host::signal::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sentry::control::{self, FromSentry, Inbox, Phase, ToSentry};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a process that has closed its socket may take to be gone.
const GRACE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How long the sentry may take to say why it lets go of the gofer.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Watches until the end. `started` is called when the program runs, with how long the sentry took
/// for each phase. Returns the exit status.
pub(crate) fn watch(
    sandbox: Sandbox,
    signals: &Signals,
    deadline: Option<(Instant, Duration)>,
    started: impl FnOnce(Vec<Phase>),
) -> Result<u8> {
    let saved = terminal::Saved::take();
    let result =
        Monitor { sandbox, inbox: Inbox::default(), runs: false }.watch(signals, deadline, started);
    drop(saved);
    result
}

struct Monitor {
    sandbox: Sandbox,
    inbox: Inbox,
    /// The program has been started.
    runs: bool,
}

impl Monitor {
    fn watch(
        mut self,
        signals: &Signals,
        deadline: Option<(Instant, Duration)>,
        started: impl FnOnce(Vec<Phase>),
    ) -> Result<u8> {
        let mut started = Some(started);
        loop {
            let left = deadline.map(|(end, _)| end.saturating_duration_since(Instant::now()));
            let [has_signal, has_message, lost] = self.wait(signals, left)?;
            // Messages first: a sentry that has said how the guest ended is about to end itself.
            if has_message {
                match self.take_messages(&mut started)? {
                    Some(code) => return Ok(code),
                    None if self.inbox.is_at_end() => return Err(self.explain()),
                    None => {}
                }
            }
            if lost {
                // The gofer ends when the sentry lets go of it, which may be a moment before the
                // sentry says why.
                let until = Instant::now() + LAST_WORDS;
                loop {
                    if let Some(code) = self.take_messages(&mut started)? {
                        return Ok(code);
                    }
                    let left = until.saturating_duration_since(Instant::now());
                    if self.inbox.is_at_end() || left.is_zero() {
                        return Err(self.explain());
                    }
                    let left = Timespec::try_from(left).ok();
                    let _ = poll(
                        &mut [PollFd::new(&self.sandbox.control, PollFlags::IN)],
                        left.as_ref(),
                    );
                }
            }
            if has_signal && let Some(code) = self.pass_signals(signals) {
                return Ok(code);
            }
            if let Some((end, after)) = deadline
                && Instant::now() >= end
            {
                let message = format!(
                    "the program was still running after {after:?} (--timeout) and has been ended"
                );
                return Err(Failure { code: code::TIMEOUT, message });
            }
        }
    }

    /// Waits for a signal, a message, or the end of a process.
    fn wait(&self, signals: &Signals, left: Option<Duration>) -> Result<[bool; 3]> {
        let input = PollFlags::IN;
        let mut fds = [
            PollFd::new(signals.fd(), input),
            PollFd::new(&self.sandbox.control, input),
            PollFd::new(self.sandbox.sentry.pidfd(), input),
            PollFd::new(self.sandbox.gofer.pidfd(), input),
        ];
        // A duration beyond what the host can count is for ever.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(Failure::own(format!("cannot wait: {}", describe(&error.into()))));
            }
        }
        let ready = |index: usize| !fds[index].revents().is_empty();
        Ok([ready(0), ready(1), ready(2) || ready(3)])
    }

    /// Takes what the sentry has said. The exit status if that is the end.
    fn take_messages(
        &mut self,
        started: &mut Option<impl FnOnce(Vec<Phase>)>,
    ) -> Result<Option<u8>> {
        let broken = |error: std::io::Error| {
            Failure::own(format!("the sentry does not make sense: {}", describe(&error)))
        };
        self.inbox.fill(&mut self.sandbox.control).map_err(broken)?;
        while let Some(message) = self.inbox.take().map_err(broken)? {
            match message {
                FromSentry::Started(phases) => {
                    self.runs = true;
                    if let Some(started) = started.take() {
                        started(phases);
                    }
                }
                FromSentry::Exited(status) => return Ok(Some(status.shell_code())),
                FromSentry::Failed { code, message } => return Err(Failure { code, message }),
            }
        }
        Ok(None)
    }

    /// Passes signals on. The exit status if one of them ends everything.
    fn pass_signals(&mut self, signals: &Signals) -> Option<u8> {
        while let Some(signal) = signals.next() {
            let message = match signals.meaning(signal) {
                Meaning::Forward(signal) if self.runs => ToSentry::Signal(signal),
                Meaning::Forward(signal) if signals::ends_start(signal) => {
                    return Some(128 | signal as u8);
                }
                Meaning::Resize => ToSentry::Resize,
                Meaning::Forward(_) | Meaning::Ignore => continue,
            };
            // A sentry that does not listen any more loses signals, not us our patience.
            let _ = control::send(&mut self.sandbox.control, &message);
        }
        None
    }

    /// Something died. Says what.
    fn explain(&self) -> Failure {
        // A socket is closed a moment before its process is gone.
        let wait =
            |pidfd| poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], Some(&GRACE));
        let (sentry, gofer) = (&self.sandbox.sentry, &self.sandbox.gofer);
        let message = match gofer.ended() {
            // A sentry that sees the gofer's death exits too: that is not the cause.
            Some(end) if end != Exit::Code(0) => how("gofer", end),
            // It only exits with 0 when the sentry is gone.
            _ => {
                let _ = wait(sentry.pidfd().as_fd());
                match (sentry.ended(), gofer.ended()) {
                    (Some(Exit::Code(_)) | None, Some(end @ Exit::Signal(_))) => how("gofer", end),
                    (Some(end), _) => how("sentry", end),
                    (None, _) => "the sentry process hung up".to_owned(),
                }
            }
        };
        Failure::own(format!("{message}; the sandbox has been ended"))
    }
}

fn how(who: &str, end: Exit) -> String {
    match end {
        Exit::Code(status) => format!("the {who} process exited unexpectedly (status {status})"),
        Exit::Signal(libc::SIGSYS) => {
            format!("the {who} process was killed for a host call that it may not make (SIGSYS)")
        }
        Exit::Signal(number) => {
            format!("the {who} process was killed by {}", signals::name(number))
        }
    }
}
