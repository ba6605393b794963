//! signal(7): numbers, sets, and the structures that cross the boundary.

use crate::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A signal number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

macro_rules! signals {
    ($($name:ident)*) => {
        #[allow(missing_docs)] // signal(7) describes them
        impl Signal {
            $(pub const $name: Signal = Signal(libc::$name as u8);)*

            /// The symbolic name; real-time signals are "SIGRT".
            pub fn name(self) -> &'static str {
                match i32::from(self.0) {
                    $(libc::$name => stringify!($name),)*
                    _ => "SIGRT",
                }
            }
        }
    };
}

signals! {
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2
    SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG
    SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
}

impl Signal {
    /// First real-time signal, as the kernel counts.
    pub const RTMIN: u8 = 32;
    /// Highest number.
    pub const MAX: u8 = 64;

    /// EINVAL for a number that is not a signal (0 included).
    pub fn new(number: i32) -> Result<Signal, Errno> {
        if (1..=64).contains(&number) { Ok(Signal(number as u8)) } else { Err(Errno::EINVAL) }
    }

    /// The number.
    pub fn number(self) -> i32 {
        self.0.into()
    }

    /// Is this a real-time signal, of which several can be pending?
    pub fn is_realtime(self) -> bool {
        self.0 >= Signal::RTMIN
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// A set of signals, bit N-1 for signal N: `sigset_t` of the kernel.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// SIGKILL and SIGSTOP, which nobody can block, catch or ignore.
    pub const UNBLOCKABLE: SigSet = SigSet(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1));

    /// The set of one.
    pub fn of(signal: Signal) -> SigSet {
        SigSet(1 << (signal.0 - 1))
    }
    /// Is the signal in the set?
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & SigSet::of(signal).0 != 0
    }
    /// Adds one.
    pub fn add(&mut self, signal: Signal) {
        self.0 |= SigSet::of(signal).0;
    }
    /// Removes one.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !SigSet::of(signal).0;
    }
    /// Union.
    pub fn union(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }
    /// What is in `self` and not in `other`.
    pub fn without(self, other: SigSet) -> SigSet {
        SigSet(self.0 & !other.0)
    }
    /// What is in both.
    pub fn intersect(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }
    /// No signal in it?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// The lowest number in the set: the one Linux delivers first.
    pub fn lowest(self) -> Option<Signal> {
        (self.0 != 0).then(|| Signal(self.0.trailing_zeros() as u8 + 1))
    }
}

/// The kernel's `struct sigaction` on x86-64.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct SigAction {
    /// SIG_DFL (0), SIG_IGN (1) or an address.
    pub handler: u64,
    /// SA_ flags.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: SigSet,
}

/// SIG_DFL.
pub const SIG_DFL: u64 = 0;
/// SIG_IGN.
pub const SIG_IGN: u64 = 1;
/// The flag that says `restorer` is set; always so on x86-64.
pub const SA_RESTORER: u64 = 0x0400_0000;

/// `siginfo_t`: 128 bytes, the fields after the first three depending on the source.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
pub struct SigInfo {
    /// si_signo.
    pub signo: i32,
    /// si_errno.
    pub errno: i32,
    /// si_code.
    pub code: i32,
    /// Padding.
    pub pad: i32,
    /// The union, as 64-bit words.
    pub fields: [u64; 14],
}

impl std::fmt::Debug for SigInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigInfo{{{} code {} {:x?}}}", self.signo, self.code, &self.fields[..3])
    }
}

impl SigInfo {
    /// Only number and code.
    pub fn new(signal: Signal, code: i32) -> SigInfo {
        SigInfo { signo: signal.number(), code, ..SigInfo::default() }
    }

    /// Sent by a process: si_pid, si_uid (kill, tgkill, sigqueue).
    pub fn from_process(signal: Signal, code: i32, pid: i32, uid: u32) -> SigInfo {
        let mut info = SigInfo::new(signal, code);
        info.fields[0] = u64::from(pid as u32) | u64::from(uid) << 32;
        info
    }

    /// A fault: si_addr.
    pub fn fault(signal: Signal, code: i32, addr: u64) -> SigInfo {
        let mut info = SigInfo::new(signal, code);
        info.fields[0] = addr;
        info
    }

    /// SIGCHLD: si_pid, si_uid, si_status; times in clock ticks.
    pub fn child(code: i32, pid: i32, uid: u32, status: i32, utime: u64, stime: u64) -> SigInfo {
        let mut info = SigInfo::from_process(Signal::SIGCHLD, code, pid, uid);
        info.fields[1] = u64::from(status as u32);
        info.fields[2] = utime;
        info.fields[3] = stime;
        info
    }

    /// si_value of sigqueue, mq and timers.
    pub fn with_value(mut self, value: u64) -> SigInfo {
        self.fields[1] = value;
        self
    }
}

/// `stack_t` of sigaltstack(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct StackT {
    pub sp: u64,
    pub flags: i32,
    pub pad: i32,
    pub size: u64,
}
