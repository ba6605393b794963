//! Stopping a guest thread from outside.

use parking_lot::Mutex;

/// Asks one guest thread to stop and report [`crate::Event::Interrupted`].
///
/// The kernel makes one per guest thread and keeps it; the platform binds it to the host thread
/// that runs the guest. A request is never lost: made while the thread is not in guest code, it
/// is kept, and the thread reports it instead of entering guest code the next time.
#[derive(Default)]
pub struct Interrupt {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: bool,
    /// Present while the thread is in guest code: kicks it out of there.
    kick: Option<Box<dyn Fn() + Send>>,
}

impl Interrupt {
    /// Requests the interruption. Cheap when the thread is not in guest code. Never blocks.
    pub fn interrupt(&self) {
        let mut state = self.state.lock();
        if !state.pending {
            state.pending = true;
            if let Some(kick) = &state.kick {
                kick();
            }
        }
    }

    /// Platform side, before entering guest code. False: a request is pending (and now taken), so
    /// do not enter. True: until [`Interrupt::leave`], `interrupt` calls `kick`.
    pub fn enter(&self, kick: impl Fn() + Send + 'static) -> bool {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.pending) {
            return false;
        }
        state.kick = Some(Box::new(kick));
        true
    }

    /// Platform side, after leaving guest code. True if a request was made meanwhile: it is taken,
    /// and the platform reports `Interrupted` after (or instead of) what else happened.
    pub fn leave(&self) -> bool {
        let mut state = self.state.lock();
        state.kick = None;
        std::mem::take(&mut state.pending)
    }
}
