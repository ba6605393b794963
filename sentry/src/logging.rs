//! The log: lines of text on one open file, filtered by level.
//!
//! A subscriber of `tracing` in a page of code: a registry of spans, formatting layers and filters
//! by module would be the largest dependency of the sentry, and nothing here uses spans.

use crate::config::LogLevel;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Events of this target are the guest's system calls: shown whatever the level, if asked for.
pub const STRACE_TARGET: &str = "strace";

struct Log {
    out: File,
    level: Level,
    strace: bool,
}

/// Sends the log of this process to `out`. Later calls change nothing.
pub fn start(out: File, level: LogLevel, strace: bool) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    // The error says that there is one already.
    let _ = tracing::subscriber::set_global_default(Log { out, level, strace });
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.target() == STRACE_TARGET {
            return self.strace;
        }
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        let level = if self.strace { Level::TRACE } else { self.level };
        Some(level.into())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(String::new());
        if metadata.target() != STRACE_TARGET {
            line.push(format_args!("{:<5} {}:", metadata.level(), metadata.target()));
        }
        event.record(&mut line);
        line.0.push('\n');
        // One write, so that lines of several processes do not mix. A log that is full or gone
        // must not stop the guest.
        let _ = (&self.out).write_all(line.0.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Line {
    fn push(&mut self, text: fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        let start = self.0.len();
        // Writing to a String cannot fail, but a Debug implementation may say it did.
        let _ = self.0.write_fmt(text);
        // A guest's names get in here: no control characters in somebody's terminal.
        if self.0[start..].chars().any(char::is_control) {
            let tail = self.0.split_off(start);
            for c in tail.chars() {
                match c.is_control() {
                    true => self.0.extend(c.escape_default()),
                    false => self.0.push(c),
                }
            }
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.push(format_args!("{value:?}")),
            name => self.push(format_args!("{name}={value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn logged(level: Level, strace: bool, what: impl FnOnce()) -> String {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let out = File::from(std::os::fd::OwnedFd::from(writer));
        tracing::subscriber::with_default(Log { out, level, strace }, what);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn levels_and_fields() {
        let text = logged(Level::WARN, false, || {
            tracing::info!("not this");
            tracing::warn!(target: "t", nr = 7, "no such call");
            tracing::trace!(target: STRACE_TARGET, "nor this");
        });
        assert_eq!(text, "WARN  t: no such call nr=7\n");
    }

    #[test]
    fn system_calls_are_shown_bare() {
        let text = logged(Level::ERROR, true, || {
            tracing::trace!(target: STRACE_TARGET, "read(3) = 1");
        });
        assert_eq!(text, "read(3) = 1\n");
    }

    #[test]
    fn a_guest_cannot_write_escape_sequences() {
        let text = logged(Level::WARN, false, || {
            tracing::warn!(target: "t", "name {}", "a\x1b[31m\nb");
        });
        assert_eq!(text, "WARN  t: name a\\u{1b}[31m\\nb\n");
    }
}
