//! The caller's terminal: left as it was found, whatever the guest did to it.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use std::io::{self, IsTerminal};

/// The settings of the terminal at standard input; put back when dropped.
pub(crate) struct Saved(Option<Termios>);

impl Saved {
    /// Remembers the settings, if there is a terminal.
    pub fn take() -> Saved {
        let stdin = io::stdin();
        Saved(if stdin.is_terminal() { tcgetattr(&stdin).ok() } else { None })
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        let Some(settings) = self.0.take() else { return };
        let stdin = io::stdin();
        // From the background it is somebody else's terminal by now.
        if tcgetpgrp(&stdin).is_ok_and(|group| group == rustix::process::getpgrp()) {
            let _ = tcsetattr(&stdin, OptionalActions::Now, &settings);
        }
    }
}
