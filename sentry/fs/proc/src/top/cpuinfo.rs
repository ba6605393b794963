//! cpuinfo: the host's processors, as many as the guest has.

use crate::proc::Proc;
use abi::SysResult;

pub(super) fn cpuinfo(proc: &Proc) -> SysResult<Vec<u8>> {
    let cpus = proc.kernel()?.cpus();
    let host = String::from_utf8_lossy(&proc.options.host.cpuinfo);
    Ok(format(&host, cpus).into_bytes())
}

/// Where the host says nothing.
const UNKNOWN: &str = "processor\t: 0\nvendor_id\t: unknown\ncpu family\t: 0\nmodel\t\t: 0\n\
    model name\t: unknown\nstepping\t: 0\ncpu MHz\t\t: 1000.000\nphysical id\t: 0\nsiblings\t: 1\n\
    core id\t\t: 0\ncpu cores\t: 1\napicid\t\t: 0\ninitial apicid\t: 0\nfpu\t\t: yes\n\
    fpu_exception\t: yes\nwp\t\t: yes\nflags\t\t: fpu tsc msr cx8 cmov mmx fxsr sse sse2 syscall \
    nx lm constant_tsc\nbogomips\t: 2000.00\nclflush size\t: 64\ncache_alignment\t: 64\n\
    address sizes\t: 46 bits physical, 48 bits virtual\npower management:";

/// `cpus` processors in one package, each described as the host's of the same number (or its last).
fn format(host: &str, cpus: u32) -> String {
    let blocks: Vec<&str> = host.split("\n\n").filter(|b| b.starts_with("processor")).collect();
    let mut text = String::new();
    for cpu in 0..cpus {
        let block = blocks.get(cpu as usize).or(blocks.last()).unwrap_or(&UNKNOWN);
        for line in block.lines() {
            let (key, _) = line.split_once(':').unwrap_or((line, ""));
            match key.trim_end() {
                "processor" | "core id" | "apicid" | "initial apicid" => {
                    text += &format!("{key}: {cpu}\n");
                }
                "physical id" => text += &format!("{key}: 0\n"),
                "siblings" | "cpu cores" => text += &format!("{key}: {cpus}\n"),
                _ => {
                    text += line;
                    text.push('\n');
                }
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_as_many_processors_as_the_guest_has() {
        let host = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let have = host.lines().filter(|line| line.starts_with("processor")).count() as u32;
        for cpus in [1, have, have + 3] {
            let ours = format(&host, cpus);
            let numbers = ours.lines().filter_map(|line| line.strip_prefix("processor\t: "));
            let expected: Vec<String> = (0..cpus).map(|cpu| cpu.to_string()).collect();
            assert_eq!(numbers.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn keeps_the_hosts_fields() {
        let host = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let keys = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        let have = host.lines().filter(|line| line.starts_with("processor")).count() as u32;
        assert_eq!(keys(&format(&host, have)), keys(&host));
        assert_eq!(keys(&format("", 1)).first().map(String::as_str), Some("processor\t"));
    }
}
