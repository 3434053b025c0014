//! Generations that break without a step though nobody was lost: the next one waits, a little longer each time, and
//! newcomers that the last one was formed for are left out of it.
//!
//! They are no losses and are counted apart. A step ends the count.

use std::time::Duration;

use common::ids::Slot;

use super::event::Decision;
use super::state::Membership;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(5);
/// So many in a row end the run: pauses of eight minutes in all.
const MOST: u64 = 100;

/// What is known of steps in the last generation, and of generations without any.
#[derive(Debug, Default)]
pub(super) struct Pausing {
    /// Steps that were done when the last generation began.
    pub(super) base: u64,
    /// It has done one.
    stepped: bool,
    /// It has broken without one, and so far nobody was found lost.
    barren: bool,
    /// Who was blamed for that.
    blamed: Vec<Slot>,
    /// Such generations, one after the other.
    pub(super) fruitless: u64,
    /// No generation begins before.
    pub(super) until: Duration,
}

impl Membership {
    /// A generation begins, with so many steps done.
    pub(super) fn begin_counting_steps(&mut self, base: u64) {
        let Pausing { fruitless, until, .. } = self.pausing;
        self.pausing = Pausing { base, fruitless, until, ..Pausing::default() };
    }

    /// A member of the last generation has got so far.
    pub(super) fn notice_steps(&mut self, done: u64) {
        if done <= self.pausing.base || self.pausing.stepped {
            return;
        }
        self.pausing.stepped = true;
        self.pausing.fruitless = 0;
        self.futile.clear();
        for member in self.members.values_mut().filter(|member| member.rank.is_some()) {
            (member.proven, member.suspect) = (true, None);
        }
    }

    /// The last generation has broken, and nobody is known to be lost: a loss all the same, unless it made no step.
    pub(super) fn count_breakage(
        &mut self,
        now: Duration,
        cause: &str,
        slot: Slot,
    ) -> Vec<Decision> {
        if self.pausing.stepped {
            return self.count_loss(now, cause, Some(slot));
        }
        self.pausing.barren = true;
        self.pausing.fruitless += 1;
        let times = self.pausing.fruitless;
        if times > MOST {
            let reason =
                format!("{cause}; that was generation number {times} in a row without a step");
            return self.fail(now, &reason, Some(slot));
        }
        let pause = FIRST * (1 << (times - 1).min(10)) as u32;
        self.pausing.until = now + pause.min(LONGEST);
        self.suspect_newcomers(cause);
        Vec::new()
    }

    /// A member of the last generation is lost: that is what broke it.
    pub(super) fn explain_breakage(
        &mut self,
        now: Duration,
        cause: &str,
        slot: Slot,
    ) -> Vec<Decision> {
        if !std::mem::take(&mut self.pausing.barren) {
            return Vec::new();
        }
        // News of a step may have come since, which ended the count.
        self.pausing.fruitless = self.pausing.fruitless.saturating_sub(1);
        self.pausing.until = now;
        for slot in std::mem::take(&mut self.pausing.blamed) {
            if let Some(member) = self.members.get_mut(&slot) {
                member.suspect = None;
            }
        }
        self.count_loss(now, cause, Some(slot))
    }

    /// Something that stood in the way is gone.
    pub(super) fn end_pause(&mut self, now: Duration) {
        self.pausing.until = self.pausing.until.min(now);
    }

    /// Those that have not yet done a step are left out where others have done some without them.
    fn suspect_newcomers(&mut self, cause: &str) {
        let ranked = || self.members.iter().filter(|(_, member)| member.rank.is_some());
        if !ranked().any(|(_, member)| member.proven) {
            return;
        }
        let newcomers: Vec<Slot> =
            ranked().filter(|(_, member)| !member.proven).map(|(slot, _)| *slot).collect();
        for slot in &newcomers {
            let member = self.members.get_mut(slot).expect("it is a member's slot");
            member.suspect = Some(format!(
                "the generation that it was to join made no step ({cause}); it takes part when the run lacks workers, or \
                 when it joins anew"
            ));
        }
        self.pausing.blamed = newcomers;
    }
}
