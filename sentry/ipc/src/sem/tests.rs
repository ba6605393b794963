use super::*;
use abi::ipc::SemBuf;

const NOWAIT: i32 = libc::IPC_NOWAIT;
const UNDO: i32 = libc::SEM_UNDO;

fn set(len: i32) -> (Sems, Arc<SemSet>, Credentials) {
    let (sems, cred) = (Sems::new(), Credentials::new(5, 5, &[]));
    let id = sems.get(PRIVATE, len, 0o600, &cred).unwrap();
    let set = sems.by_id(id).unwrap();
    (sems, set, cred)
}

fn op(num: u16, op: i16, flags: i32) -> SemBuf {
    SemBuf { num, op, flags: flags as i16 }
}

fn wait(set: &Arc<SemSet>, ops: &[SemBuf], cred: &Credentials) -> Waiting {
    match set.operate(ops.to_vec(), None, cred, 9).unwrap() {
        Outcome::Wait(waiting) => waiting,
        Outcome::Done => panic!("it did not wait"),
    }
}

fn done(set: &Arc<SemSet>, ops: &[SemBuf], cred: &Credentials) -> SysResult<()> {
    match set.operate(ops.to_vec(), None, cred, 9)? {
        Outcome::Done => Ok(()),
        Outcome::Wait(_) => panic!("it waits"),
    }
}

#[test]
fn all_parts_or_none() {
    let (_, set, cred) = set(2);
    assert_eq!(done(&set, &[op(0, 3, 0), op(1, -1, NOWAIT)], &cred), Err(Errno::EAGAIN));
    assert_eq!(set.values(&cred).unwrap(), [0, 0]);
    assert_eq!(done(&set, &[op(2, 1, 0)], &cred), Err(Errno::EFBIG));
    done(&set, &[op(0, 3, 0), op(0, -1, 0), op(1, 0, 0)], &cred).unwrap();
    assert_eq!(set.values(&cred).unwrap(), [2, 0]);
    assert_eq!(set.pid(1, &cred), Ok(9));
    assert_eq!(done(&set, &[op(0, MAX_VALUE as i16, 0)], &cred), Err(Errno::ERANGE));
}

#[test]
fn waiters_are_served_in_order() {
    let (_, set, cred) = set(1);
    let big = wait(&set, &[op(0, -2, 0)], &cred);
    let small = wait(&set, &[op(0, -1, 0)], &cred);
    assert_eq!(set.waiting(0, false, &cred), Ok(2));
    // The one in front cannot be served: the next one is.
    done(&set, &[op(0, 1, 0)], &cred).unwrap();
    assert_eq!((big.slot().take(), small.slot().take()), (None, Some(Ok(()))));
    let later = wait(&set, &[op(0, -1, 0)], &cred);
    let zero = wait(&set, &[op(0, 1, 0), op(0, -3, 0)], &cred);
    done(&set, &[op(0, 2, 0)], &cred).unwrap();
    assert_eq!(big.slot().take(), Some(Ok(())));
    assert_eq!(later.slot().take(), None);
    assert!(zero.cancel().is_none());
    drop(later);
    assert_eq!(set.waiting(0, false, &cred), Ok(0));
}

#[test]
fn one_that_goes_on_lets_others_go_on() {
    let (_, set, cred) = set(2);
    let zero = wait(&set, &[op(0, 1, 0), op(0, 0, 0)], &cred);
    drop(zero);
    set.set_value(0, 1, &cred, 1).unwrap();
    let zero = wait(&set, &[op(0, 0, 0)], &cred);
    let second = wait(&set, &[op(1, -1, 0)], &cred);
    let first = wait(&set, &[op(0, -2, 0), op(1, 1, 0)], &cred);
    assert_eq!(set.waiting(0, true, &cred), Ok(1));
    done(&set, &[op(0, 1, 0)], &cred).unwrap();
    for waiting in [first, second, zero] {
        assert_eq!(waiting.slot().take(), Some(Ok(())));
    }
}

#[test]
fn removal_wakes() {
    let (sems, set, cred) = set(1);
    let waiting = wait(&set, &[op(0, -1, 0)], &cred);
    sems.remove(set.id(), &cred).unwrap();
    assert_eq!(waiting.slot().take(), Some(Err(Errno::EIDRM)));
    assert_eq!(done(&set, &[op(0, 1, 0)], &cred), Err(Errno::EIDRM));
    drop((waiting, set));
    assert_eq!(sems.info(true).0.semaem, 0);
}

#[test]
fn what_a_process_did_is_undone() {
    let (_, set, cred) = set(2);
    let list = Arc::new(UndoList::new());
    let ops = vec![op(0, 3, UNDO), op(0, -1, UNDO), op(1, 1, 0)];
    set.operate(ops, Some(&list), &cred, 9).unwrap();
    // A part that cannot be done leaves no adjustment.
    let ops = vec![op(0, 3, UNDO), op(1, -7, NOWAIT)];
    assert_eq!(set.operate(ops, Some(&list), &cred, 9).err(), Some(Errno::EAGAIN));
    let shared = list.clone();
    list.release(11);
    assert_eq!(set.values(&cred).unwrap(), [2, 1]);
    shared.release(12);
    assert_eq!(set.values(&cred).unwrap(), [0, 1]);
    assert_eq!(set.pid(0, &cred), Ok(12));
}

#[test]
fn setting_a_value_forgets_adjustments() {
    let (sems, set, cred) = set(2);
    let list = Arc::new(UndoList::new());
    set.operate(vec![op(0, 3, UNDO), op(1, 2, UNDO)], Some(&list), &cred, 9).unwrap();
    set.set_value(0, 5, &cred, 1).unwrap();
    assert_eq!(sems.totals.adjustments.load(Ordering::Relaxed), 1);
    list.release(11);
    assert_eq!(set.values(&cred).unwrap(), [5, 0]);
    assert_eq!(sems.totals.adjustments.load(Ordering::Relaxed), 0);
}
