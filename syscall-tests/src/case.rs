//! What a case is: a function, a name, and a table row; and the `check` macros it is written with.

use std::fmt::Display;
use std::panic::Location;

use crate::calls;
use crate::sys;
use crate::sys::{Errno, SysResult};

/// Why a case did not pass.
#[derive(Debug)]
pub enum Failure {
    /// The kernel did something else than expected.
    Failed(String),
    /// The case cannot be tried here.
    Skipped(String),
}

/// What a case returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with the place in the case where it was noticed.
    #[track_caller]
    pub fn new(message: impl Display) -> Failure {
        let at = Location::caller();
        Failure::Failed(format!("{}:{}: {message}", at.file(), at.line()))
    }
}

impl From<Errno> for Failure {
    #[track_caller]
    fn from(errno: Errno) -> Failure {
        Failure::new(format_args!("a call that should have worked gave {errno}"))
    }
}

impl From<std::io::Error> for Failure {
    #[track_caller]
    fn from(error: std::io::Error) -> Failure {
        Failure::new(format_args!("an operation that should have worked gave: {error}"))
    }
}

/// Gives up on the case, without failing it.
pub fn skip<T>(reason: impl Display) -> Outcome<T> {
    Err(Failure::Skipped(reason.to_string()))
}

/// What a case needs of its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Passes for everybody.
    Nothing,
    /// Effective user 0; skipped otherwise.
    Root,
    /// An effective user other than 0; run as root, the case changes its user first.
    Ordinary,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct CaseDef {
    /// `family/what_is_true`.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Environment.
    pub needs: Needs,
    /// The code.
    pub run: fn(&mut Case) -> Outcome,
}

impl CaseDef {
    /// The part of the name before the slash.
    pub fn family(&self) -> &'static str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Runs the case in this process.
    pub fn execute(&self) -> Outcome {
        sys::reset_runtime_handlers()?;
        sys!(SYS_umask, 0o022)?;
        let mut case = Case { name: self.name, owner: calls::getpid(), directory: None };
        let root = calls::geteuid() == 0;
        match self.needs {
            Needs::Root if !root => skip("needs root"),
            // The directory is made before the change of user and handed over, so that it can be
            // made anywhere, and a child changes the user, so that the parent can clean up.
            Needs::Ordinary if root => {
                let directory = case.dir()?;
                sys!(SYS_chown, &calls::cstr(&directory), ORDINARY, ORDINARY)?;
                in_child(|| {
                    calls::become_user(ORDINARY)?;
                    (self.run)(&mut case)
                })
            }
            _ => (self.run)(&mut case),
        }
    }
}

/// The user that root becomes to see what others see ("nobody").
pub const ORDINARY: u32 = 65534;

/// A running case: its scratch directory, made when first asked for and removed at the end.
#[derive(Debug)]
pub struct Case {
    name: &'static str,
    owner: i32,
    directory: Option<String>,
}

impl Case {
    /// The scratch directory.
    pub fn dir(&mut self) -> Outcome<String> {
        if let Some(directory) = &self.directory {
            return Ok(directory.clone());
        }
        let parent = std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned());
        let directory =
            format!("{parent}/syscall-cases.{}.{}", self.owner, self.name.replace('/', "."));
        // A process killed earlier may have left one with our number.
        let _ = std::fs::remove_dir_all(&directory);
        calls::mkdir(&directory, 0o755)?;
        self.directory = Some(directory.clone());
        Ok(directory)
    }

    /// A path inside the scratch directory; nothing is made.
    pub fn path(&mut self, leaf: &str) -> Outcome<String> {
        Ok(format!("{}/{leaf}", self.dir()?))
    }

    /// A file inside the scratch directory.
    pub fn file(&mut self, leaf: &str, contents: &[u8]) -> Outcome<String> {
        let path = self.path(leaf)?;
        std::fs::write(&path, contents)?;
        Ok(path)
    }

    /// A new empty file, open for reading and writing.
    pub fn open_file(&mut self, leaf: &str) -> Outcome<i32> {
        let path = self.path(leaf)?;
        Ok(calls::open(&path, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC, 0o644)?)
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // A child of the case has a copy of this value, and must not clean up for its parent.
        if calls::getpid() == self.owner
            && let Some(directory) = &self.directory
        {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// Prints what went wrong and gives the exit status that says so.
pub fn conclude(outcome: Outcome) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(Failure::Failed(message)) => {
            eprintln!("{message}");
            1
        }
        Err(Failure::Skipped(reason)) => {
            eprintln!("{reason}");
            77
        }
    }
}

/// Starts a child that runs `body`; what fails there is printed by the child.
pub fn child(body: impl FnOnce() -> Outcome) -> SysResult<i32> {
    sys::fork(|| conclude(body()))
}

/// Waits for a child, which must exit with 0 (or with 77, which skips the case).
#[track_caller]
pub fn reap(pid: i32) -> Outcome {
    let status = calls::wait_for(pid)?;
    match calls::exit_code(status) {
        Some(0) => Ok(()),
        Some(77) => skip("a child process of the case skipped"),
        Some(code) => Err(Failure::new(format_args!("a child exited with {code}"))),
        None => Err(Failure::new(format_args!("a child ended with wait status {status:#x}"))),
    }
}

/// Runs `body` in a child and waits for it.
#[track_caller]
pub fn in_child(body: impl FnOnce() -> Outcome) -> Outcome {
    reap(child(body)?)
}

/// Repeats `done` until it is true, yielding in between; fails after a generous bound.
///
/// For states that nothing announces, such as another process being asleep in a call.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> Outcome<bool>) -> Outcome {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(8);
    while !done()? {
        if std::time::Instant::now() > deadline {
            return Err(Failure::new(format_args!("waited in vain until {what}")));
        }
        let _ = sys!(SYS_sched_yield);
    }
    Ok(())
}

/// Uses some processor time, without any system call.
pub fn burn() {
    for i in 0..100_000u32 {
        std::hint::black_box(i);
    }
}

/// Waits until the thread `tid` of process `pid` sleeps in the kernel.
#[track_caller]
pub fn until_asleep(pid: i32, tid: i32) -> Outcome {
    let path = format!("/proc/{pid}/task/{tid}/stat");
    until("a thread is asleep", || {
        let stat = std::fs::read_to_string(&path)?;
        Ok(stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')))
    })
}

/// `check!(condition, "what should be {}", true)`.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::case::Failure::new(format_args!(
                "expected {}", format_args!($($message)+)
            )));
        }
    };
}

/// `check_eq!(got, expected, "what it is")`.
#[macro_export]
macro_rules! check_eq {
    ($got:expr, $want:expr, $($message:tt)+) => {
        match (&$got, &$want) {
            (got, want) => if got != want {
                return Err($crate::case::Failure::new(format_args!(
                    "{}: expected {want:?}, got {got:?}", format_args!($($message)+)
                )));
            }
        }
    };
}

/// `check_errno!(call, ENOENT)`: the call must fail with just this number.
#[macro_export]
macro_rules! check_errno {
    ($call:expr, $errno:ident) => {
        match $call {
            Err($crate::sys::Errno(libc::$errno)) => {}
            Err(errno) => {
                return Err($crate::case::Failure::new(format_args!(
                    "{}: expected {}, got {errno}",
                    stringify!($call),
                    stringify!($errno)
                )));
            }
            Ok(value) => {
                return Err($crate::case::Failure::new(format_args!(
                    "{}: expected {}, but it worked ({value:?})",
                    stringify!($call),
                    stringify!($errno)
                )));
            }
        }
    };
}

/// The table of a family: `cases! { "open"; name: "about"; name [Root]: "about"; }`.
#[macro_export]
macro_rules! cases {
    ($family:literal; $($name:ident $([$needs:ident])? : $about:literal;)*) => {
        /// The cases of this family.
        pub const CASES: &[$crate::case::CaseDef] = &[$(
            $crate::case::CaseDef {
                name: concat!($family, "/", stringify!($name)),
                about: $about,
                needs: $crate::cases!(@needs $($needs)?),
                run: $name,
            },
        )*];
    };
    (@needs) => { $crate::case::Needs::Nothing };
    (@needs $needs:ident) => { $crate::case::Needs::$needs };
}
