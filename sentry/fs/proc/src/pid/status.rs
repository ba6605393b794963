//! status: what stat has, and more, for people.

use super::Live;
use super::stat::program_text;
use super::subject::State;
use crate::top::cpus;
use abi::SysResult;
use kernel::Resource;
use kernel::schedule::CpuSet;
use mm::{ImageLayout, Usage};
use std::fmt::Write;
use std::sync::Arc;
use vfs::Credentials;

/// What `status` shows.
struct Status {
    name: Vec<u8>,
    state: State,
    tgid: i32,
    pid: i32,
    ppid: i32,
    pgid: i32,
    sid: i32,
    threads: usize,
    uid: u32,
    cpus: u32,
    /// Where it may run.
    allowed: CpuSet,
    waits: u64,
    /// The most memory that was resident, as far as known.
    max_resident: u64,
    sigq_limit: u64,
    /// Ignored and caught signals.
    actions: (u64, u64),
    /// What a task that has not ended has.
    task: Option<TaskStatus>,
}

struct TaskStatus {
    umask: u32,
    cred: Arc<Credentials>,
    fd_size: usize,
    usage: Usage,
    layout: ImageLayout,
    /// Pending for the thread, for the process, and blocked.
    signals: (u64, u64, u64),
}

pub(super) fn status(live: &Live) -> SysResult<Vec<u8>> {
    let (ignored, caught) = live.group.actions().sets();
    let task = live.task.as_ref().map(|task| {
        let mm = task.mm();
        let (own, shared) = task.pending_signals();
        TaskStatus {
            umask: task.fs().umask(),
            cred: task.cred(),
            fd_size: task.files().list().last().map_or(0, |(fd, ..)| fd.0 as usize + 1),
            usage: mm.usage(),
            layout: mm.layout(),
            signals: (own.0, shared.0, task.signal_mask().0),
        }
    });
    let status = Status {
        name: live.comm(),
        state: live.state(),
        tgid: live.group.pid(),
        pid: live.tid,
        ppid: live.parent,
        pgid: live.pgid,
        sid: live.sid,
        threads: live.threads,
        uid: live.uid(),
        cpus: live.kernel.cpus(),
        allowed: live
            .task
            .as_ref()
            .map_or(CpuSet::first(live.kernel.cpus()), |task| task.scheduling().cpus),
        waits: live.task.as_ref().map_or(0, |task| task.usage().waits),
        max_resident: live.group.max_resident(),
        sigq_limit: live.group.limits().get(Resource::Sigpending).cur,
        actions: (ignored.0, caught.0),
        task,
    };
    Ok(status.format())
}

impl Status {
    fn format(&self) -> Vec<u8> {
        let mut text = b"Name:\t".to_vec();
        text.extend(escape_name(&self.name));
        let mut rest = String::from("\n");
        // Writing to a string does not fail.
        let _ = self.format_ids(&mut rest);
        if let Some(task) = &self.task {
            let _ = task.format_memory(self.max_resident, &mut rest);
        }
        let _ = self.format_rest(&mut rest);
        text.extend_from_slice(rest.as_bytes());
        text
    }

    fn format_ids(&self, out: &mut String) -> std::fmt::Result {
        let Status { tgid, pid, ppid, pgid, sid, uid, .. } = self;
        if let Some(task) = &self.task {
            writeln!(out, "Umask:\t{:04o}", task.umask)?;
        }
        writeln!(out, "State:\t{} ({})", self.state.letter(), self.state.word())?;
        writeln!(out, "Tgid:\t{tgid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t{ppid}\nTracerPid:\t0")?;
        let (uids, gids, groups) = match &self.task {
            Some(task) => {
                let c = &task.cred;
                let groups = c.groups.iter().map(|gid| format!("{gid} ")).collect();
                let gids = [c.gid, c.egid, c.sgid, c.fsgid];
                ([c.uid, c.euid, c.suid, c.fsuid], gids, groups)
            }
            None => ([*uid; 4], [*uid; 4], String::new()),
        };
        for (name, [real, effective, saved, fs]) in [("Uid", uids), ("Gid", gids)] {
            writeln!(out, "{name}:\t{real}\t{effective}\t{saved}\t{fs}")?;
        }
        let fd_size = self.task.as_ref().map_or(0, |task| task.fd_size.next_power_of_two().max(64));
        let groups = if groups.is_empty() { " ".to_owned() } else { groups };
        writeln!(out, "FDSize:\t{fd_size}\nGroups:\t{groups}")?;
        writeln!(out, "NStgid:\t{tgid}\nNSpid:\t{pid}\nNSpgid:\t{pgid}\nNSsid:\t{sid}\nKthread:\t0")
    }

    fn format_rest(&self, out: &mut String) -> std::fmt::Result {
        let (own, shared, blocked) = self.task.as_ref().map_or((0, 0, 0), |task| task.signals);
        let queued = own.count_ones() + shared.count_ones();
        writeln!(out, "Threads:\t{}\nSigQ:\t{queued}/{}", self.threads, self.sigq_limit)?;
        let mut sets = vec![("SigPnd", own), ("ShdPnd", shared), ("SigBlk", blocked)];
        sets.extend([("SigIgn", self.actions.0), ("SigCgt", self.actions.1)]);
        let cred = self.task.as_ref().map(|task| &task.cred);
        let caps = |which: fn(&Credentials) -> vfs::cred::Caps| cred.map_or(0, |c| which(c).0);
        sets.extend([
            ("CapInh", caps(|c| c.inheritable)),
            ("CapPrm", caps(|c| c.permitted)),
            ("CapEff", caps(|c| c.effective)),
            ("CapBnd", caps(|c| c.bounding)),
            ("CapAmb", caps(|c| c.ambient)),
        ]);
        for (name, set) in sets {
            writeln!(out, "{name}:\t{set:016x}")?;
        }
        let no_new_privs = u32::from(cred.is_some_and(|cred| cred.no_new_privs));
        writeln!(out, "NoNewPrivs:\t{no_new_privs}\nSeccomp:\t0\nSeccomp_filters:\t0")?;
        writeln!(out, "Speculation_Store_Bypass:\tvulnerable")?;
        writeln!(out, "SpeculationIndirectBranch:\tconditional enabled")?;
        writeln!(out, "Cpus_allowed:\t{}", cpus::mask_of_set(&self.allowed, self.cpus))?;
        writeln!(out, "Cpus_allowed_list:\t{}", cpus::list_of_set(&self.allowed))?;
        writeln!(out, "Mems_allowed:\t1\nMems_allowed_list:\t0")?;
        writeln!(out, "voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t0", self.waits)
    }
}

impl TaskStatus {
    fn format_memory(&self, max_resident: u64, out: &mut String) -> std::fmt::Result {
        let u = &self.usage;
        let exe = program_text(&self.layout).min(u.text);
        let file = u.shared.min(u.resident_bytes);
        // The peak of all memory is not recorded, that of resident memory where it was noted.
        let sizes = [
            ("VmPeak", u.virtual_bytes),
            ("VmSize", u.virtual_bytes),
            ("VmLck", u.locked),
            ("VmPin", 0),
            ("VmHWM", u.resident_bytes.max(max_resident)),
            ("VmRSS", u.resident_bytes),
            ("RssAnon", u.resident_bytes - file),
            ("RssFile", file),
            ("RssShmem", 0),
            ("VmData", u.data),
            ("VmStk", u.stack),
            ("VmExe", exe),
            ("VmLib", u.text - exe),
            ("VmPTE", page_tables(u.resident_bytes)),
            ("VmSwap", 0),
            ("HugetlbPages", 0),
        ];
        for (name, bytes) in sizes {
            writeln!(out, "{name}:\t{:>8} kB", bytes >> 10)?;
        }
        writeln!(out, "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff")
    }
}

/// What page tables for so much memory take, if it lies together.
fn page_tables(resident: u64) -> u64 {
    (resident.div_ceil(2 << 20) + 3) * abi::PAGE_SIZE
}

/// Newlines and backslashes escaped, so that a name cannot forge a field.
pub(super) fn escape_name(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'\n' => escaped.extend_from_slice(b"\\n"),
            b'\\' => escaped.extend_from_slice(b"\\\\"),
            other => escaped.push(*other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let task = TaskStatus {
            umask: 0o22,
            cred: Arc::new(Credentials::new(5, 6, &[7, 8])),
            fd_size: 3,
            usage: Usage { virtual_bytes: 3060 << 10, ..Usage::default() },
            layout: ImageLayout::default(),
            signals: (1, 2, 4),
        };
        Status {
            name: b"a\nb".to_vec(),
            state: State::Running,
            tgid: 1,
            pid: 2,
            ppid: 3,
            pgid: 4,
            sid: 5,
            threads: 1,
            uid: 5,
            cpus: 2,
            allowed: CpuSet::first(2),
            waits: 3,
            max_resident: 0,
            sigq_limit: 9,
            actions: (8, 16),
            task: Some(task),
        }
    }

    fn names(text: &str) -> Vec<&str> {
        text.lines().map(|line| line.split_once(':').unwrap().0).collect()
    }

    #[test]
    fn has_the_fields_that_linux_has_in_their_order() {
        let ours = String::from_utf8(status().format()).unwrap();
        let host = std::fs::read_to_string("/proc/self/status").unwrap();
        let host = names(&host);
        let known: Vec<&str> = names(&ours).into_iter().filter(|n| host.contains(n)).collect();
        let wanted: Vec<&str> = host.into_iter().filter(|n| known.contains(n)).collect();
        assert_eq!(known, wanted);
        assert!(known.len() > 50, "{known:?}");
    }

    #[test]
    fn lines_look_as_linux_writes_them() {
        let text = String::from_utf8(status().format()).unwrap();
        for line in [
            "Name:\ta\\nb",
            "Umask:\t0022",
            "State:\tR (running)",
            "Uid:\t5\t5\t5\t5",
            "Groups:\t7 8 ",
            "VmSize:\t    3060 kB",
            "SigQ:\t2/9",
            "SigIgn:\t0000000000000008",
            "Cpus_allowed:\t3",
            "Cpus_allowed_list:\t0-1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} is not in {text}");
        }
    }

    #[test]
    fn a_zombie_has_no_memory() {
        let zombie = Status { state: State::Zombie, task: None, ..status() };
        let text = String::from_utf8(zombie.format()).unwrap();
        assert!(text.contains("State:\tZ (zombie)\n"));
        assert!(!text.contains("Vm"));
    }
}
