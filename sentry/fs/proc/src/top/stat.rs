//! stat and uptime: time, and what it was spent on.

use super::load::count_tasks;
use crate::proc::Proc;
use abi::SysResult;
use kernel::Kernel;
use kernel::time::NANOS_PER_TICK;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Time since boot, in ns.
struct Times {
    up: u64,
    user: u64,
    system: u64,
    /// Of all processors together.
    idle: u64,
}

/// CPU time of all processes there are and of those that were waited for. What nobody waited for is
/// missing, so the sums are kept from going back.
fn times(proc: &Proc, kernel: &Arc<Kernel>) -> Times {
    let groups: Vec<_> = kernel.processes.lock().iter().map(|p| p.group.clone()).collect();
    let (mut user, mut system) = (0, 0);
    for group in &groups {
        for (u, s) in [kernel.process_times(group), group.children_times()] {
            user += u;
            system += s;
        }
    }
    let forward = |shown: &AtomicU64, now: u64| shown.fetch_max(now, Ordering::Relaxed).max(now);
    let (user, system) = (forward(&proc.shown_user, user), forward(&proc.shown_system, system));
    let up = kernel.boot.elapsed().as_nanos() as u64;
    let idle = up.saturating_mul(kernel.cpus().into()).saturating_sub(user + system);
    Times { up, user, system, idle }
}

pub(super) fn uptime(proc: &Proc) -> SysResult<Vec<u8>> {
    let times = times(proc, &proc.kernel()?);
    let seconds = |nanos: u64| format!("{}.{:02}", nanos / 1_000_000_000, nanos / 10_000_000 % 100);
    Ok(format!("{} {}\n", seconds(times.up), seconds(times.idle)).into_bytes())
}

pub(super) fn stat(proc: &Proc) -> SysResult<Vec<u8>> {
    let kernel = proc.kernel()?;
    let now = kernel::time::realtime().as_nanos();
    let boot = now.saturating_sub(kernel.boot.elapsed().as_nanos() as i64) / 1_000_000_000;
    let (running, _) = count_tasks(&kernel);
    // The first process was not forked.
    let processes = kernel.forks.load(Ordering::Relaxed) + 1;
    let times = times(proc, &kernel);
    Ok(format(&times, kernel.cpus(), boot, processes, running).into_bytes())
}

/// Each processor is shown with its share of the whole: which one ran what is not known.
fn format(times: &Times, cpus: u32, boot: i64, processes: u64, running: usize) -> String {
    let mut text = String::new();
    let share = |nanos: u64, of: u32| nanos / NANOS_PER_TICK / u64::from(of.max(1));
    let mut cpu = |name: &str, of| {
        let (user, system, idle) =
            (share(times.user, of), share(times.system, of), share(times.idle, of));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} {user} 0 {system} {idle} 0 0 0 0 0 0");
    };
    cpu("cpu ", 1);
    for number in 0..cpus {
        cpu(&format!("cpu{number}"), cpus);
    }
    let _ = writeln!(
        text,
        "intr 0\nctxt 0\nbtime {boot}\nprocesses {processes}\nprocs_running {running}\n\
         procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_lines_that_linux_has() {
        let host = std::fs::read_to_string("/proc/stat").unwrap();
        let cpus = host.lines().filter(|line| line.starts_with("cpu")).count() as u32 - 1;
        let second = 1_000_000_000;
        let times = Times { up: 10 * second, user: 3 * second, system: second, idle: 16 * second };
        let ours = format(&times, cpus, 1_700_000_000, 42, 2);
        // Name and number of words; of "intr" only the total is there.
        let shape = |text: &str| -> Vec<(String, usize)> {
            let words = |line: &str| match line.split_ascii_whitespace().collect::<Vec<_>>() {
                words if words[0] == "intr" => ("intr".to_owned(), 0),
                words => (words[0].to_owned(), words.len()),
            };
            text.lines().map(words).collect()
        };
        assert_eq!(shape(&ours), shape(&host));
        assert!(ours.starts_with("cpu  300 0 100 1600 0 0 0 0 0 0\n"), "{ours}");
    }
}
