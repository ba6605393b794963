//! sched and schedstat.

use super::Live;
use super::status::escape_name;
use abi::SysResult;

pub(super) fn sched(live: &Live) -> SysResult<Vec<u8>> {
    let (user, system) = live.times();
    let name = String::from_utf8_lossy(&escape_name(&live.comm())).into_owned();
    Ok(format_sched(&name, live.tid, live.threads, user + system).into_bytes())
}

/// Only what is known; the rest is 0 or the default.
fn format_sched(name: &str, pid: i32, threads: usize, nanos: u64) -> String {
    let mut text = format!("{name} ({pid}, #threads: {threads})\n{}\n", "-".repeat(67));
    let millis = |nanos: u64| format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000);
    let rows = [
        ("se.exec_start", millis(0)),
        ("se.vruntime", millis(nanos)),
        ("se.sum_exec_runtime", millis(nanos)),
        ("se.nr_migrations", "0".to_owned()),
        ("nr_switches", "0".to_owned()),
        ("nr_voluntary_switches", "0".to_owned()),
        ("nr_involuntary_switches", "0".to_owned()),
        ("se.load.weight", "1048576".to_owned()),
        ("policy", "0".to_owned()),
        ("prio", "120".to_owned()),
    ];
    for (label, value) in rows {
        text += &format!("{label:<45}:{value:>21}\n");
    }
    text
}

/// Time on a CPU and waiting for one, in ns; time slices.
pub(super) fn schedstat(live: &Live) -> SysResult<Vec<u8>> {
    let (user, system) = live.times();
    Ok(format!("{} 0 0\n", user + system).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_as_linux_does() {
        let Ok(host) = std::fs::read_to_string("/proc/self/sched") else { return };
        let ours = format_sched("name", 7, 1, 1_500_000);
        assert!(ours.starts_with("name (7, #threads: 1)\n-----"));
        for line in ours.lines().skip(2) {
            let label = &line[..46];
            let same = host.lines().find(|host| host.starts_with(label));
            if let Some(same) = same {
                assert_eq!(line.len(), same.len(), "{line}");
            }
        }
        assert!(ours.contains(":             1.500000\n"), "{ours}");
    }
}
