//! System V shared memory: shmget(2), shmop(2), shmctl(2).

use crate::calls::{become_user, getpid};
use crate::case::{Case, ORDINARY, Outcome, child, in_child, reap, until_asleep};
use crate::sys::{BAD, PAGE, Region, SysResult, fault_of, load8, store8};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "shm";
    get_errors: "shmget's ENOENT, EINVAL, EEXIST, and a size beyond the segment's";
    at_and_dt_errors: "shmat's and shmdt's EINVAL, in their order";
    starts_as_zeros_and_is_shared: "a segment is zero at first, and two attachments are one memory";
    rounding_of_addresses: "SHM_RND rounds down, SHM_REMAP replaces";
    readonly_attachment: "SHM_RDONLY cannot be written, nor made writable";
    stat_shows_the_segment: "IPC_STAT: size, pids, times, owner, mode";
    fork_inherits_attachments: "a child has the attachments, counts as another, and exit detaches";
    munmap_detaches: "munmap of all detaches, of the middle makes two";
    exec_detaches: "exec lets go of attachments";
    removal_waits_for_the_last: "IPC_RMID while attached: SHM_DEST, no key, gone with the last";
    removed_can_be_attached: "a removed segment that is attached can be attached again";
    set_changes_owner_and_mode: "IPC_SET sets the mode; EPERM for others" ;
    permissions [Root]: "EACCES for those without permission, EPERM for those who do not own it";
    infos: "IPC_INFO, SHM_INFO, SHM_STAT";
    ctl_errors: "shmctl's EINVAL and EFAULT";
    listed_in_proc: "/proc/sysvipc/shm has the segment, /proc/self/maps its name";
}

const CREATE: i32 = libc::IPC_CREAT | 0o600;
const SHM_DEST: u64 = 0o1000;

/// A segment, removed at the end.
struct Segment(i32);

impl Segment {
    fn new(size: usize) -> SysResult<Segment> {
        Ok(Segment(sys!(SYS_shmget, libc::IPC_PRIVATE, size, CREATE)? as i32))
    }

    fn attach(&self) -> SysResult<usize> {
        at(self.0, 0, 0)
    }

    /// `struct shmid64_ds` in words.
    fn stat(&self) -> SysResult<[u64; 14]> {
        let mut stat = [0; 14];
        sys!(SYS_shmctl, self.0, libc::IPC_STAT, &mut stat)?;
        Ok(stat)
    }

    fn attachments(&self) -> SysResult<u64> {
        Ok(self.stat()?[11])
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = remove(self.0);
    }
}

fn at(id: i32, address: usize, flags: i32) -> SysResult {
    sys!(SYS_shmat, id, address, flags)
}

fn dt(address: usize) -> SysResult {
    sys!(SYS_shmdt, address)
}

fn remove(id: i32) -> SysResult {
    sys!(SYS_shmctl, id, libc::IPC_RMID, 0)
}

/// A key that nobody else has.
fn key() -> i32 {
    0x5348_0000 | getpid() & 0xffff
}

fn get_errors(_: &mut Case) -> Outcome {
    let key = key();
    check_errno!(sys!(SYS_shmget, key, PAGE, 0o600), ENOENT);
    check_errno!(sys!(SYS_shmget, key, 0, CREATE), EINVAL);
    check_errno!(sys!(SYS_shmget, key, -1i64, CREATE), EINVAL);
    let segment = Segment(sys!(SYS_shmget, key, 5000, CREATE)? as i32);
    check_eq!(sys!(SYS_shmget, key, 5000, 0)? as i32, segment.0, "the segment");
    check_eq!(sys!(SYS_shmget, key, 0, CREATE)? as i32, segment.0, "whatever its size");
    check_errno!(sys!(SYS_shmget, key, 5001, 0), EINVAL);
    check_errno!(sys!(SYS_shmget, key, 5001, CREATE | libc::IPC_EXCL), EEXIST);
    Ok(())
}

fn at_and_dt_errors(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    check_errno!(at(-1, 0, 0), EINVAL);
    check_errno!(at(segment.0, 0, libc::SHM_REMAP), EINVAL);
    check_errno!(at(segment.0, BAD, 0), EINVAL);
    let taken = Region::private(PAGE)?;
    check_errno!(at(segment.0, taken.base, 0), EINVAL);
    check_errno!(dt(taken.base), EINVAL);
    let address = segment.attach()?;
    check_errno!(dt(address + 1), EINVAL);
    dt(address)?;
    check_errno!(dt(address), EINVAL);
    let id = segment.0;
    drop(segment);
    check_errno!(at(id, 0, 0), EINVAL);
    Ok(())
}

fn starts_as_zeros_and_is_shared(_: &mut Case) -> Outcome {
    let segment = Segment::new(3 * PAGE)?;
    let (first, second) = (segment.attach()?, segment.attach()?);
    check!(first != second, "two places");
    check_eq!((load8(first), load8(first + 3 * PAGE - 1)), (0, 0), "first and last byte");
    store8(first + PAGE, 7);
    check_eq!(load8(second + PAGE), 7, "the byte at the other place");
    dt(first)?;
    dt(second)?;
    let third = segment.attach()?;
    check_eq!(load8(third + PAGE), 7, "the byte, when nobody had it attached");
    Ok(dt(third).map(drop)?)
}

fn rounding_of_addresses(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    let region = Region::private(2 * PAGE)?;
    sys!(SYS_munmap, region.base, PAGE)?;
    check_errno!(at(segment.0, region.base + 5, 0), EINVAL);
    check_eq!(at(segment.0, region.base + 5, libc::SHM_RND)?, region.base, "rounded down");
    let over = region.base + PAGE;
    check_errno!(at(segment.0, over, 0), EINVAL);
    store8(region.base, 9);
    check_eq!(at(segment.0, over, libc::SHM_REMAP)?, over, "in place of what was there");
    check_eq!(load8(over), 9, "the segment's byte");
    dt(over)?;
    dt(region.base)?;
    Ok(())
}

fn readonly_attachment(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    let address = at(segment.0, 0, libc::SHM_RDONLY)?;
    check_eq!(load8(address), 0, "what can be read");
    let fault = fault_of(|| store8(address, 1))?.map(|fault| fault.signal);
    check_eq!(fault, Some(libc::SIGSEGV), "writing");
    let both = libc::PROT_READ | libc::PROT_WRITE;
    check_errno!(sys!(SYS_mprotect, address, PAGE, both), EACCES);
    Ok(())
}

fn stat_shows_the_segment(_: &mut Case) -> Outcome {
    let segment = Segment::new(5000)?;
    let new = segment.stat()?;
    check_eq!((new[6], new[11]), (5000, 0), "size and attachments");
    check_eq!((new[7], new[8]), (0, 0), "times of attaching and detaching");
    check_eq!(new[2] >> 32, 0o600, "mode");
    check_eq!(new[10], getpid() as u64, "maker, and nobody since");
    let address = segment.attach()?;
    let pid = getpid() as u64;
    let attached = segment.stat()?;
    check_eq!(attached[10], pid | pid << 32, "maker and last user");
    check!(attached[7] >= new[9], "a time of attaching");
    dt(address)?;
    let detached = segment.stat()?;
    check!(detached[8] >= attached[7] && detached[11] == 0, "a time of detaching");
    Ok(())
}

fn fork_inherits_attachments(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    let address = segment.attach()?;
    let pid = child(|| {
        check_eq!(segment.attachments()?, 2, "attachments of parent and child");
        store8(address, 5);
        sys!(SYS_pause)?;
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    check_eq!((load8(address), segment.attachments()?), (5, 2), "what the child wrote");
    sys!(SYS_kill, pid, libc::SIGKILL)?;
    let mut status = 0i32;
    sys!(SYS_wait4, pid, &mut status, 0, 0)?;
    let stat = segment.stat()?;
    check_eq!((stat[11], stat[10] >> 32), (1, pid as u64), "attachments, and who was the last");
    in_child(|| {
        dt(address)?;
        check_eq!(segment.attachments()?, 1, "attachments after the child's shmdt");
        Ok(())
    })?;
    check_eq!(load8(address), 5, "the parent's attachment");
    Ok(())
}

fn munmap_detaches(_: &mut Case) -> Outcome {
    let segment = Segment::new(3 * PAGE)?;
    let address = segment.attach()?;
    sys!(SYS_munmap, address, 3 * PAGE)?;
    check_eq!(segment.attachments()?, 0, "attachments after munmap");
    check_errno!(dt(address), EINVAL);
    let address = segment.attach()?;
    sys!(SYS_munmap, address + PAGE, PAGE)?;
    check_eq!(segment.attachments()?, 2, "pieces");
    dt(address)?;
    check_eq!(segment.attachments()?, 0, "pieces after shmdt");
    Ok(())
}

fn exec_detaches(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    segment.attach()?;
    let (reader, writer) = crate::calls::pipe(0)?;
    let pid = child(|| {
        sys!(SYS_dup2, reader, 0)?;
        crate::calls::close(writer)?;
        crate::calls::execve("/bin/cat", &["cat"], &[])?;
        Ok(())
    })?;
    crate::calls::close(reader)?;
    crate::case::until("the child has called exec", || Ok(segment.attachments()? == 1))?;
    crate::calls::close(writer)?;
    reap(pid)
}

fn removal_waits_for_the_last(_: &mut Case) -> Outcome {
    let key = key();
    let segment = Segment(sys!(SYS_shmget, key, PAGE, CREATE)? as i32);
    let address = segment.attach()?;
    let pid = child(|| Ok(sys!(SYS_pause).map(drop)?))?;
    until_asleep(pid, pid)?;
    remove(segment.0)?;
    check_errno!(sys!(SYS_shmget, key, PAGE, 0), ENOENT);
    let stat = segment.stat()?;
    check_eq!((stat[2] >> 32 & SHM_DEST, stat[0] as u32), (SHM_DEST, 0), "SHM_DEST and key");
    store8(address, 3);
    dt(address)?;
    check_eq!(segment.attachments()?, 1, "the child's attachment");
    sys!(SYS_kill, pid, libc::SIGKILL)?;
    sys!(SYS_wait4, pid, 0, 0, 0)?;
    check_errno!(segment.stat(), EINVAL);
    Ok(())
}

fn removed_can_be_attached(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    let first = segment.attach()?;
    store8(first, 4);
    remove(segment.0)?;
    let second = segment.attach()?;
    dt(first)?;
    check_eq!(load8(second), 4, "the byte");
    dt(second)?;
    check_errno!(segment.attach(), EINVAL);
    Ok(())
}

fn set_changes_owner_and_mode(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    let mut stat = segment.stat()?;
    stat[2] = stat[2] & 0xffff_ffff | 0o7440 << 32;
    sys!(SYS_shmctl, segment.0, libc::IPC_SET, &stat)?;
    check_eq!(segment.stat()?[2] >> 32, 0o440, "mode");
    check_errno!(sys!(SYS_shmctl, segment.0, libc::IPC_SET, BAD), EFAULT);
    Ok(())
}

fn permissions(_: &mut Case) -> Outcome {
    let key = key();
    let segment = Segment(sys!(SYS_shmget, key, PAGE, libc::IPC_CREAT | 0o604)? as i32);
    in_child(|| {
        become_user(ORDINARY)?;
        check_errno!(sys!(SYS_shmget, key, PAGE, 0o600), EACCES);
        check_eq!(sys!(SYS_shmget, key, PAGE, 0o400)? as i32, segment.0, "for reading");
        check_errno!(at(segment.0, 0, 0), EACCES);
        at(segment.0, 0, libc::SHM_RDONLY)?;
        let stat = segment.stat()?;
        check_errno!(remove(segment.0), EPERM);
        check_errno!(sys!(SYS_shmctl, segment.0, libc::IPC_SET, &stat), EPERM);
        check_errno!(sys!(SYS_shmctl, segment.0, libc::SHM_LOCK, 0), EPERM);
        Ok(())
    })?;
    let mut stat = segment.stat()?;
    stat[2] = 0o600 << 32;
    sys!(SYS_shmctl, segment.0, libc::IPC_SET, &stat)?;
    in_child(|| {
        become_user(ORDINARY)?;
        check_errno!(segment.stat(), EACCES);
        check_errno!(at(segment.0, 0, libc::SHM_RDONLY), EACCES);
        Ok(())
    })
}

fn infos(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    let mut limits = [0u64; 9];
    let highest = sys!(SYS_shmctl, 0, libc::IPC_INFO, &mut limits)?;
    check_eq!((limits[1], limits[2]), (1, 4096), "SHMMIN and SHMMNI");
    let mut info = [0u64; 6];
    check_eq!(sys!(SYS_shmctl, 0, 14, &mut info)?, highest, "highest index of SHM_INFO");
    check!(info[0] as u32 >= 1 && info[1] >= 1, "a segment and a page");
    let mut stat = [0u64; 14];
    let index = segment.0 & 0x7fff;
    check_eq!(sys!(SYS_shmctl, index, 13, &mut stat)? as i32, segment.0, "SHM_STAT");
    check_eq!(stat[6], PAGE as u64, "size");
    check_errno!(sys!(SYS_shmctl, 0x7ffe, 13, &mut stat), EINVAL);
    Ok(())
}

fn ctl_errors(_: &mut Case) -> Outcome {
    let segment = Segment::new(PAGE)?;
    check_errno!(sys!(SYS_shmctl, -1, libc::IPC_STAT, BAD), EINVAL);
    check_errno!(sys!(SYS_shmctl, segment.0, 99, 0), EINVAL);
    check_errno!(sys!(SYS_shmctl, segment.0, libc::IPC_STAT, BAD), EFAULT);
    check_errno!(sys!(SYS_shmctl, segment.0, libc::IPC_STAT | 0x100, BAD), EINVAL);
    Ok(())
}

fn listed_in_proc(_: &mut Case) -> Outcome {
    let key = key();
    let segment = Segment(sys!(SYS_shmget, key, PAGE, CREATE)? as i32);
    let address = segment.attach()?;
    let table = std::fs::read_to_string("/proc/sysvipc/shm")?;
    let id = segment.0.to_string();
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&id));
    let fields: Vec<&str> = line.unwrap_or_default().split_whitespace().take(7).collect();
    let (key_text, pid) = (key.to_string(), getpid().to_string());
    check_eq!(fields, [&key_text, &id, "600", "4096", &pid, &pid, "1"], "the line");
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let line = maps.lines().find(|line| line.starts_with(&format!("{address:x}-")));
    let name = format!("/SYSV{key:08x} (deleted)");
    check!(line.is_some_and(|line| line.contains("rw-s") && line.ends_with(&name)), "{name}");
    Ok(())
}
