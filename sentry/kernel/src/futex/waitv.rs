//! futex_waitv(2): waiting on several futexes at once.

use super::{FutexWaiter, MATCH_ANY, Word};
use crate::error::{CallResult, Interrupted};
use crate::task::Task;
use abi::Errno;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Task {
    /// Sleeps while each word holds its value, until one is woken: which (the last, of several).
    /// EAGAIN where a word holds something else already.
    pub fn futex_waitv(
        self: &Arc<Task>,
        words: &[(Word, u32)],
        deadline: Option<Instant>,
    ) -> CallResult<Result<usize, Interrupted>> {
        let mm = self.mm();
        let futexes = &self.kernel().futexes;
        let keys = words.iter().map(|(word, _)| word.key(&mm));
        let keys = keys.collect::<Result<Vec<_>, Errno>>()?;
        let mut queued: Vec<Arc<FutexWaiter>> = Vec::with_capacity(words.len());
        // Who is woken must be taken out of all the queues; a wake is not lost thereby.
        let leave = |queued: &[Arc<FutexWaiter>]| {
            let mut woken = None;
            for (at, own) in queued.iter().enumerate() {
                if !futexes.leave(own) {
                    woken = Some(at);
                }
            }
            woken
        };
        for ((word, value), key) in words.iter().zip(keys) {
            let own = FutexWaiter::new(self, key, MATCH_ANY, None);
            if let Err(errno) = futexes.enqueue(&mm, word.addr, *value, &own) {
                return match leave(&queued) {
                    Some(at) => Ok(Ok(at)),
                    None => Err(errno.into()),
                };
            }
            queued.push(own);
        }
        let is_woken = |own: &Arc<FutexWaiter>| own.woken.load(Ordering::SeqCst);
        let result = self.block_registered(deadline, || queued.iter().any(is_woken).then_some(()));
        // Woken and interrupted at once counts as woken.
        Ok(match (leave(&queued), result) {
            (Some(at), _) => Ok(at),
            (None, Err(why)) => Err(why),
            // Not to be reached: a woken one has left its queue.
            (None, Ok(())) => Err(Interrupted::Signal),
        })
    }
}
