//! Time structures.

use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct timespec`.
#[repr(C)]
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
pub struct Timespec {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds, below 1,000,000,000 in a valid one.
    pub nsec: i64,
}

impl Timespec {
    /// Is this a time that Linux accepts: not negative, nanoseconds in range?
    pub fn is_valid(self) -> bool {
        self.sec >= 0 && (0..1_000_000_000).contains(&self.nsec)
    }

    /// As a duration; None where not valid.
    pub fn to_duration(self) -> Option<Duration> {
        self.is_valid().then(|| Duration::new(self.sec as u64, self.nsec as u32))
    }

    /// Total nanoseconds, saturating.
    pub fn as_nanos(self) -> i64 {
        self.sec.saturating_mul(1_000_000_000).saturating_add(self.nsec)
    }

    /// From nanoseconds.
    pub fn from_nanos(nanos: i64) -> Timespec {
        Timespec { sec: nanos.div_euclid(1_000_000_000), nsec: nanos.rem_euclid(1_000_000_000) }
    }
}

impl From<Duration> for Timespec {
    fn from(d: Duration) -> Timespec {
        Timespec {
            sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            nsec: d.subsec_nanos().into(),
        }
    }
}

/// `struct timeval`.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[allow(missing_docs)]
pub struct Timeval {
    pub sec: i64,
    pub usec: i64,
}

impl From<Duration> for Timeval {
    fn from(d: Duration) -> Timeval {
        Timeval {
            sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            usec: d.subsec_micros().into(),
        }
    }
}

impl Timeval {
    /// As a duration; None where not valid.
    pub fn to_duration(self) -> Option<Duration> {
        (self.sec >= 0 && (0..1_000_000).contains(&self.usec))
            .then(|| Duration::new(self.sec as u64, self.usec as u32 * 1000))
    }
}

/// `struct itimerval`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct Itimerval {
    pub interval: Timeval,
    pub value: Timeval,
}

/// `struct itimerspec`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct Itimerspec {
    pub interval: Timespec,
    pub value: Timespec,
}
