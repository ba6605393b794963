//! select(2) and pselect6(2).

use super::poll::{Deadline, Watched, flatten, set_mask, wait_ready};
use abi::file::PollEvents;
use abi::time::Timeval;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, Interrupted, TaskContext};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vfs::{Fd, OpenFile};

/// What makes a descriptor readable, writable, exceptional.
const SETS: [PollEvents; 3] = [
    PollEvents::IN
        .union(PollEvents::RDNORM)
        .union(PollEvents::RDBAND)
        .union(PollEvents::HUP)
        .union(PollEvents::ERR),
    PollEvents::OUT.union(PollEvents::WRNORM).union(PollEvents::WRBAND).union(PollEvents::ERR),
    PollEvents::PRI,
];

/// An `fd_set`: bit N of the little-endian words.
type FdSet = Vec<u64>;

fn contains(set: &FdSet, at: usize) -> bool {
    set.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

fn insert(set: &mut FdSet, at: usize) {
    if let Some(word) = set.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

/// A descriptor in some of the sets: its number, and which sets.
struct Member {
    fd: usize,
    asked: [bool; 3],
}

/// The members of the sets with their files. EBADF for one that is not open.
fn members(
    sets: &[FdSet; 3],
    count: usize,
    find: impl Fn(Fd) -> SysResult<Arc<OpenFile>>,
) -> SysResult<Vec<(Member, Watched)>> {
    let mut found = Vec::new();
    for fd in 0..count {
        let asked = [0, 1, 2].map(|which: usize| contains(&sets[which], fd));
        if asked == [false; 3] {
            continue;
        }
        let wanted = asked.iter().zip(SETS).filter(|(asked, _)| **asked).map(|(_, events)| events);
        let events = wanted.fold(PollEvents::empty(), PollEvents::union);
        found.push((Member { fd, asked }, Watched { file: find(Fd(fd as i32))?, events }));
    }
    Ok(found)
}

/// Asks each file, and fills in the sets that are the answer: how many bits they have.
fn scan(members: &[(Member, Watched)], answers: &mut [FdSet; 3]) -> usize {
    let mut ready = 0;
    for answer in answers.iter_mut() {
        answer.fill(0);
    }
    for (member, watched) in members {
        let events = watched.file.poll();
        for (which, answer) in answers.iter_mut().enumerate() {
            if member.asked[which] && events.intersects(SETS[which]) {
                insert(answer, member.fd);
                ready += 1;
            }
        }
    }
    ready
}

fn select_sets(
    cx: &TaskContext<'_>,
    count: i32,
    addrs: [UserAddr; 3],
    deadline: Option<Instant>,
) -> SysResult<Result<usize, Interrupted>> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    // As Linux: what is beyond the table cannot be open, and is not looked at.
    let count = count.min(cx.files().capacity());
    let words = count.div_ceil(64);
    let read = |addr: UserAddr| match addr.non_null() {
        Some(addr) => cx.mm().read_array(addr, words as u64, words),
        None => Ok(vec![0; words]),
    };
    let sets = [read(addrs[0])?, read(addrs[1])?, read(addrs[2])?];
    let table = cx.files();
    let members = members(&sets, count, |fd| table.get_io(fd))?;
    let mut answers = sets;
    let watched = members.iter().map(|(_, watched)| watched);
    let waited = wait_ready(cx, watched, deadline, || scan(&members, &mut answers));
    if waited.is_ok() {
        for (addr, answer) in addrs.into_iter().zip(&answers) {
            if !addr.is_null() {
                cx.mm().write_bytes(addr, zerocopy::IntoBytes::as_bytes(&answer[..]))?;
            }
        }
    }
    Ok(waited)
}

/// select(2).
pub(crate) fn select(
    cx: &mut TaskContext<'_>,
    count: i32,
    read: UserAddr,
    write: UserAddr,
    except: UserAddr,
    timeout: UserAddr,
) -> CallResult {
    let time = match timeout.non_null() {
        Some(addr) => Some(to_duration(cx.read(addr)?)?),
        None => None,
    };
    let deadline = Deadline::new(time, timeout, true);
    let result = select_sets(cx, count, [read, write, except], deadline.at());
    deadline.finish(cx, flatten(result))
}

/// Microseconds may be more than a second here. EINVAL below zero.
fn to_duration(time: Timeval) -> SysResult<Duration> {
    let sec = u64::try_from(time.sec).map_err(|_| Errno::EINVAL)?;
    let usec = u64::try_from(time.usec).map_err(|_| Errno::EINVAL)?;
    Ok(Duration::from_secs(sec).saturating_add(Duration::from_micros(usec)))
}

/// pselect6(2): the last argument is the address of two words, the mask's address and its size.
pub(crate) fn pselect6(
    cx: &mut TaskContext<'_>,
    count: i32,
    read: UserAddr,
    write: UserAddr,
    except: UserAddr,
    timeout: UserAddr,
    mask: UserAddr,
) -> CallResult {
    let [mask, mask_size] = match mask.non_null() {
        Some(addr) => cx.read(addr)?,
        None => [0u64; 2],
    };
    let deadline = Deadline::read(cx, timeout)?;
    set_mask(cx, UserAddr(mask), mask_size as usize)?;
    let result = select_sets(cx, count, [read, write, except], deadline.at());
    deadline.finish(cx, flatten(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::file::OpenFlags;
    use fs::eventfd::EventFd;

    #[test]
    fn sets_become_members_and_answers_sets() {
        let file = fs::anon::open_file("eventfd", EventFd::new(0, false), OpenFlags::RDWR);
        let find = |fd: Fd| if fd.0 == 70 { Ok(file.clone()) } else { Err(Errno::EBADF) };
        let mut sets: [FdSet; 3] = [vec![0, 0], vec![0, 0], vec![0, 0]];
        insert(&mut sets[0], 70);
        insert(&mut sets[1], 70);
        insert(&mut sets[2], 71);
        assert_eq!(members(&sets, 72, find).err(), Some(Errno::EBADF));
        let found = members(&sets, 71, find).unwrap();
        assert_eq!(found.len(), 1);
        // Writable, and not readable.
        assert_eq!(scan(&found, &mut sets), 1);
        assert_eq!(sets, [vec![0, 0], vec![0, 1 << 6], vec![0, 0]]);
    }

    #[test]
    fn microseconds_are_not_limited() {
        let time = |sec, usec| to_duration(Timeval { sec, usec });
        assert_eq!(time(1, 2_500_000), Ok(Duration::from_millis(3500)));
        assert_eq!(time(-1, 0), Err(Errno::EINVAL));
        assert!(time(i64::MAX, i64::MAX).is_ok());
    }
}
