//! loadavg: how many tasks want to run, averaged over 1, 5 and 15 minutes.
//!
//! Nothing samples the load while nobody looks: a sample is taken when the file is read, and counts
//! for the time since the last one.

use crate::pid::{State, task_state};
use crate::proc::Proc;
use abi::SysResult;
use std::time::Instant;

/// The averages.
#[derive(Debug, Default)]
pub(crate) struct LoadAverage {
    values: [f64; 3],
    sampled: Option<Instant>,
}

/// The times over which is averaged, in seconds.
const WINDOWS: [f64; 3] = [60.0, 300.0, 900.0];

impl LoadAverage {
    /// Takes a sample: `runnable` tasks, `seconds` after the last.
    fn add(&mut self, runnable: f64, seconds: f64) {
        for (value, window) in self.values.iter_mut().zip(WINDOWS) {
            let kept = (-seconds / window).exp();
            *value = *value * kept + runnable * (1.0 - kept);
        }
    }

    fn sample(&mut self, runnable: usize, boot: Instant) {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.sampled.unwrap_or(boot));
        self.sampled = Some(now);
        self.add(runnable as f64, since.as_secs_f64());
    }
}

/// Tasks that run or want to, and all.
pub(super) fn count_tasks(kernel: &kernel::Kernel) -> (usize, usize) {
    let table = kernel.processes.lock();
    let tasks: Vec<_> = table.iter().flat_map(|process| process.tasks.clone()).collect();
    drop(table);
    (tasks.iter().filter(|task| task_state(task) == State::Running).count(), tasks.len())
}

pub(super) fn loadavg(proc: &Proc) -> SysResult<Vec<u8>> {
    let kernel = proc.kernel()?;
    let (running, all) = count_tasks(&kernel);
    let last_pid = kernel.processes.lock().last_pid();
    // Who asks does not count.
    let values = {
        let mut load = proc.load.lock();
        load.sample(running.saturating_sub(1), kernel.boot);
        load.values
    };
    Ok(format(values, running, all, last_pid).into_bytes())
}

fn format([one, five, fifteen]: [f64; 3], running: usize, all: usize, last_pid: i32) -> String {
    format!("{one:.2} {five:.2} {fifteen:.2} {running}/{all} {last_pid}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_approach_the_load() {
        let mut load = LoadAverage::default();
        load.add(4.0, 60.0);
        assert!(load.values[0] > 2.0 && load.values[0] < 4.0, "{load:?}");
        assert!(load.values[0] > load.values[1] && load.values[1] > load.values[2], "{load:?}");
        load.add(0.0, 3600.0);
        assert!(load.values[0] < 0.01, "{load:?}");
    }

    #[test]
    fn reads_as_linux_writes_it() {
        assert_eq!(format([0.4, 0.87, 0.944], 2, 93, 16391), "0.40 0.87 0.94 2/93 16391\n");
    }
}
