//! vmstat: counters of the memory manager, nearly all of which are 0 here.

use crate::proc::Proc;
use abi::{PAGE_SIZE, SysResult};

pub(super) fn vmstat(proc: &Proc) -> SysResult<Vec<u8>> {
    let kernel = proc.kernel()?;
    let (total, used) = (kernel.memory_limit(), kernel.memory_file().used_bytes());
    Ok(format(total.saturating_sub(used) / PAGE_SIZE, used / PAGE_SIZE).into_bytes())
}

/// In the kernel's order; the ones that programs look at.
const NAMES: &[&str] = &[
    "nr_free_pages",
    "nr_zone_inactive_anon",
    "nr_zone_active_anon",
    "nr_zone_inactive_file",
    "nr_zone_active_file",
    "nr_zone_unevictable",
    "nr_zone_write_pending",
    "nr_mlock",
    "nr_inactive_anon",
    "nr_active_anon",
    "nr_inactive_file",
    "nr_active_file",
    "nr_unevictable",
    "nr_slab_reclaimable",
    "nr_slab_unreclaimable",
    "nr_anon_pages",
    "nr_mapped",
    "nr_file_pages",
    "nr_dirty",
    "nr_writeback",
    "nr_shmem",
    "nr_kernel_stack",
    "nr_page_table_pages",
    "pgpgin",
    "pgpgout",
    "pswpin",
    "pswpout",
    "pgfree",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pgmajfault",
    "pgsteal_kswapd",
    "pgsteal_direct",
    "pgscan_kswapd",
    "pgscan_direct",
    "oom_kill",
    "thp_fault_alloc",
    "thp_collapse_alloc",
];

fn format(free: u64, used: u64) -> String {
    let value = |name: &str| match name {
        "nr_free_pages" => free,
        "nr_zone_active_anon" | "nr_active_anon" | "nr_anon_pages" => used,
        _ => 0,
    };
    NAMES.iter().map(|name| format!("{name} {}\n", value(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_linuxs_own_in_their_order() {
        let host = std::fs::read_to_string("/proc/vmstat").unwrap();
        let host: Vec<&str> = host.lines().filter_map(|line| line.split(' ').next()).collect();
        let known: Vec<_> = NAMES.iter().filter(|name| host.contains(name)).collect();
        let wanted: Vec<_> = host.iter().filter(|name| NAMES.contains(name)).collect();
        assert_eq!(known, wanted);
        assert!(format(7, 9).starts_with("nr_free_pages 7\n"));
    }
}
