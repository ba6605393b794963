//! The guest: lists the cases and runs one of them, in this very process.

use std::process::ExitCode;

use syscall_tests::case::{Failure, Needs, Outcome, conclude};
use syscall_tests::{cases, programs};

const USAGE: &str = "usage: syscall-cases list
       syscall-cases run NAME
       syscall-cases run-all [GLOB]
       syscall-cases random [--seed S] [--calls N]   (only inside a sandbox)
       syscall-cases threads64 | forks N | sparse-gib";

fn main() -> ExitCode {
    let all: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    // Not everything a case execs can be told what to do by its arguments.
    if std::env::var("SYSCALL_CASES_HELPER").is_ok() {
        programs::helper::echo(&all);
        return ExitCode::SUCCESS;
    }
    ExitCode::from(dispatch(&all) as u8)
}

fn dispatch(all: &[String]) -> i32 {
    let arguments = all.get(1..).unwrap_or_default();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => list(),
        ["run", name] => match cases::find(name) {
            Some(case) => return conclude(case.execute()),
            None => return usage(&format!("no case named {name}")),
        },
        ["run-all"] => return conclude(programs::run_all("*")),
        ["run-all", pattern] => return conclude(programs::run_all(pattern)),
        ["random", options @ ..] => return conclude(random(options)),
        ["threads64"] => return conclude(programs::threads64()),
        ["sparse-gib"] => return conclude(programs::sparse_gib()),
        ["forks", count] => match count.parse() {
            Ok(count) => return conclude(programs::forks(count)),
            Err(_) => return usage("forks wants a number"),
        },
        ["helper", ..] => {
            return programs::helper::run(all, &arguments[1..])
                .unwrap_or_else(|failure| conclude(Err(failure)));
        }
        // What follows the interpreter on a #! line is one argument.
        ["script-helper and more", ..] => programs::helper::echo(all),
        _ => return usage("no such command"),
    }
    0
}

fn usage(problem: &str) -> i32 {
    eprintln!("syscall-cases: {problem}\n{USAGE}");
    2
}

fn list() {
    for case in cases::all() {
        let needs = match case.needs {
            Needs::Nothing => "-",
            Needs::Root => "root",
            Needs::Ordinary => "ordinary-user",
        };
        println!("{}\t{}\t{needs}\t{}", case.name, case.family(), case.about);
    }
}

fn random(options: &[&str]) -> Outcome {
    let (mut seed, mut calls) = (1, 10_020);
    for pair in options.chunks(2) {
        let value = pair.get(1).and_then(|value| value.parse().ok());
        match (pair[0], value) {
            ("--seed", Some(value)) => seed = value,
            ("--calls", Some(value)) => calls = value,
            _ => return Err(Failure::new(format_args!("cannot use {pair:?}"))),
        }
    }
    programs::random::run(seed, calls)
}
