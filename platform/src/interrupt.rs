//! Stopping a guest thread from outside.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A request was made and not yet reported.
const PENDING: u32 = 1;
/// The thread is in guest code, or about to enter it: a request must kick it.
const INSIDE: u32 = 2;

/// Asks one guest thread to stop and report [`crate::Event::Interrupted`].
///
/// The kernel makes one per guest thread and keeps it; the platform binds it to the host thread
/// that runs the guest. A request is never lost: made while the thread is not in guest code, it
/// is kept, and the thread reports it instead of entering guest code the next time.
///
/// `enter` and `leave` are on the path of every guest call, so they are one atomic operation each;
/// only a request that finds the thread inside takes the lock.
#[derive(Default)]
pub struct Interrupt {
    state: AtomicU32,
    kick: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Interrupt {
    /// Requests the interruption. Cheap when the thread is not in guest code. Never blocks.
    pub fn interrupt(&self) {
        if self.state.fetch_or(PENDING, SeqCst) == INSIDE
            && let Some(kick) = &*self.kick.lock()
        {
            kick();
        }
    }

    /// Platform side: how to get the thread out of guest code. A kick may arrive late, when the
    /// thread has already left; the platform must recognise and ignore such a one.
    pub fn bind(&self, kick: impl Fn() + Send + 'static) {
        *self.kick.lock() = Some(Box::new(kick));
    }

    /// Platform side: no kick comes any more once this returns.
    pub fn unbind(&self) {
        *self.kick.lock() = None;
    }

    /// Platform side, before entering guest code. False: a request is pending (and now taken), so
    /// do not enter. True: until [`Interrupt::leave`], `interrupt` kicks.
    pub fn enter(&self) -> bool {
        self.state.swap(INSIDE, SeqCst) & PENDING == 0 || {
            // Taken; what comes between the two swaps is not lost.
            self.state.fetch_and(!INSIDE, SeqCst);
            false
        }
    }

    /// Platform side, after leaving guest code. True if a request was made meanwhile: it is taken,
    /// and the platform reports `Interrupted` after (or instead of) what else happened.
    pub fn leave(&self) -> bool {
        self.state.swap(0, SeqCst) & PENDING != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_request_outside_is_kept_and_taken_once() {
        let interrupt = Interrupt::default();
        interrupt.interrupt();
        interrupt.interrupt();
        assert!(!interrupt.enter());
        assert!(interrupt.enter());
        assert!(!interrupt.leave());
    }

    #[test]
    fn a_request_inside_kicks_once() {
        let interrupt = Interrupt::default();
        let kicks = Arc::new(AtomicUsize::new(0));
        let count = kicks.clone();
        interrupt.bind(move || {
            count.fetch_add(1, SeqCst);
        });
        assert!(interrupt.enter());
        interrupt.interrupt();
        interrupt.interrupt();
        assert!(interrupt.leave());
        assert!(!interrupt.leave());
        assert_eq!(kicks.load(SeqCst), 1);
    }
}
