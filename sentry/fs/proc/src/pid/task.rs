//! task: the threads of a process.

use super::{Live, Subject, dir_ino, process_dir};
use crate::node::Flavor;
use crate::node::dir::{DirInode, Directory};
use crate::node::intern::Interned;
use crate::root::parse_pid;
use abi::file::FileType;
use abi::{Errno, SysResult};
use kernel::Pid;
use vfs::{Attr, DirEntry, DirSink, InodeRef};

/// The position of thread 0.
const TIDS: u64 = 16;

/// The directory.
pub(super) fn dir(subject: Subject, parent: u64, ino: u64) -> InodeRef {
    DirInode::make(TaskDir { subject, parent, ino, held: Interned::default() })
}

struct TaskDir {
    subject: Subject,
    parent: u64,
    ino: u64,
    held: Interned<Pid>,
}

/// The threads there are. The leader is there as long as the process is.
fn threads(live: &Live) -> Vec<Pid> {
    let table = live.kernel.processes.lock();
    let process = table.process(live.group.pid());
    let mut tids: Vec<Pid> = vec![live.group.pid()];
    tids.extend(process.iter().flat_map(|process| &process.tasks).map(|task| task.tid()));
    drop(table);
    tids.sort_unstable();
    tids.dedup();
    tids
}

impl Directory for TaskDir {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        let live = self.subject.live().map_err(|_| Errno::ENOENT)?;
        let attr = self.flavor().attr(FileType::Directory, 0o555, self.ino);
        self.subject.attr(Attr { nlink: 2 + live.threads as u32, ..attr })
    }

    fn parent_ino(&self) -> u64 {
        self.parent
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        let tid = parse_pid(name)?;
        let live = self.subject.live().map_err(|_| Errno::ENOENT)?;
        if !threads(&live).contains(&tid) {
            return Err(Errno::ENOENT);
        }
        let subject = Subject::new(&self.subject.proc, &live.group, tid, false);
        Ok(self.held.get(tid, || process_dir(subject, self.ino)))
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let live = self.subject.live().map_err(|_| Errno::ENOENT)?;
        for tid in threads(&live) {
            let at = TIDS + tid as u64;
            let name = tid.to_string();
            let entry = DirEntry {
                ino: dir_ino(tid, false),
                next: at + 1,
                kind: FileType::Directory,
                name: name.as_bytes(),
            };
            if at >= pos && !sink(entry) {
                break;
            }
        }
        Ok(())
    }
}

/// The processes that this thread has made, and that are there still.
pub(super) fn children(live: &Live) -> SysResult<Vec<u8>> {
    let table = live.kernel.processes.lock();
    let all = table.process(live.group.pid()).map_or(&[][..], |process| &process.children);
    let own = |pid: &&Pid| table.process(**pid).is_some_and(|p| p.parent_tid == live.tid);
    Ok(all.iter().filter(own).map(|pid| format!("{pid} ")).collect::<String>().into_bytes())
}
