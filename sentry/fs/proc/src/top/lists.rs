//! Lists that are the same for everybody, and empty tables with their headers.

use crate::proc::Proc;
use abi::SysResult;

pub(super) const DEVICES: &str = "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  \
    5 /dev/ptmx\n 10 misc\n128 ptm\n136 pts\n\nBlock devices:\n";

/// What a guest may find mounted.
pub(super) const FILESYSTEMS: &str = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup2\n\
    nodev\tdevtmpfs\nnodev\tsockfs\nnodev\tpipefs\nnodev\tdevpts\nnodev\toverlay\nnodev\tmqueue\n";

pub(super) const TTY_DRIVERS: &str = "\
/dev/tty             /dev/tty        5       0 system:/dev/tty
/dev/console         /dev/console    5       1 system:console
/dev/ptmx            /dev/ptmx       5       2 system
pty_slave            /dev/pts      136 0-1048575 pty:slave
pty_master           /dev/ptm      128 0-1048575 pty:master
";

/// A table with a column for each processor.
fn header(cpus: u32, indent: usize, width: usize) -> String {
    let columns: String = (0..cpus).map(|cpu| format!("{:<width$}", format!("CPU{cpu}"))).collect();
    format!("{:indent$}{columns}\n", "")
}

/// No interrupt of the host is the guest's.
pub(super) fn interrupts(proc: &Proc) -> SysResult<Vec<u8>> {
    Ok(header(proc.kernel()?.cpus(), 11, 11).into_bytes())
}

const SOFTIRQS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

pub(super) fn softirqs(proc: &Proc) -> SysResult<Vec<u8>> {
    Ok(format_softirqs(proc.kernel()?.cpus()).into_bytes())
}

fn format_softirqs(cpus: u32) -> String {
    let columns: String = (0..cpus).map(|cpu| format!("{:<11}", format!("CPU{cpu}"))).collect();
    let mut text = format!("{:20}{columns}\n", "");
    for name in SOFTIRQS {
        let zeros = " ".repeat(10) + "0";
        text += &format!("{name:>12}:{}\n", zeros.repeat(cpus as usize));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{name}")).unwrap()
    }

    fn first_line(text: &str) -> &str {
        text.lines().next().unwrap_or_default()
    }

    #[test]
    fn headers_are_linuxs_own() {
        let interrupts = host("interrupts");
        let cpus = first_line(&interrupts).matches("CPU").count() as u32;
        assert_eq!(first_line(&header(cpus, 11, 11)), first_line(&interrupts));
    }

    #[test]
    fn softirqs_has_the_lines_that_linux_has() {
        let host = host("softirqs");
        let cpus = first_line(&host).matches("CPU").count() as u32;
        let ours = format_softirqs(cpus);
        assert_eq!(first_line(&ours), first_line(&host));
        let names = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(names(&ours), names(&host));
    }
}
