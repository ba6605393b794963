//! Epoll instances that watch epoll instances: no loops, and no deep chains.

use super::{Epoll, Instance};
use abi::{Errno, SysResult};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;

/// EP_MAX_NESTS: steps from one end of a chain to the other.
const MAX_NESTS: usize = 4;

/// Serialises the additions of instances to instances, so that two of them cannot close a loop
/// together.
static NESTING: Mutex<()> = Mutex::new(());

/// May `child` be added to `parent`? ELOOP where that makes a loop or too long a chain. Hold the
/// answer until it is added.
pub(super) fn check(
    parent: &Arc<Instance>,
    child: &Arc<Instance>,
) -> SysResult<MutexGuard<'static, ()>> {
    let guard = NESTING.lock();
    let below = depth(child, children, Some(parent), MAX_NESTS, &mut HashMap::new())?;
    let above = depth(parent, parents, None, MAX_NESTS, &mut HashMap::new())?;
    if below + 1 + above > MAX_NESTS {
        return Err(Errno::ELOOP);
    }
    Ok(guard)
}

/// `child` has been added to `parent`. Called with what [`check`] gave still held.
pub(super) fn adopt(parent: &Arc<Instance>, child: &Arc<Instance>) {
    let mut parents = child.parents.lock();
    parents.retain(|known| known.strong_count() != 0 && known.as_ptr() != Arc::as_ptr(parent));
    parents.push(Arc::downgrade(parent));
}

/// The longest chain from `from` along `next`. ELOOP where it meets `forbidden` or is longer than
/// `limit`. `known` are the depths of those seen, each of which is visited once.
fn depth(
    from: &Arc<Instance>,
    next: fn(&Arc<Instance>) -> Vec<Arc<Instance>>,
    forbidden: Option<&Arc<Instance>>,
    limit: usize,
    known: &mut HashMap<usize, usize>,
) -> SysResult<usize> {
    if forbidden.is_some_and(|forbidden| Arc::ptr_eq(forbidden, from)) {
        return Err(Errno::ELOOP);
    }
    let key = Arc::as_ptr(from) as usize;
    if let Some(depth) = known.get(&key) {
        return Ok(*depth);
    }
    let mut longest = 0;
    for instance in next(from) {
        let limit = limit.checked_sub(1).ok_or(Errno::ELOOP)?;
        longest = longest.max(depth(&instance, next, forbidden, limit, known)? + 1);
    }
    known.insert(key, longest);
    Ok(longest)
}

fn children(instance: &Arc<Instance>) -> Vec<Arc<Instance>> {
    // The files outlive the lock: theirs may be the last references.
    let files: Vec<_> =
        instance.items.lock().map.values().filter_map(|item| item.file.upgrade()).collect();
    files.iter().filter_map(|file| Some(file.ops_as::<Epoll>()?.0.clone())).collect()
}

fn parents(instance: &Arc<Instance>) -> Vec<Arc<Instance>> {
    let parents: Vec<_> = instance.parents.lock().iter().filter_map(|p| p.upgrade()).collect();
    // Those that have removed it again do not count.
    parents.into_iter().filter(|p| children(p).iter().any(|c| Arc::ptr_eq(c, instance))).collect()
}
