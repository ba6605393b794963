//! The runner: each case on Linux first, then in the sandbox on each platform, and a report.

pub mod child;
pub mod glob;
pub mod json;
pub mod junit;
pub mod options;
pub mod report;
pub mod suite;

/// How one case ended in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exit status 0.
    Pass,
    /// Any other exit status or a signal.
    Fail,
    /// Exit status 77.
    Skip,
    /// It had to be killed.
    Timeout,
    /// It could not be started, or the sandbox itself failed.
    Error,
}

impl Verdict {
    /// One word for tables and files.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
            Verdict::Timeout => "TIMEOUT",
            Verdict::Error => "ERROR",
        }
    }

    /// Neither passed nor skipped.
    pub fn is_bad(self) -> bool {
        !matches!(self, Verdict::Pass | Verdict::Skip)
    }
}

/// One run of one case.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub verdict: Verdict,
    /// Standard error, and standard output if there was any, both bounded.
    pub output: String,
    /// The exit status, if it exited.
    pub exit_code: Option<i32>,
    /// Wall-clock milliseconds.
    pub millis: u64,
}

/// A case with its runs: the native one first, then one for each platform.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// `family/name`.
    pub name: String,
    /// In the order of [`Results::places`].
    pub runs: Vec<Run>,
}

/// Everything a report needs.
#[derive(Clone, Debug)]
pub struct Results {
    /// `native`, and the names of the platforms.
    pub places: Vec<String>,
    /// In the order of the table of cases.
    pub cases: Vec<CaseResult>,
    /// Skips count as failures.
    pub deny_skips: bool,
}

impl Results {
    /// Whether this run lets the whole suite fail.
    pub fn is_bad(&self, run: &Run) -> bool {
        run.verdict.is_bad() || (self.deny_skips && run.verdict == Verdict::Skip)
    }

    /// Runs that passed, failed and were skipped, over all places.
    pub fn totals(&self) -> (usize, usize, usize) {
        let runs = || self.cases.iter().flat_map(|case| &case.runs);
        let passed = runs().filter(|run| run.verdict == Verdict::Pass).count();
        let failed = runs().filter(|run| self.is_bad(run)).count();
        (passed, failed, runs().count() - passed - failed)
    }
}
