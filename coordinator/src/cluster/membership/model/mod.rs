//! The state machine under random events, with workers that keep to the rules: whatever happens, there are never two
//! live generations, no rank twice, no step lost or done twice, and a run goes on whenever enough workers live.
//!
//! - `world`: the workers, and what decisions do to them;
//! - `happening`: what may happen to them.

mod happening;
mod world;

use proptest::prelude::*;

use happening::{Happening, happening};
use world::World;

use super::rules::Rules;
use super::state::Phase;
use super::tests::rules;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn whatever_happens_membership_stays_sound_and_the_run_goes_on(
        workers in 1u32..5,
        fewer in 0u32..4,
        shards in 1u32..6,
        listening in any::<bool>(),
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let rules = Rules {
            min_workers: workers.saturating_sub(fewer).max(1),
            max_workers: 5,
            logical_shards: shards,
            max_generations: 1000,
            ..rules(workers)
        };
        let mut world = World::new(rules, listening);
        for happening in happenings {
            world.happen(happening);
        }
        world.recover();
        prop_assert!(!world.ended);
        prop_assert_eq!(&world.membership.phase, &Phase::Training, "{:?}", world.membership);
        let before = world.done;
        world.happen(Happening::Step);
        prop_assert_eq!(world.done, before + 1);
    }
}
