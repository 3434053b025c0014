//! Which members of a generation share their cores, and each one's number among them. Where nobody was given a part of a
//! machine these are the members on one machine.

use std::collections::HashMap;

use super::generation::LocalPlace;

/// The members' places on their machines, from the machine of each, in the order of ranks. Who does not know its machine
/// is taken to be alone there.
pub(super) fn local_places(machines: &[&str]) -> Vec<LocalPlace> {
    let mut sizes: HashMap<&str, u32> = HashMap::new();
    let ranks = machines.iter().map(|machine| {
        let size = sizes.entry(machine).or_default();
        *size += 1;
        *size - 1
    });
    let ranks: Vec<u32> = ranks.collect();
    let places = machines.iter().zip(ranks).map(|(machine, rank)| match *machine {
        "" => LocalPlace { rank: 0, world_size: 1 },
        machine => LocalPlace { rank, world_size: sizes[machine] },
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_counted_machine_by_machine() {
        let places = local_places(&["a", "b", "", "a", "", "a"]);
        let numbers: Vec<_> = places.iter().map(|place| (place.rank, place.world_size)).collect();
        assert_eq!(numbers, [(0, 3), (0, 1), (0, 1), (1, 3), (0, 1), (2, 3)]);
    }
}
