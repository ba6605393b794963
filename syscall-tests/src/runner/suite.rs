//! Runs the cases, several at a time, and prints the table as they end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::options::{ListOptions, RunOptions};
use super::{CaseResult, Results, Run, Verdict, child, glob, json, junit, report};
use crate::case::{CaseDef, Needs};
use crate::cases;

/// `list`.
pub fn list(options: &ListOptions) {
    for case in selected(&options.filter) {
        let needs = match case.needs {
            Needs::Nothing => "",
            Needs::Root => " [root]",
            Needs::Ordinary => " [ordinary user]",
        };
        println!("{}{needs}: {}", case.name, case.about);
    }
}

fn selected(filter: &str) -> Vec<&'static CaseDef> {
    cases::all().filter(|case| glob::matches(filter, case.name)).collect()
}

/// Where a case is run.
enum Place {
    Native,
    /// In the sandbox, on a platform or on the one it chooses.
    Sandbox(Option<String>),
}

impl Place {
    fn name(&self) -> String {
        match self {
            Place::Native => "native".to_owned(),
            Place::Sandbox(platform) => platform.clone().unwrap_or_else(|| "sandbox".to_owned()),
        }
    }
}

struct Suite<'a> {
    options: &'a RunOptions,
    guest: PathBuf,
    sandbox: PathBuf,
    places: Vec<Place>,
}

impl Suite<'_> {
    fn command(&self, place: &Place, case: &str) -> Command {
        let mut command = match place {
            Place::Native => Command::new(&self.guest),
            Place::Sandbox(platform) => {
                let mut command = Command::new(&self.sandbox);
                command.arg("run");
                if let Some(platform) = platform {
                    command.arg(format!("--platform={platform}"));
                }
                if let (true, Some(folder)) = (!self.options.no_ro, self.guest.parent()) {
                    command.arg("--ro").arg(folder);
                }
                command.args(&self.options.sandbox_arg).arg("--").arg(&self.guest);
                command
            }
        };
        command.args(["run", case]);
        command
    }

    fn run_case(&self, case: &CaseDef) -> Vec<Run> {
        let limit = Duration::from_secs(self.options.timeout);
        let run = |place: &Place| {
            let mut run = child::run(self.command(place, case.name), limit);
            // No case exits like that: the sandbox could not start it, or came to grief.
            if matches!(place, Place::Sandbox(_)) && matches!(run.exit_code, Some(125..=127)) {
                run.verdict = Verdict::Error;
            }
            run
        };
        self.places.iter().map(run).collect()
    }
}

/// `run`; true if all is well. The error is a message for the user.
pub fn run(options: &RunOptions) -> Result<bool, String> {
    let cases = selected(&options.filter);
    if cases.is_empty() {
        return Err(format!("no case matches {:?}", options.filter));
    }
    let suite = prepare(options)?;
    let mut results = Results {
        places: suite.places.iter().map(Place::name).collect(),
        cases: Vec::new(),
        deny_skips: options.deny_skips,
    };
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or(0);
    println!("{}", report::header(&results.places, width));
    let mut finished: Vec<Option<Vec<Run>>> = cases.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, cases.len()) {
            let (send, next, cases, suite) = (send.clone(), &next, &cases, &suite);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let index = cases.iter().position(|other| other.name == case.name);
                    if send.send((index, suite.run_case(case))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Printed in the table's order, each as soon as all before it have ended.
        let mut printed = 0;
        for (index, runs) in receive {
            if let Some(slot) = index.and_then(|index| finished.get_mut(index)) {
                *slot = Some(runs);
            }
            while let Some(runs) = finished.get_mut(printed).and_then(Option::take) {
                let name = cases[printed].name;
                println!("{}", report::row(&results, name, &runs, width));
                results.cases.push(CaseResult { name: name.to_owned(), runs });
                printed += 1;
            }
        }
    });
    println!("{}", report::summary(&results));
    save(options.json.as_deref(), || json::write(&results))?;
    save(options.junit.as_deref(), || junit::write(&results))?;
    Ok(results.totals().1 == 0)
}

fn prepare(options: &RunOptions) -> Result<Suite<'_>, String> {
    let beside = |name: &str| -> Result<PathBuf, String> {
        let me = std::env::current_exe().map_err(|error| format!("where am I? {error}"))?;
        Ok(me.with_file_name(name))
    };
    let absolute = |path: PathBuf| -> Result<PathBuf, String> {
        path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
    };
    let guest = options.guest.clone().map_or_else(|| beside("syscall-cases"), Ok)?;
    let mut places = vec![Place::Native];
    let mut sandbox = PathBuf::new();
    if !options.native_only {
        sandbox = absolute(options.sandbox.clone().map_or_else(|| beside("sandbox"), Ok)?)
            .map_err(|error| format!("{error} (the sandbox; --native-only does without)"))?;
        match options.platform.as_slice() {
            [] => places.push(Place::Sandbox(None)),
            names => places.extend(names.iter().cloned().map(Some).map(Place::Sandbox)),
        }
    }
    Ok(Suite { options, guest: absolute(guest)?, sandbox, places })
}

fn save(path: Option<&Path>, contents: impl FnOnce() -> String) -> Result<(), String> {
    match path {
        Some(path) => {
            std::fs::write(path, contents()).map_err(|error| format!("{}: {error}", path.display()))
        }
        None => Ok(()),
    }
}
