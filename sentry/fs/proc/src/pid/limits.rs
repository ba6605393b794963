//! limits: the resource limits.

use super::Live;
use abi::SysResult;
use abi::process::Rlimit;
use kernel::Resource;

/// Name, resource, unit, in the kernel's order.
const ROWS: [(&str, Resource, &str); 16] = [
    ("Max cpu time", Resource::Cpu, "seconds"),
    ("Max file size", Resource::Fsize, "bytes"),
    ("Max data size", Resource::Data, "bytes"),
    ("Max stack size", Resource::Stack, "bytes"),
    ("Max core file size", Resource::Core, "bytes"),
    ("Max resident set", Resource::Rss, "bytes"),
    ("Max processes", Resource::Nproc, "processes"),
    ("Max open files", Resource::Nofile, "files"),
    ("Max locked memory", Resource::Memlock, "bytes"),
    ("Max address space", Resource::As, "bytes"),
    ("Max file locks", Resource::Locks, "locks"),
    ("Max pending signals", Resource::Sigpending, "signals"),
    ("Max msgqueue size", Resource::Msgqueue, "bytes"),
    ("Max nice priority", Resource::Nice, ""),
    ("Max realtime priority", Resource::Rtprio, ""),
    ("Max realtime timeout", Resource::Rttime, "us"),
];

pub(super) fn limits(live: &Live) -> SysResult<Vec<u8>> {
    Ok(format(|resource| live.group.limits().get(resource)).into_bytes())
}

fn format(get: impl Fn(Resource) -> Rlimit) -> String {
    let line = |name: &str, soft: &str, hard: &str, unit: &str| {
        format!("{name:<25} {soft:<20} {hard:<20} {unit:<10}\n")
    };
    let value = |value: u64| match value {
        u64::MAX => "unlimited".to_owned(),
        value => value.to_string(),
    };
    let mut text = line("Limit", "Soft Limit", "Hard Limit", "Units");
    for (name, resource, unit) in ROWS {
        let limit = get(resource);
        text += &match unit {
            // Where there is no unit, Linux pads only so far.
            "" => format!("{name:<25} {:<20} {:<20}\n", value(limit.cur), value(limit.max)),
            unit => line(name, &value(limit.cur), &value(limit.max), unit),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_as_the_hosts_own() {
        let host = std::fs::read_to_string("/proc/self/limits").unwrap();
        let host: Vec<&str> = host.lines().collect();
        let parse = |text: &str| match text.trim() {
            "unlimited" => u64::MAX,
            number => number.parse().unwrap(),
        };
        let of_host = |resource| {
            let at = ROWS.iter().position(|(_, r, _)| *r == resource).unwrap();
            let line = host[at + 1];
            Rlimit { cur: parse(&line[26..46]), max: parse(&line[47..67]) }
        };
        let ours = format(of_host);
        for (ours, host) in ours.lines().zip(&host) {
            assert_eq!(ours.trim_end(), host.trim_end());
        }
        assert_eq!(ours.lines().count(), host.len());
    }
}
