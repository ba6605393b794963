//! The table that people read.

use std::fmt::Write;

use super::{Results, Run, Verdict};

/// The table's first line.
pub fn header(places: &[String], width: usize) -> String {
    let mut line = format!("{:width$}", "case");
    for place in places {
        let _ = write!(line, "  {place:>9}");
    }
    line
}

/// One line of the table, and under it what failing runs had to say.
pub fn row(results: &Results, name: &str, runs: &[Run], width: usize) -> String {
    let mut lines = format!("{name:width$}");
    for (place, run) in results.places.iter().zip(runs) {
        let cell = place.len().max(9);
        let _ = write!(lines, "  {:>cell$}", run.verdict.word());
    }
    for (i, (place, run)) in results.places.iter().zip(runs).enumerate() {
        let note = match run.verdict {
            Verdict::Pass => continue,
            // What Linux itself fails says nothing about the sandbox.
            _ if i == 0 && run.verdict.is_bad() => "wrong case: Linux fails it",
            _ => run.verdict.word(),
        };
        if run.verdict == Verdict::Skip && i == 0 && !results.deny_skips {
            let _ = write!(lines, "\n    {place}: skip: {}", run.output);
            continue;
        }
        let _ = write!(lines, "\n    {place}: {note}");
        for line in run.output.lines() {
            let _ = write!(lines, "\n        {line}");
        }
    }
    lines
}

/// The last line.
pub fn summary(results: &Results) -> String {
    let (passed, failed, skipped) = results.totals();
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runner::CaseResult;

    fn run(verdict: Verdict, output: &str, millis: u64) -> Run {
        Run { verdict, output: output.to_owned(), exit_code: None, millis }
    }

    /// One case that fails in the sandbox, and one that is skipped natively.
    pub fn sample() -> Results {
        let bad = run(Verdict::Fail, "expected <1> & got \"2\"", 3);
        let case = |name: &str, runs| CaseResult { name: name.to_owned(), runs };
        Results {
            places: vec!["native".to_owned(), "ptrace".to_owned()],
            cases: vec![
                case("open/one", vec![run(Verdict::Pass, "", 1), bad]),
                case("open/two", vec![run(Verdict::Skip, "why", 2), run(Verdict::Pass, "", 4)]),
            ],
            deny_skips: false,
        }
    }

    #[test]
    fn table_lines_up() {
        let results = sample();
        let head = header(&results.places, 10);
        assert_eq!(head, "case           native     ptrace");
        let line = row(&results, "open/one", &results.cases[0].runs, 10);
        assert_eq!(
            line,
            "open/one         pass       FAIL\n    ptrace: FAIL\n        expected <1> & got \"2\""
        );
        assert_eq!(summary(&results), "2 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn denied_skips_fail() {
        let results = Results { deny_skips: true, ..sample() };
        assert_eq!(results.totals(), (2, 2, 0));
    }

    #[test]
    fn failing_on_linux_is_a_wrong_case() {
        let results = sample();
        let runs = [run(Verdict::Fail, "x", 1)];
        assert!(row(&results, "a/b", &runs, 5).contains("native: wrong case: Linux fails it"));
    }
}
