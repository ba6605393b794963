//! The fixed files of /proc.

mod cpuinfo;
pub(crate) mod cpus;
mod lists;
pub(crate) mod load;
mod meminfo;
mod stat;
mod vmstat;

use crate::node::tree::{Entries, Entry, entries};
use crate::proc::Proc;
use crate::sys;
use abi::{Errno, SysResult};
use kernel::version;

/// Lines of lists that are empty, or the same for everybody.
fn fixed(text: &'static str) -> Entry<Proc> {
    Entry::Fixed(text.into())
}

fn text(generate: fn(&Proc) -> SysResult<Vec<u8>>) -> Entry<Proc> {
    Entry::Text(0o444, generate)
}

/// The table. "self" and "thread-self" come first, as in Linux.
pub(crate) fn table() -> Entries<Proc> {
    entries([
        ("self", Entry::DynamicLink(self_link)),
        ("thread-self", Entry::DynamicLink(thread_self_link)),
        ("bus", Entry::Dir(Vec::new())),
        ("cgroups", fixed("#subsys_name\thierarchy\tnum_cgroups\tenabled\n")),
        ("cmdline", fixed("\n")),
        ("consoles", fixed("")),
        ("cpuinfo", text(cpuinfo::cpuinfo)),
        ("crypto", fixed("")),
        ("devices", fixed(lists::DEVICES)),
        ("diskstats", fixed("")),
        ("driver", Entry::Dir(Vec::new())),
        ("execdomains", fixed("0-0\tLinux           \t[kernel]\n")),
        ("filesystems", fixed(lists::FILESYSTEMS)),
        ("fs", Entry::Dir(Vec::new())),
        ("interrupts", text(lists::interrupts)),
        ("loadavg", text(load::loadavg)),
        ("locks", fixed("")),
        ("meminfo", text(meminfo::meminfo)),
        ("misc", fixed("")),
        ("modules", fixed("")),
        ("mounts", Entry::Link("self/mounts".into())),
        ("net", Entry::Link("self/net".into())),
        ("partitions", fixed("major minor  #blocks  name\n\n")),
        ("softirqs", text(lists::softirqs)),
        ("stat", text(stat::stat)),
        ("swaps", fixed("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")),
        ("sys", Entry::Dir(sys::table())),
        ("sysvipc", Entry::Dir(sysvipc())),
        ("tty", Entry::Dir(tty())),
        ("uptime", text(stat::uptime)),
        ("version", text(version)),
        ("vmstat", text(vmstat::vmstat)),
    ])
}

fn sysvipc() -> Entries<Proc> {
    entries([
        ("msg", text(|proc| Ok(proc.kernel()?.ipc.msg.proc_table().into_bytes()))),
        ("sem", text(|proc| Ok(proc.kernel()?.ipc.sem.proc_table().into_bytes()))),
        ("shm", text(|proc| Ok(proc.kernel()?.ipc.shm.proc_table().into_bytes()))),
    ])
}

fn tty() -> Entries<Proc> {
    entries([
        ("drivers", fixed(lists::TTY_DRIVERS)),
        ("ldisc", Entry::Dir(Vec::new())),
        ("ldiscs", fixed("n_tty       0\n")),
    ])
}

/// The caller's process.
fn self_link(_: &Proc) -> SysResult<Vec<u8>> {
    let caller = kernel::current().ok_or(Errno::ENOENT)?;
    Ok(caller.group().pid().to_string().into_bytes())
}

fn thread_self_link(_: &Proc) -> SysResult<Vec<u8>> {
    let caller = kernel::current().ok_or(Errno::ENOENT)?;
    Ok(format!("{}/task/{}", caller.group().pid(), caller.tid()).into_bytes())
}

fn version(_: &Proc) -> SysResult<Vec<u8>> {
    let (name, release, version) = (version::SYSNAME, version::RELEASE, version::VERSION);
    Ok(format!("{name} version {release} (runsc-rs@sandbox) (rustc) {version}\n").into_bytes())
}
