use super::*;
use crate::file::FileOps;
use crate::inode::{Attr, Inode};
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use std::any::Any;

/// Not of size zero: inodes are told apart by their address.
struct File(#[allow(dead_code)] u64);

impl Inode for File {
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(Attr::default())
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(StatFs::default())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn file() -> InodeRef {
    Arc::new(File(0))
}

/// Process ids of tests differ, as the table is shared by all that run at once.
fn process() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1 << 40);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn lock(process: u64, exclusive: bool, start: u64, end: u64) -> RecordLock {
    RecordLock { owner: Owner::Process(process), pid: process as i32, exclusive, start, end }
}

fn take(inode: &InodeRef, lock: RecordLock) -> SysResult<()> {
    Waiting::for_record(inode, lock).attempt()
}

fn ranges(inode: &InodeRef) -> Vec<(u64, u64, bool)> {
    let table = TABLE.lock();
    let records = table.files.get(&key(inode)).map(|file| file.records.clone());
    records.unwrap_or_default().iter().map(|lock| (lock.start, lock.end, lock.exclusive)).collect()
}

#[test]
fn ranges_split_merge_and_change() {
    let (inode, me) = (file(), process());
    take(&inode, lock(me, true, 0, 99)).unwrap();
    unlock(&inode, &lock(me, false, 40, 59)).unwrap();
    assert_eq!(ranges(&inode), [(0, 39, true), (60, 99, true)]);
    take(&inode, lock(me, false, 30, 70)).unwrap();
    assert_eq!(ranges(&inode), [(0, 29, true), (30, 70, false), (71, 99, true)]);
    take(&inode, lock(me, true, 30, 70)).unwrap();
    assert_eq!(ranges(&inode), [(0, 99, true)]);
    take(&inode, lock(me, true, 100, i64::MAX as u64)).unwrap();
    assert_eq!(ranges(&inode), [(0, i64::MAX as u64, true)]);
    release_process(&inode, me);
    assert_eq!(ranges(&inode), []);
    assert!(!TABLE.lock().files.contains_key(&key(&inode)));
}

#[test]
fn conflicts_are_between_owners() {
    let (inode, a, b) = (file(), process(), process());
    take(&inode, lock(a, false, 0, 9)).unwrap();
    take(&inode, lock(b, false, 5, 14)).unwrap();
    assert_eq!(take(&inode, lock(a, true, 0, 9)), Err(Errno::EAGAIN));
    assert_eq!(take(&inode, lock(a, true, 0, 4)), Ok(()));
    let found = conflict(&inode, &lock(b, true, 0, 1)).unwrap();
    assert_eq!((found.pid, found.start, found.end), (a as i32, 0, 4));
    assert_eq!(conflict(&inode, &lock(a, true, 20, 30)), None);
    release_process(&inode, a);
    release_process(&inode, b);
}

#[test]
fn circles_are_found_and_gone_ones_are_not() {
    let (one, two, a, b) = (file(), file(), process(), process());
    take(&one, lock(a, true, 0, 0)).unwrap();
    take(&two, lock(b, true, 0, 0)).unwrap();
    let a_waits = Waiting::for_record(&two, lock(a, true, 0, 0));
    assert_eq!(a_waits.attempt_waiting(), None);
    let b_waits = Waiting::for_record(&one, lock(b, true, 0, 0));
    assert_eq!(b_waits.attempt_waiting(), Some(Err(Errno::EDEADLK)));
    // b lets go, and only then waits: a has not noticed yet, but waits for nobody.
    unlock(&two, &lock(b, true, 0, 0)).unwrap();
    assert_eq!(b_waits.attempt_waiting(), None);
    assert_eq!(a_waits.attempt_waiting(), Some(Ok(())));
    release_process(&one, a);
    assert_eq!(b_waits.attempt_waiting(), Some(Ok(())));
    release_process(&one, b);
    release_process(&two, a);
}

#[test]
fn locks_of_open_files_make_no_circles() {
    let (one, two) = (file(), file());
    let own = |id| RecordLock { owner: Owner::File(id), ..lock(0, true, 0, 0) };
    take(&one, own(1)).unwrap();
    take(&two, own(2)).unwrap();
    let first = Waiting::for_record(&two, own(1));
    let second = Waiting::for_record(&one, own(2));
    assert_eq!((first.attempt_waiting(), second.attempt_waiting()), (None, None));
    release_owner(&one, Owner::File(1));
    assert_eq!(second.attempt_waiting(), Some(Ok(())));
    release_owner(&one, Owner::File(2));
    release_owner(&two, Owner::File(2));
}

#[test]
fn a_flock_conversion_gives_the_old_one_up() {
    let inode = file();
    let request =
        |id, exclusive| Waiting::new(&inode, Request::Flock { owner: Owner::File(id), exclusive });
    request(1, false).attempt().unwrap();
    request(2, false).attempt().unwrap();
    assert_eq!(request(1, true).attempt(), Err(Errno::EAGAIN));
    // 1 has lost its shared lock.
    request(2, true).attempt().unwrap();
    release_owner(&inode, Owner::File(2));
}
