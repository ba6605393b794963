//! kcmp(2): do two tasks share something?

use abi::{Errno, SysResult};
use kernel::{CallResult, Task, TaskContext};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use vfs::Fd;

const FILE: i32 = 0;
const VM: i32 = 1;
const FILES: i32 = 2;
const FS: i32 = 3;
const SIGHAND: i32 = 4;
const IO: i32 = 5;
const SYSVSEM: i32 = 6;

/// kcmp(2).
pub(crate) fn kcmp(
    cx: &mut TaskContext<'_>,
    pid1: i32,
    pid2: i32,
    kind: i32,
    index1: u64,
    index2: u64,
) -> CallResult {
    let (one, other) = {
        let table = cx.kernel().processes.lock();
        let find = |pid| table.task(pid).cloned().ok_or(Errno::ESRCH);
        (find(pid1)?, find(pid2)?)
    };
    super::credentials::check_inspect(cx, &one)?;
    super::credentials::check_inspect(cx, &other)?;
    let by = |place: fn(&Task) -> usize| compare(place(&one), place(&other));
    Ok(match kind {
        FILE => compare(file_of(&one, index1)?, file_of(&other, index2)?),
        VM => by(|task| address(&task.mm())),
        FILES => by(|task| address(&task.files())),
        FS => by(|task| address(&task.fs())),
        SIGHAND => by(|task| address(&task.group().actions())),
        // Nobody has an I/O context or a list of semaphores to undo: the same nothing.
        IO | SYSVSEM => 0,
        _ => return Err(Errno::EINVAL.into()),
    })
}

fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared).addr()
}

fn file_of(task: &Task, index: u64) -> SysResult<usize> {
    let fd = i32::try_from(index).map_err(|_| Errno::EBADF)?;
    Ok(address(&task.files().get(Fd(fd))?))
}

/// 0 for the same place, else 1 or 2 by an order that is always the same, and says nothing of
/// where things are.
fn compare(one: usize, other: usize) -> u64 {
    static ORDER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    if one == other {
        return 0;
    }
    // Equal hashes of different places: decided by the places, so that it is an order still.
    let rank = |place: usize| (ORDER.hash_one(place), place);
    if rank(one) < rank(other) { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_order() {
        assert_eq!(compare(7, 7), 0);
        for place in 1..50 {
            assert_eq!(compare(0, place) + compare(place, 0), 3);
        }
    }
}
