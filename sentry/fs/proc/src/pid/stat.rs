//! stat and statm: what ps(1) and top(1) read most.

use super::{Live, access};
use abi::{PAGE_SIZE, SysResult};
use kernel::time::NANOS_PER_TICK;
use kernel::{Resource, Terminal};
use mm::{ImageLayout, Usage};

/// The fields of `stat` that are not always the same; proc_pid_stat(5) describes them.
#[derive(Clone, Debug, Default)]
struct Stat {
    pid: i32,
    comm: Vec<u8>,
    state: char,
    ppid: i32,
    pgrp: i32,
    session: i32,
    tty_nr: i32,
    tpgid: i32,
    flags: u32,
    faults: u64,
    child_faults: u64,
    utime: u64,
    stime: u64,
    cutime: u64,
    cstime: u64,
    threads: usize,
    start: u64,
    usage: Usage,
    rsslim: u64,
    /// None where the reader may not look into the process.
    layout: Option<ImageLayout>,
    signal: u64,
    blocked: u64,
    ignored: u64,
    caught: u64,
    nice: i32,
    policy: i32,
    exit_signal: i32,
    exit_code: i32,
}

/// PF_RANDOMIZE: all a process of ours has of the kernel's own flags.
const PF_RANDOMIZE: u32 = 0x0040_0000;
/// PF_EXITING.
const PF_EXITING: u32 = 0x0000_0004;

/// The signals a 32-bit mask can name: `stat` is older than real-time signals.
const OLD_SIGNALS: u64 = 0x7fff_ffff;

pub(super) fn stat(live: &Live) -> SysResult<Vec<u8>> {
    let may_inspect = access::check(live).is_ok();
    let (user, system) = live.times();
    let (child_user, child_system) = match live.whole {
        true => live.group.children_times(),
        false => (0, 0),
    };
    let terminal = live.tty.as_deref();
    let mut stat = Stat {
        pid: live.tid,
        comm: live.comm(),
        state: live.state().letter(),
        ppid: live.parent,
        pgrp: live.pgid,
        session: live.sid,
        tty_nr: terminal.map_or(0, |terminal| {
            tty_nr(abi::stat::major(terminal.rdev()), abi::stat::minor(terminal.rdev()))
        }),
        tpgid: terminal.map_or(-1, Terminal::foreground),
        flags: if live.task.is_some() { PF_RANDOMIZE } else { PF_RANDOMIZE | PF_EXITING },
        utime: user / NANOS_PER_TICK,
        stime: system / NANOS_PER_TICK,
        cutime: child_user / NANOS_PER_TICK,
        cstime: child_system / NANOS_PER_TICK,
        threads: live.threads,
        start: live.start_ticks(),
        rsslim: live.group.limits().get(Resource::Rss).cur,
        exit_signal: if live.whole { live.exit_signal } else { -1 },
        exit_code: live.ended.filter(|_| may_inspect).map_or(0, |status| status.to_user()),
        ..Stat::default()
    };
    let usage = live.resources();
    stat.faults = usage.faults;
    stat.child_faults = if live.whole { live.group.children_usage().faults } else { 0 };
    if let Some(task) = &live.task {
        let scheduling = task.scheduling();
        (stat.nice, stat.policy) = (scheduling.nice, scheduling.policy);
        let mm = task.mm();
        stat.usage = mm.usage();
        stat.layout = may_inspect.then(|| mm.layout());
        let (own, shared) = task.pending_signals();
        let (ignored, caught) = live.group.actions().sets();
        stat.signal = own.union(shared).0;
        stat.blocked = task.signal_mask().0;
        (stat.ignored, stat.caught) = (ignored.0, caught.0);
    }
    Ok(stat.format())
}

/// A device number in 32 bits, as `stat` has it (new_encode_dev in the kernel).
fn tty_nr(major: u32, minor: u32) -> i32 {
    (minor & 0xff | major << 8 | (minor & !0xff) << 12) as i32
}

impl Stat {
    fn format(&self) -> Vec<u8> {
        let mut text = format!("{} (", self.pid).into_bytes();
        text.extend_from_slice(&self.comm);
        text.extend_from_slice(self.format_rest().as_bytes());
        text
    }

    fn format_rest(&self) -> String {
        let Stat { state, ppid, pgrp, session, tty_nr, tpgid, flags, .. } = self;
        let Stat { faults, child_faults, nice, policy, .. } = self;
        let priority = nice + 20;
        let Stat { utime, stime, cutime, cstime, threads, start, rsslim, .. } = self;
        let (vsize, rss) = (self.usage.virtual_bytes, self.usage.resident_bytes / PAGE_SIZE);
        let at = self.layout.unwrap_or_default();
        // Hidden code addresses are shown as 1, so that tools do not think of a kernel thread.
        let (start_code, end_code) = match self.layout {
            Some(layout) => (layout.start_code, layout.end_code),
            None => (u64::from(vsize != 0), u64::from(vsize != 0)),
        };
        let old = |set: u64| set & OLD_SIGNALS;
        let (signal, blocked) = (old(self.signal), old(self.blocked));
        let (ignored, caught) = (old(self.ignored), old(self.caught));
        format!(
            ") {state} {ppid} {pgrp} {session} {tty_nr} {tpgid} {flags} {faults} {child_faults} 0 0 \
             {utime} {stime} {cutime} {cstime} {priority} {nice} {threads} 0 {start} {vsize} {rss} {rsslim} \
             {start_code} {end_code} {} 0 0 {signal} {blocked} {ignored} {caught} 0 0 0 \
             {} 0 0 {policy} 0 0 0 {} {} {} {} {} {} {} {}\n",
            at.start_stack,
            self.exit_signal,
            at.start_data,
            at.end_data,
            at.start_brk,
            at.arg_start,
            at.arg_end,
            at.env_start,
            at.env_end,
            self.exit_code,
        )
    }
}

/// Pages: total, resident, shared, text, 0, data and stack, 0.
pub(super) fn statm(live: &Live) -> SysResult<Vec<u8>> {
    let Some(mm) = live.mm() else { return Ok(b"0 0 0 0 0 0 0\n".to_vec()) };
    Ok(format_statm(&mm.usage(), program_text(&mm.layout())).into_bytes())
}

/// VmExe: the program's own code in whole pages, in bytes.
pub(super) fn program_text(layout: &ImageLayout) -> u64 {
    let start = layout.start_code / PAGE_SIZE * PAGE_SIZE;
    layout.end_code.saturating_sub(start).next_multiple_of(PAGE_SIZE)
}

fn format_statm(usage: &Usage, text: u64) -> String {
    let Usage { virtual_bytes, resident_bytes, shared, data, stack, .. } = *usage;
    let pages = [virtual_bytes, resident_bytes, shared, text, 0, data + stack, 0];
    let pages = pages.map(|bytes| (bytes / PAGE_SIZE).to_string());
    format!("{}\n", pages.join(" "))
}

/// Resident bytes, for the OOM score.
pub(super) fn resident(live: &Live) -> u64 {
    live.mm().map_or(0, |mm| mm.usage().resident_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields after the name.
    fn fields(text: &str) -> Vec<&str> {
        let (_, rest) = text.rsplit_once(") ").unwrap();
        rest.strip_suffix('\n').unwrap().split(' ').collect()
    }

    #[test]
    fn has_the_fields_that_linux_has() {
        let host = std::fs::read_to_string("/proc/self/stat").unwrap();
        let layout =
            ImageLayout { start_stack: 28, start_data: 45, env_end: 51, ..Default::default() };
        let ours = Stat {
            pid: 7,
            comm: b"a) b".to_vec(),
            state: 'S',
            ppid: 4,
            utime: 14,
            threads: 20,
            start: 22,
            usage: Usage { virtual_bytes: 23, resident_bytes: 24 * 4096, ..Usage::default() },
            layout: Some(layout),
            faults: 10,
            child_faults: 11,
            blocked: 32,
            policy: 41,
            exit_signal: 38,
            exit_code: 52,
            ..Stat::default()
        };
        let text = String::from_utf8(ours.format()).unwrap();
        assert!(text.starts_with("7 (a) b) S 4 "), "{text}");
        assert_eq!(fields(&text).len(), fields(&host).len());
        // Numbered as in proc_pid_stat(5), the first after the name being 3.
        for number in [4, 10, 11, 14, 20, 22, 23, 24, 28, 32, 38, 41, 45, 51, 52] {
            assert_eq!(fields(&text)[number - 3], number.to_string(), "field {number}: {text}");
        }
        assert_eq!((fields(&text)[18 - 3], fields(&text)[19 - 3]), ("20", "0"));
    }

    #[test]
    fn terminals_are_numbered_as_linux_does() {
        assert_eq!(tty_nr(136, 0), 34816);
        assert_eq!(tty_nr(5, 1), 1281);
        assert_eq!(tty_nr(136, 300), 136 << 8 | 44 | 1 << 20);
    }

    #[test]
    fn statm_counts_pages() {
        let usage = Usage {
            virtual_bytes: 40960,
            resident_bytes: 8192,
            shared: 4096,
            data: 12288,
            stack: 4096,
            ..Usage::default()
        };
        assert_eq!(format_statm(&usage, 20480), "10 2 1 5 0 4 0\n");
    }
}
