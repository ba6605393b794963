//! /proc/sys: sysctl(8).
//!
//! What can be set is what has an effect: the names of uname(2). Everything else is a setting that
//! nobody can change (EROFS, as in a container).

use crate::node::tree::{Entries, Entry, entries, settings};
use crate::proc::Proc;
use abi::{Errno, SysResult};
use kernel::process::PID_MAX;
use kernel::version;
use vfs::cred::Caps;

/// The longest name of uname(2).
const MAX_NAME: usize = 64;

/// The table.
pub(crate) fn table() -> Entries<Proc> {
    entries([
        ("abi", Entry::Dir(Vec::new())),
        ("debug", Entry::Dir(Vec::new())),
        ("dev", Entry::Dir(Vec::new())),
        ("fs", Entry::Dir(fs())),
        ("kernel", Entry::Dir(kernel())),
        ("net", Entry::Dir(net())),
        ("user", Entry::Dir(settings(USER))),
        ("vm", Entry::Dir(settings(VM))),
    ])
}

fn kernel() -> Entries<Proc> {
    let mut list = entries([
        ("hostname", Entry::Stored(hostname, set_hostname)),
        ("domainname", Entry::Stored(domainname, set_domainname)),
        ("osrelease", Entry::Fixed(format!("{}\n", version::RELEASE).into())),
        ("ostype", Entry::Fixed(format!("{}\n", version::SYSNAME).into())),
        ("version", Entry::Fixed(format!("{}\n", version::VERSION).into())),
        ("arch", Entry::Fixed(format!("{}\n", version::MACHINE).into())),
        ("cap_last_cap", Entry::Fixed(format!("{}\n", Caps::LAST).into())),
        ("ngroups_max", Entry::Fixed("65536\n".into())),
        ("pid_max", Entry::Setting(format!("{PID_MAX}\n").into())),
        ("ns_last_pid", Entry::Text(0o444, ns_last_pid)),
        ("random", Entry::Dir(random())),
        ("pty", Entry::Dir(settings(&[("max", "4096"), ("nr", "0"), ("reserve", "1024")]))),
        ("keys", Entry::Dir(settings(&[("maxbytes", "20000"), ("maxkeys", "200")]))),
        ("seccomp", Entry::Dir(settings(&[("actions_avail", SECCOMP_ACTIONS)]))),
    ]);
    list.extend(settings(KERNEL));
    list
}

const SECCOMP_ACTIONS: &str = "kill_process kill_thread trap errno user_notif trace log allow";

const KERNEL: &[(&str, &str)] = &[
    ("acct", "4\t2\t30"),
    ("core_pattern", "core"),
    ("core_pipe_limit", "0"),
    ("core_uses_pid", "0"),
    ("ctrl-alt-del", "0"),
    ("dmesg_restrict", "1"),
    ("io_uring_disabled", "2"),
    ("kptr_restrict", "1"),
    ("modprobe", "/sbin/modprobe"),
    ("modules_disabled", "1"),
    ("msgmax", "8192"),
    ("msgmnb", "16384"),
    ("msgmni", "32000"),
    ("overflowgid", "65534"),
    ("overflowuid", "65534"),
    ("panic", "0"),
    ("panic_on_oops", "0"),
    ("perf_event_max_sample_rate", "100000"),
    ("perf_event_mlock_kb", "516"),
    ("perf_event_paranoid", "4"),
    ("printk", "4\t4\t1\t7"),
    ("randomize_va_space", "2"),
    ("sched_autogroup_enabled", "0"),
    ("sched_rr_timeslice_ms", "100"),
    ("sched_rt_period_us", "1000000"),
    ("sched_rt_runtime_us", "950000"),
    ("sem", "32000\t1048576\t500\t32000"),
    ("shm_rmid_forced", "0"),
    ("shmall", "18446744073692774399"),
    ("shmmax", "18446744073692774399"),
    ("shmmni", "4096"),
    ("sysrq", "0"),
    ("tainted", "0"),
    ("threads-max", "16384"),
    ("unprivileged_bpf_disabled", "2"),
];

const VM: &[(&str, &str)] = &[
    ("admin_reserve_kbytes", "8192"),
    ("dirty_background_bytes", "0"),
    ("dirty_background_ratio", "10"),
    ("dirty_bytes", "0"),
    ("dirty_expire_centisecs", "3000"),
    ("dirty_ratio", "20"),
    ("dirty_writeback_centisecs", "500"),
    ("legacy_va_layout", "0"),
    ("max_map_count", "65530"),
    ("memfd_noexec", "0"),
    ("min_free_kbytes", "67584"),
    ("mmap_min_addr", "65536"),
    ("nr_hugepages", "0"),
    ("nr_overcommit_hugepages", "0"),
    ("oom_dump_tasks", "1"),
    ("oom_kill_allocating_task", "0"),
    ("overcommit_kbytes", "0"),
    ("overcommit_memory", "0"),
    ("overcommit_ratio", "50"),
    ("page-cluster", "3"),
    ("panic_on_oom", "0"),
    ("swappiness", "60"),
    ("unprivileged_userfaultfd", "0"),
    ("user_reserve_kbytes", "131072"),
    ("vfs_cache_pressure", "100"),
    ("zone_reclaim_mode", "0"),
];

/// Namespaces cannot be made.
const USER: &[(&str, &str)] = &[
    ("max_cgroup_namespaces", "0"),
    ("max_inotify_instances", "128"),
    ("max_inotify_watches", "65536"),
    ("max_ipc_namespaces", "0"),
    ("max_mnt_namespaces", "0"),
    ("max_net_namespaces", "0"),
    ("max_pid_namespaces", "0"),
    ("max_time_namespaces", "0"),
    ("max_user_namespaces", "0"),
    ("max_uts_namespaces", "0"),
];

fn fs() -> Entries<Proc> {
    let mut list = entries([
        ("epoll", Entry::Dir(settings(&[("max_user_watches", "1048576")]))),
        (
            "inotify",
            Entry::Dir(settings(&[
                ("max_queued_events", "16384"),
                ("max_user_instances", "128"),
                ("max_user_watches", "65536"),
            ])),
        ),
        (
            "mqueue",
            Entry::Dir(settings(&[
                ("msg_default", "10"),
                ("msg_max", "10"),
                ("msgsize_default", "8192"),
                ("msgsize_max", "8192"),
                ("queues_max", "256"),
            ])),
        ),
    ]);
    list.extend(settings(FS));
    list
}

const FS: &[(&str, &str)] = &[
    ("aio-max-nr", "65536"),
    ("aio-nr", "0"),
    ("dentry-state", "0\t0\t45\t0\t0\t0"),
    ("dir-notify-enable", "1"),
    ("file-max", "9223372036854775807"),
    ("file-nr", "0\t0\t9223372036854775807"),
    ("inode-nr", "0\t0"),
    ("inode-state", "0\t0\t0\t0\t0\t0\t0"),
    ("lease-break-time", "45"),
    ("leases-enable", "1"),
    ("mount-max", "100000"),
    ("nr_open", "1048576"),
    ("overflowgid", "65534"),
    ("overflowuid", "65534"),
    ("pipe-max-size", "1048576"),
    ("pipe-user-pages-hard", "0"),
    ("pipe-user-pages-soft", "16384"),
    ("protected_fifos", "0"),
    ("protected_hardlinks", "0"),
    ("protected_regular", "0"),
    ("protected_symlinks", "0"),
    ("suid_dumpable", "0"),
];

fn net() -> Entries<Proc> {
    entries([
        ("core", Entry::Dir(settings(NET_CORE))),
        ("ipv4", Entry::Dir(settings(NET_IPV4))),
        (
            "ipv6",
            Entry::Dir(entries([(
                "conf",
                Entry::Dir(entries([
                    ("all", Entry::Dir(settings(&[("disable_ipv6", "0")]))),
                    ("default", Entry::Dir(settings(&[("disable_ipv6", "0")]))),
                    ("lo", Entry::Dir(settings(&[("disable_ipv6", "0")]))),
                ])),
            )])),
        ),
        ("unix", Entry::Dir(settings(&[("max_dgram_qlen", "10")]))),
    ])
}

const NET_CORE: &[(&str, &str)] = &[
    ("default_qdisc", "pfifo_fast"),
    ("netdev_max_backlog", "1000"),
    ("optmem_max", "131072"),
    ("rmem_default", "212992"),
    ("rmem_max", "212992"),
    ("somaxconn", "4096"),
    ("wmem_default", "212992"),
    ("wmem_max", "212992"),
];

const NET_IPV4: &[(&str, &str)] = &[
    ("icmp_echo_ignore_all", "0"),
    ("ip_default_ttl", "64"),
    ("ip_forward", "0"),
    ("ip_local_port_range", "32768\t60999"),
    ("ip_local_reserved_ports", ""),
    ("ip_nonlocal_bind", "0"),
    ("ip_unprivileged_port_start", "1024"),
    ("ping_group_range", "1\t0"),
    ("tcp_allowed_congestion_control", "reno cubic"),
    ("tcp_available_congestion_control", "reno cubic"),
    ("tcp_congestion_control", "cubic"),
    ("tcp_ecn", "2"),
    ("tcp_fastopen", "0"),
    ("tcp_fin_timeout", "60"),
    ("tcp_keepalive_intvl", "75"),
    ("tcp_keepalive_probes", "9"),
    ("tcp_keepalive_time", "7200"),
    ("tcp_max_syn_backlog", "2048"),
    ("tcp_mem", "287901\t383868\t575802"),
    ("tcp_moderate_rcvbuf", "1"),
    ("tcp_retries1", "3"),
    ("tcp_retries2", "15"),
    ("tcp_rmem", "4096\t131072\t6291456"),
    ("tcp_sack", "1"),
    ("tcp_slow_start_after_idle", "1"),
    ("tcp_syn_retries", "6"),
    ("tcp_synack_retries", "5"),
    ("tcp_syncookies", "0"),
    ("tcp_timestamps", "1"),
    ("tcp_tw_reuse", "2"),
    ("tcp_window_scaling", "1"),
    ("tcp_wmem", "4096\t16384\t4194304"),
];

fn random() -> Entries<Proc> {
    entries([
        ("boot_id", Entry::Text(0o444, |proc| Ok(format!("{}\n", proc.boot_id).into_bytes()))),
        ("entropy_avail", Entry::Fixed("256\n".into())),
        ("poolsize", Entry::Fixed("256\n".into())),
        ("urandom_min_reseed_secs", Entry::Setting("60\n".into())),
        ("uuid", Entry::Text(0o444, |_| Ok(format!("{}\n", random_uuid()).into_bytes()))),
        ("write_wakeup_threshold", Entry::Setting("256\n".into())),
    ])
}

/// A random UUID (version 4).
pub(crate) fn random_uuid() -> String {
    let mut bytes = [0u8; 16];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format_uuid(bytes)
}

fn format_uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn ns_last_pid(proc: &Proc) -> SysResult<Vec<u8>> {
    Ok(format!("{}\n", proc.kernel()?.processes.lock().last_pid()).into_bytes())
}

fn line(mut text: Vec<u8>) -> Vec<u8> {
    text.push(b'\n');
    text
}

fn hostname(proc: &Proc) -> SysResult<Vec<u8>> {
    Ok(line(proc.kernel()?.uts.read().nodename.clone()))
}

fn set_hostname(proc: &Proc, data: &[u8]) -> SysResult<()> {
    let name = new_name(data)?;
    proc.kernel()?.uts.write().nodename = name;
    Ok(())
}

fn domainname(proc: &Proc) -> SysResult<Vec<u8>> {
    Ok(line(proc.kernel()?.uts.read().domainname.clone()))
}

fn set_domainname(proc: &Proc, data: &[u8]) -> SysResult<()> {
    let name = new_name(data)?;
    proc.kernel()?.uts.write().domainname = name;
    Ok(())
}

/// The name that the current task writes, if it may. EPERM.
fn new_name(data: &[u8]) -> SysResult<Vec<u8>> {
    let privileged = kernel::current().is_none_or(|task| task.cred().has_cap(Caps::SYS_ADMIN));
    if privileged { Ok(parse_name(data).to_vec()) } else { Err(Errno::EPERM) }
}

/// Up to the end of the line, and no longer than a name can be.
fn parse_name(data: &[u8]) -> &[u8] {
    let end = data.iter().position(|b| *b == b'\n' || *b == 0).unwrap_or(data.len());
    &data[..end.min(MAX_NAME)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_say_that_they_are_random() {
        let uuid = format_uuid([0xff; 16]);
        assert_eq!(uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(random_uuid(), random_uuid());
        assert_eq!(random_uuid().len(), 36);
    }

    #[test]
    fn names_end_with_the_line() {
        assert_eq!(parse_name(b"host\nmore"), b"host");
        assert_eq!(parse_name(&[b'x'; 100]).len(), 64);
        assert_eq!(parse_name(b""), b"");
    }

    /// Where the host has the same setting, it has as many values.
    #[test]
    fn settings_have_the_shape_of_the_hosts() {
        let tables = [
            ("kernel", KERNEL),
            ("vm", VM),
            ("fs", FS),
            ("net/core", NET_CORE),
            ("net/ipv4", NET_IPV4),
        ];
        let mut compared = 0;
        for (dir, table) in tables {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0), "{dir} is not in order");
            for (name, value) in table {
                let host = std::fs::read_to_string(format!("/proc/sys/{dir}/{name}"));
                let Ok(host) = host else { continue };
                let words = |text: &str| text.trim_end().split('\t').count();
                assert_eq!(words(value), words(&host), "{dir}/{name}: {host}");
                compared += 1;
            }
        }
        assert!(compared > 60, "{compared}");
    }
}
