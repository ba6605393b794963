//! Runs the real command, as whoever runs the tests and, if that is root, also as an ordinary user.

#![allow(dead_code)]
// each test file uses its part
// A test's helper fails as a test does; clippy knows only functions marked as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod native;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// On whose behalf the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever runs the tests.
    Myself,
    /// An ordinary user without a home, by the rights of root.
    Nobody,
}

/// The number of that user.
pub const NOBODY: u32 = 65534;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Everybody the tests can run as.
pub fn callers() -> Vec<Caller> {
    if !is_root() {
        skip("running as root", "the tests were not started by root");
        return vec![Caller::Myself];
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        skip("running as an ordinary user", "there is no setpriv (package util-linux)");
        return vec![Caller::Myself];
    }
    vec![Caller::Myself, Caller::Nobody]
}

/// Says that something is not tested here, or fails if that is not to be.
pub fn skip(what: &str, why: &str) {
    assert!(
        std::env::var_os("RUNSC_DENY_SKIPS").is_none(),
        "{what} cannot be tested: {why}, and RUNSC_DENY_SKIPS is set"
    );
    eprintln!("skipped: {what}: {why}");
}

/// The command, where every user can execute it: the build directory may be somebody's home.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_sandbox"));
        let can_be_executed = as_nobody("test").arg("-x").arg(built).status();
        if can_be_executed.is_ok_and(|status| status.success()) {
            return built.to_owned();
        }
        // One copy for all runs of the same build; put in place at once, as another test may look.
        let modified = fs::metadata(built).unwrap().modified().unwrap();
        let age = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let dir = shared_dir("bin");
        let copy = std::env::temp_dir().join(format!("runsc-rs-e2e-sandbox-{age}"));
        let new = dir.join("sandbox");
        fs::copy(built, &new).unwrap();
        make_executable(&new);
        fs::rename(&new, &copy).unwrap();
        copy
    })
}

/// A directory in which every user may write, until it is dropped.
pub struct SharedDir(PathBuf);

impl std::ops::Deref for SharedDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for SharedDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a directory in which every user may write.
pub fn shared_dir(name: &str) -> SharedDir {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = format!("runsc-rs-e2e-{}-{number}-{name}", std::process::id());
    let dir = std::env::temp_dir().join(dir);
    fs::create_dir_all(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    SharedDir(dir.canonicalize().unwrap())
}

/// `sandbox ARGS` as this user, started from a directory that is nobody's.
pub fn sandbox(caller: Caller, args: &[&str]) -> Command {
    let mut command = match caller {
        Caller::Myself => Command::new(program()),
        Caller::Nobody => as_nobody(program()),
    };
    command.args(args).current_dir("/").stdin(Stdio::null());
    command
}

/// A program as the ordinary user, or as whoever runs the tests if that is no choice.
pub fn as_nobody(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = NOBODY.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(program);
    command
}

/// Exit status (128+N for a signal), standard output, standard error.
pub fn finish(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status_of(&output), text(&output.stdout), text(&output.stderr))
}

fn status_of(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap())
}

/// A sandbox in which a program runs, until it is dropped.
pub struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    pub gofer: Process,
    pub sentry: Process,
}

/// A process, by its number and the time it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    started: String,
}

impl Running {
    /// Starts a program that does not end by itself, and waits until it runs.
    pub fn start(caller: Caller, options: &[&str]) -> Running {
        let args = [&["run", "--timing"], options, &["--", "/bin/sleep", "1000"]].concat();
        let mut child =
            sandbox(caller, &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.contains("until the program runs") {
            assert_ne!(stderr.read_line(&mut seen).unwrap(), 0, "it ended: {seen}");
        }
        // setpriv becomes the command: the number stays.
        let pid = i32::try_from(child.id()).unwrap();
        let of_role = |role: &str| {
            let children = Process::all().into_iter().filter(|other| other.parent() == Some(pid));
            let mut of_role = children.filter(|other| other.command_line() == role);
            of_role.next().unwrap_or_else(|| panic!("no {role}"))
        };
        let (gofer, sentry) = (of_role("sandbox-gofer"), of_role("sandbox-sentry"));
        Running { child, stderr, gofer, sentry }
    }

    pub fn front_end(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// All processes beneath the front end.
    pub fn processes(&self) -> Vec<Process> {
        Process::beneath(self.front_end())
    }

    /// The processes beneath the sentry: what makes the stubs, and the stubs.
    pub fn stubs(&self) -> Vec<Process> {
        let stubs = Process::beneath(self.sentry.pid);
        assert!(!stubs.is_empty(), "no stubs");
        stubs
    }

    /// Waits for its end: exit status, what it said, how long it took.
    pub fn end(mut self) -> (i32, String, Duration) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "it does not end");
            std::thread::sleep(Duration::from_millis(1));
        };
        let took = start.elapsed();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (status.code().unwrap_or_else(|| 128 + status.signal().unwrap()), said, took)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn all() -> Vec<Process> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Process::find).collect()
    }

    /// All processes that this one has started, and those that they have started.
    pub fn beneath(pid: i32) -> Vec<Process> {
        let all = Process::all();
        let mut found: Vec<Process> = Vec::new();
        let mut parents = vec![pid];
        while let Some(parent) = parents.pop() {
            for process in all.iter().filter(|process| process.parent() == Some(parent)) {
                parents.push(process.pid);
                found.push(process.clone());
            }
        }
        found
    }

    fn find(pid: i32) -> Option<Process> {
        Some(Process { pid, started: stat(pid)?.nth(19)? })
    }

    fn parent(&self) -> Option<i32> {
        stat(self.pid)?.nth(1)?.parse().ok()
    }

    pub fn command_line(&self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        text.trim_end_matches('\0').to_owned()
    }

    /// Does it still exist, other than as a name for its parent to read?
    pub fn lives(&self) -> bool {
        let is_zombie = || stat(self.pid).and_then(|mut fields| fields.next()) == Some("Z".into());
        Process::find(self.pid).as_ref() == Some(self) && !is_zombie()
    }

    /// A line of /proc/PID/status.
    pub fn status(&self, name: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
    }

    /// A namespace, if one may ask.
    pub fn namespace(&self, kind: &str) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/ns/{kind}", self.pid)).ok()
    }

    pub fn kill(&self, signal: i32) {
        let pid = rustix::process::Pid::from_raw(self.pid).unwrap();
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

/// The fields of /proc/PID/stat from the state on.
fn stat(pid: i32) -> Option<impl Iterator<Item = String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may contain anything.
    let fields = text.rsplit_once(") ")?.1.to_owned();
    Some(fields.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter())
}

/// What only root may ask.
impl Process {
    pub fn myself() -> Process {
        Process::of(i32::try_from(std::process::id()).unwrap())
    }

    pub fn of(pid: i32) -> Process {
        Process::find(pid).expect("no such process")
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// A file of each of its threads.
    pub fn of_threads(&self, name: &str) -> Vec<String> {
        let threads = fs::read_dir(self.path("task")).unwrap().flatten();
        threads.filter_map(|thread| fs::read_to_string(thread.path().join(name)).ok()).collect()
    }

    /// The names in one of its directories.
    pub fn files_in(&self, link: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(link)).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    pub fn environment(&self) -> String {
        fs::read_to_string(self.path("environ")).unwrap()
    }

    pub fn mounts(&self) -> String {
        fs::read_to_string(self.path("mountinfo")).unwrap()
    }

    /// Is this descriptor of a file to be read only?
    pub fn is_open_to_read(&self, number: &str) -> bool {
        let text = fs::read_to_string(self.path("fdinfo").join(number)).unwrap();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        i32::from_str_radix(flags, 8).unwrap() & libc::O_ACCMODE == libc::O_RDONLY
    }

    /// Its open files: number and name.
    pub fn descriptors(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.path("fd")).unwrap().flatten();
        let name = |path: PathBuf| fs::read_link(path).map(|to| to.to_string_lossy().into_owned());
        entries
            .filter_map(|entry| {
                Some((entry.file_name().to_string_lossy().into_owned(), name(entry.path()).ok()?))
            })
            .collect()
    }
}

/// chmod 755.
pub fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// chmod 666.
pub fn make_writable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
}
