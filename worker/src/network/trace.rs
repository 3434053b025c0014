//! What logical shards add to a step's sums, each part in sixty-four bits: two ranks that have computed the same shard compare
//! it, part by part.

use super::layout::Layout;
use crate::mathematics::kernels::digest::{Word, digest};

/// What each shard of a pass has added so far, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub struct Trace(Vec<Vec<u64>>);

impl Trace {
    /// A shard adds these numbers. Bits of those that are none differ between processors, and count alike.
    pub fn add<W: Word>(&mut self, shard: usize, numbers: &[W]) {
        if self.0.len() <= shard {
            self.0.resize(shard + 1, Vec::new());
        }
        let is_nan = |number: &W| number.is_nan();
        let claim = if numbers.iter().any(is_nan) {
            let same = |number: &W| if number.is_nan() { u64::MAX } else { number.bits() };
            digest(&numbers.iter().map(same).collect::<Vec<u64>>())
        } else {
            digest(numbers)
        };
        self.0[shard].push(claim);
    }

    /// What each has added; as many parts of each.
    pub fn into_parts(self) -> Vec<Vec<u64>> {
        self.0
    }
}

/// In how many parts a shard adds in a step: its sums of each layer forward, or of the classes where there is none; two losses,
/// what moves the centers, features and predictions; its sums of each layer backward; its buckets.
pub fn parts(layout: &Layout) -> usize {
    let layers = layout.architecture.convolutions.len();
    layers.max(1) + 4 + layers + layout.buckets.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_counts_alike() {
        let of = |numbers: &[f32]| {
            let mut trace = Trace::default();
            trace.add(0, numbers);
            trace.into_parts()
        };
        let other = f32::from_bits(f32::NAN.to_bits() ^ 0x8000_0001);
        assert!(other.is_nan());
        assert_eq!(of(&[1.0, f32::NAN]), of(&[1.0, other]));
        assert_ne!(of(&[1.0, f32::NAN]), of(&[f32::NAN, 1.0]));
        assert_ne!(of(&[1.0, f32::NAN]), of(&[1.0, f32::INFINITY]));
    }
}
