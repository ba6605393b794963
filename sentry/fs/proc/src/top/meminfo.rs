//! meminfo: the sandbox's memory.

use crate::proc::Proc;
use abi::SysResult;

pub(super) fn meminfo(proc: &Proc) -> SysResult<Vec<u8>> {
    let kernel = proc.kernel()?;
    let (total, used) = (kernel.memory_limit(), kernel.memory_file().used_bytes());
    Ok(format(total, used).into_bytes())
}

/// `total` is the limit, `used` the bytes of the memory file: memory of programs, files in memory.
fn format(total: u64, used: u64) -> String {
    let used = used.min(total);
    let free = total - used;
    let rows: [(&str, u64); 48] = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", used),
        ("Inactive", 0),
        ("Active(anon)", used),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Zswap", 0),
        ("Zswapped", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", used),
        ("Mapped", used),
        ("Shmem", 0),
        ("KReclaimable", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("KernelStack", 0),
        ("PageTables", 0),
        ("SecPageTables", 0),
        ("NFS_Unstable", 0),
        ("Bounce", 0),
        ("WritebackTmp", 0),
        ("CommitLimit", total),
        ("Committed_AS", used),
        ("VmallocTotal", 0x1fff_ffff_fc00),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
        ("Percpu", 0),
        ("AnonHugePages", 0),
        ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FileHugePages", 0),
        ("FilePmdMapped", 0),
        ("Hugepagesize", 2 << 20),
        ("Hugetlb", 0),
        ("DirectMap4k", 0),
        ("DirectMap2M", total),
    ];
    let mut text = String::new();
    for (name, bytes) in rows {
        if name == "Hugepagesize" {
            for counted in ["Total", "Free", "Rsvd", "Surp"] {
                text += &format!("{:<16}{:>8}\n", format!("HugePages_{counted}:"), 0);
            }
        }
        text += &format!("{:<16}{:>8} kB\n", format!("{name}:"), bytes >> 10);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_lines_that_linux_has_in_their_order() {
        let host = std::fs::read_to_string("/proc/meminfo").unwrap();
        let ours = format(24_684_092 << 10, 1 << 30);
        let keys = |text: &str| -> Vec<(String, bool)> {
            let key = |line: &str| {
                (line.split(':').next().unwrap_or_default().to_owned(), line.ends_with(" kB"))
            };
            text.lines().map(key).collect()
        };
        let (host_keys, our_keys) = (keys(&host), keys(&ours));
        let known: Vec<_> = our_keys.iter().filter(|key| host_keys.contains(key)).collect();
        let wanted: Vec<_> = host_keys.iter().filter(|key| our_keys.contains(key)).collect();
        assert_eq!(known, wanted);
        assert!(known.len() > 40);
        assert!(ours.contains("MemTotal:       24684092 kB\n"), "{ours}");
        assert!(ours.contains("MemFree:        23635516 kB\n"), "{ours}");
    }

    #[test]
    fn more_used_than_there_is_leaves_nothing_free() {
        assert!(format(1 << 20, 2 << 20).contains("MemFree:               0 kB\n"));
    }
}
