//! /proc: fixed files, and a directory for each process.

use crate::node::Flavor;
use crate::node::dir::Directory;
use crate::node::intern::Interned;
use crate::node::tree::StaticDir;
use crate::pid::{self, Subject};
use crate::proc::Proc;
use abi::file::FileType;
use abi::{Errno, SysResult};
use kernel::Pid;
use kernel::process::INIT;
use std::sync::Arc;
use vfs::{Attr, DirEntry, DirSink, InodeRef};

/// The position of process 0; those of fixed files are below.
const PIDS: u64 = 256;

/// The root directory.
pub(crate) struct Root {
    proc: Arc<Proc>,
    fixed: StaticDir,
    ino: u64,
    /// By id, and the address of the process: an inode keeps that from being used again.
    held: Interned<(Pid, usize)>,
}

impl Root {
    pub fn new(proc: Arc<Proc>, fixed: StaticDir, ino: u64) -> Root {
        debug_assert!(fixed.end() <= PIDS);
        Root { proc, fixed, ino, held: Interned::default() }
    }
}

/// A process id as a name: decimal, without leading zeros.
pub(crate) fn parse_pid(name: &[u8]) -> SysResult<Pid> {
    let text = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
    let plain =
        text.bytes().all(|b| b.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
    if plain { text.parse().map_err(|_| Errno::ENOENT) } else { Err(Errno::ENOENT) }
}

impl Directory for Root {
    fn flavor(&self) -> Flavor {
        self.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        let processes = match self.proc.kernel() {
            Ok(kernel) => kernel.processes.lock().iter().count() as u32,
            Err(_) => 0,
        };
        let attr = self.proc.flavor.attr(FileType::Directory, 0o555, self.ino);
        Ok(Attr { nlink: 2 + self.fixed.subdirs() + processes, ..attr })
    }

    fn parent_ino(&self) -> u64 {
        self.ino
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        if !name.first().is_some_and(u8::is_ascii_digit) {
            return self.fixed.lookup(name);
        }
        let tid = parse_pid(name)?;
        let kernel = self.proc.kernel().map_err(|_| Errno::ENOENT)?;
        // The id of any thread will do, although only those of processes are listed.
        let group = {
            let table = kernel.processes.lock();
            let process = table.process(tid).filter(|_| tid != INIT).map(|p| p.group.clone());
            process.or_else(|| table.task(tid).map(|task| task.group().clone()))
        };
        let group = group.ok_or(Errno::ENOENT)?;
        let key = (tid, Arc::as_ptr(&group) as usize);
        Ok(self
            .held
            .get(key, || pid::process_dir(Subject::new(&self.proc, &group, tid, true), self.ino)))
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        if !self.fixed.list_until_full(pos, sink) {
            return Ok(());
        }
        let Ok(kernel) = self.proc.kernel() else { return Ok(()) };
        let first = i32::try_from(pos.saturating_sub(PIDS)).unwrap_or(Pid::MAX).max(INIT + 1);
        let pids: Vec<Pid> = {
            let table = kernel.processes.lock();
            table.iter().map(|p| p.group.pid()).filter(|pid| *pid >= first).collect()
        };
        for pid in pids {
            let name = pid.to_string();
            let entry = DirEntry {
                ino: pid::dir_ino(pid, true),
                next: PIDS + pid as u64 + 1,
                kind: FileType::Directory,
                name: name.as_bytes(),
            };
            if !sink(entry) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_are_plain_numbers() {
        assert_eq!(parse_pid(b"17"), Ok(17));
        for name in [&b"017"[..], b"+1", b"1x", b"99999999999", b"", b"\xff"] {
            assert_eq!(parse_pid(name), Err(Errno::ENOENT), "{name:?}");
        }
    }
}
