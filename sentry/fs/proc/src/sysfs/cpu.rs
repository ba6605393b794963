//! devices/system/cpu and node: processors, each a core of its own, all in one package and node.

use super::{Entry, Sys, empty, fixed};
use crate::node::tree::{Entries, entries};
use crate::top::cpus::{list, mask};
use std::borrow::Cow;

/// A file with one line.
fn line(text: &str) -> Entry<Sys> {
    Entry::Fixed(format!("{text}\n").into())
}

/// devices/system/cpu.
pub(super) fn cpus(count: u32) -> Entries<Sys> {
    let mut dir = entries([
        ("cpufreq", empty()),
        ("cpuidle", empty()),
        ("isolated", fixed("\n")),
        ("kernel_max", fixed("8191\n")),
        ("offline", fixed("\n")),
        ("online", line(&list(count))),
        ("possible", line(&list(count))),
        ("present", line(&list(count))),
        (
            "smt",
            Entry::Dir(entries([("active", fixed("0\n")), ("control", fixed("notsupported\n"))])),
        ),
        ("vulnerabilities", empty()),
    ]);
    dir.extend(
        (0..count).map(|cpu| (Cow::Owned(format!("cpu{cpu}")), Entry::Dir(one(cpu, count)))),
    );
    dir
}

fn one(cpu: u32, count: u32) -> Entries<Sys> {
    entries([
        ("node0", Entry::Link("../../node/node0".into())),
        ("subsystem", Entry::Link("../../../../bus/cpu".into())),
        ("topology", Entry::Dir(topology(cpu, count))),
    ])
}

fn topology(cpu: u32, count: u32) -> Entries<Sys> {
    let mut files = entries([
        ("core_id", line(&cpu.to_string())),
        ("die_id", fixed("0\n")),
        ("physical_package_id", fixed("0\n")),
    ]);
    let own = ["core_cpus", "thread_siblings"];
    let all = ["core_siblings", "die_cpus", "package_cpus"];
    for (names, set, numbers) in
        [(&own[..], mask_of(cpu), cpu.to_string()), (&all[..], mask(count), list(count))]
    {
        for name in names {
            files.push((Cow::Borrowed(name), line(&set)));
            files.push((Cow::Owned(format!("{name}_list")), line(&numbers)));
        }
    }
    files
}

/// The set of this one.
fn mask_of(cpu: u32) -> String {
    format!("{:x}{}", 1u32 << (cpu % 32), ",00000000".repeat(cpu as usize / 32))
}

/// devices/system/node: the one node.
pub(super) fn nodes(cpus: u32) -> Entries<Sys> {
    let one = "0\n";
    entries([
        ("has_cpu", fixed(one)),
        ("has_memory", fixed(one)),
        ("has_normal_memory", fixed(one)),
        (
            "node0",
            Entry::Dir(entries([
                ("cpulist", line(&list(cpus))),
                ("cpumap", line(&mask(cpus))),
                ("distance", fixed("10\n")),
            ])),
        ),
        ("online", fixed(one)),
        ("possible", fixed(one)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_one() {
        assert_eq!(mask_of(0), "1");
        assert_eq!(mask_of(33), "2,00000000");
    }
}
