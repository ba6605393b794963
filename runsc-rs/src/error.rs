//! How a command fails: a message that says what was wrong and what to do, and an exit status.

use std::fmt;

/// Exit statuses that are not the program's own, as `env` and `docker run` have them.
pub mod code {
    /// `--timeout` ended it.
    pub const TIMEOUT: u8 = 124;
    /// The sandbox itself failed.
    pub const OWN: u8 = 125;
    /// The program cannot be executed.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The program was not found.
    pub const NOT_FOUND: u8 = 127;
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub code: u8,
    /// For the user; without the program's name before it.
    pub message: String,
}

/// The result of a command, or of a part of one.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of the sandbox itself, or of the one who called it.
    pub fn own(message: impl Into<String>) -> Failure {
        Failure { code: code::OWN, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Says what was being done when a host call failed.
pub trait Context<T> {
    /// `what` is completed by the error: "cannot open /x: No such file or directory".
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::own(format!("{}: {}", what(), describe(&error.into()))))
    }
}

/// The error in words, without Rust's "(os error N)".
pub fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
