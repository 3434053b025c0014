//! Which copy of the state a step reads, which it writes, which is the newest that is known to be whole, and which all ranks
//! agree on.
//!
//! A GPU is asked for steps ahead of time, and what was asked for runs even when a peer was lost meanwhile, on whatever
//! it then finds in memory. So no step may write where the newest committed state lies, nor where the one before lies
//! that all agree on until they agree on that one: there are two copies more than steps that may be under way. Pure but
//! for the markers, which are the caller's.

use std::collections::VecDeque;

/// Steps that may be under way at once: the device computes one while the host asks for the next.
pub const IN_FLIGHT: usize = 2;
/// Copies of the state.
pub const COPIES: usize = IN_FLIGHT + 2;

/// The steps under way and the copies they use. `M` is what is known of a step under way.
#[derive(Debug)]
pub struct Ring<M> {
    under_way: VecDeque<M>,
    /// The copy with the newest committed state.
    newest: usize,
    /// The copy that all ranks agree on: the newest or the one before.
    agreed: usize,
}

impl<M> Default for Ring<M> {
    fn default() -> Self {
        Self { under_way: VecDeque::new(), newest: 0, agreed: 0 }
    }
}

impl<M> Ring<M> {
    /// The copy with the newest committed state.
    pub fn newest(&self) -> usize {
        self.newest
    }

    /// The copy that the next step reads: what the last one asked for writes.
    pub fn source(&self) -> usize {
        (self.newest + self.under_way.len()) % COPIES
    }

    /// The copy that the next step writes: neither the newest committed state, nor the one agreed on, nor that of a step
    /// under way.
    ///
    /// # Panics
    /// If no more steps may be under way.
    pub fn target(&self) -> usize {
        assert!(!self.is_full(), "a step is asked for before the oldest is committed");
        (self.source() + 1) % COPIES
    }

    /// Steps under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether the oldest step must be committed before another is asked for.
    pub fn is_full(&self) -> bool {
        self.under_way.len() == IN_FLIGHT
    }

    /// A step was asked for that reads `source` and writes `target`.
    pub fn push(&mut self, marker: M) {
        assert!(!self.is_full(), "a step is asked for before the oldest is committed");
        self.under_way.push_back(marker);
    }

    /// What is known of the oldest step under way.
    pub fn oldest(&self) -> Option<&M> {
        self.under_way.front()
    }

    /// All ranks agree on the newest committed state.
    pub fn agree(&mut self) {
        self.agreed = self.newest;
    }

    /// The oldest step under way is whole: its state is the newest committed one.
    ///
    /// # Panics
    /// If the ranks have not agreed on the one before.
    pub fn commit(&mut self) -> Option<M> {
        let marker = self.under_way.pop_front()?;
        assert_eq!(
            self.agreed, self.newest,
            "a step is committed before the ranks agree on the last"
        );
        self.newest = (self.newest + 1) % COPIES;
        Some(marker)
    }

    /// What is committed counts as far as all have agreed on it.
    pub fn go_back(&mut self) {
        self.newest = self.agreed;
    }

    /// Nothing that is under way counts.
    pub fn give_up(&mut self) {
        self.under_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Steps are asked for and committed in any order; every copy says which step wrote it last, finished or not.
        #[test]
        fn what_is_committed_or_agreed_on_is_never_written(asks in proptest::collection::vec(any::<bool>(), 0..60)) {
            let mut ring = Ring::default();
            let mut copies = [0; COPIES];
            let (mut asked, mut committed, mut agreed) = (0, 0, 0);
            for ask in asks {
                if ask && !ring.is_full() {
                    prop_assert_eq!(copies[ring.source()], asked, "a step reads what the one before wrote");
                    let target = ring.target();
                    prop_assert_ne!(target, ring.newest());
                    asked += 1;
                    copies[target] = asked;
                    ring.push(asked);
                } else if !ring.is_empty() {
                    ring.agree();
                    agreed = committed;
                    committed += 1;
                    prop_assert_eq!(ring.commit(), Some(committed));
                }
                prop_assert_eq!(copies[ring.newest()], committed);
                prop_assert_eq!(copies[ring.agreed], agreed);
            }
            ring.give_up();
            prop_assert_eq!(copies[ring.source()], committed, "recovery goes on from the newest");
            ring.go_back();
            prop_assert_eq!(copies[ring.source()], agreed, "or from what all agree on");
        }
    }

    #[test]
    #[should_panic(expected = "before the oldest is committed")]
    fn more_steps_than_copies_are_a_defect() {
        let mut ring = Ring::default();
        (0..=IN_FLIGHT).for_each(|step| ring.push(step));
    }
}
