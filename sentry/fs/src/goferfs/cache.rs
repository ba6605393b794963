//! What is kept although nobody uses it, up to a limit.

use std::collections::VecDeque;

/// A queue with second chances: what was used since it was last looked at goes to the back.
pub(super) struct Clock<T> {
    queue: VecDeque<(T, usize)>,
    weight: usize,
}

impl<T> Default for Clock<T> {
    fn default() -> Clock<T> {
        Clock { queue: VecDeque::new(), weight: 0 }
    }
}

impl<T> Clock<T> {
    /// Adds `item`, and gives what has to go so that the rest weighs at most `limit`. `used` says
    /// whether an item was used, and forgets that. The caller drops them without its locks.
    pub fn add(
        &mut self,
        item: T,
        weight: usize,
        limit: usize,
        used: impl Fn(&T) -> bool,
    ) -> Vec<T> {
        self.queue.push_back((item, weight));
        self.weight += weight;
        let mut gone = Vec::new();
        // Each may be spared once, or all of them in use would keep us here for ever.
        let mut spared = self.queue.len();
        while self.weight > limit {
            let Some((item, weight)) = self.queue.pop_front() else { break };
            if spared > 0 && used(&item) {
                spared -= 1;
                self.queue.push_back((item, weight));
            } else {
                self.weight -= weight;
                gone.push(item);
            }
        }
        gone
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_is_used_stays_longer() {
        let used = Cell::new(1);
        let was_used = |item: &i32| *item == used.get() && used.replace(0) != 0;
        let mut clock = Clock::default();
        for item in 1..=3 {
            assert!(clock.add(item, 1, 3, was_used).is_empty());
        }
        assert_eq!(clock.add(4, 1, 3, was_used), [2]);
        assert_eq!(clock.add(5, 1, 3, was_used), [3]);
        assert_eq!(clock.add(6, 3, 3, |_| true), [4, 1, 5]);
        assert_eq!(clock.len(), 1);
    }
}
