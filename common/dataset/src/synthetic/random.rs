//! Random numbers whose bits are the same on every machine and in every version of every crate.
//!
//! Called by the drawing of the synthetic digits only; the permutation of an epoch has its own source.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The stream of one sample: another seed, split or index gives an unrelated one.
    pub fn of_sample(seed: u64, split: u64, index: u64) -> Self {
        let mut state = seed;
        for part in [split, index] {
            state = mix(state.wrapping_add(GOLDEN)) ^ part.wrapping_mul(GOLDEN);
        }
        Self(mix(state))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴, so exact in an f32.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0…bound − 1; the bias, below bound / 2³², does not matter here.
    pub fn below(&mut self, bound: usize) -> usize {
        (((self.next() >> 32) * bound as u64) >> 32) as usize
    }

    /// Close to normal with mean 0 and the given standard deviation, within ± 3.46 of them: a sum of four uniform
    /// numbers (each of variance 1/12), since logarithm and cosine differ between platforms.
    pub fn normal(&mut self, deviation: f32) -> f32 {
        let sum: f32 = (0..4).map(|_| self.unit() - 0.5).sum();
        sum * deviation * SQRT_3
    }
}

/// Scales a sum of four centred uniform numbers to variance 1.
const SQRT_3: f32 = 1.732_050_8;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_ranges_are_right() {
        let mut random = Random::of_sample(1, 2, 3);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..100_000 {
            let value = f64::from(random.normal(2.0));
            sum += value;
            squares += value * value;
            assert!((0.0..1.0).contains(&random.unit()));
            assert!(random.below(7) < 7);
        }
        assert!((sum / 1e5).abs() < 0.03);
        assert!((squares / 1e5 - 4.0).abs() < 0.1);
    }

    #[test]
    fn every_part_of_the_name_changes_the_stream() {
        let first = |seed, split, index| Random::of_sample(seed, split, index).next();
        let base = first(0, 0, 0);
        assert_eq!(base, first(0, 0, 0));
        assert!(
            [first(1, 0, 0), first(0, 1, 0), first(0, 0, 1)].iter().all(|&other| other != base)
        );
        assert_ne!(first(0, 0, 1), first(0, 1, 0));
    }
}
