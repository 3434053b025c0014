//! A new network's parameters and centers, drawn on the CPU from the run's seed.
//!
//! As PyTorch's modules initialise themselves: kernels, weights and biases of convolutions and linear layers uniform
//! in ±1/√fan_in, BatchNorm 1 and 0, PReLU 0.25. Centers are standard normal. The numbers are a function of the seed
//! alone, the same for every precision but for rounding.

use common::architecture::{Start, TensorSpec};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Streams of the seed's generator: permutations use those from 0 on, one an epoch.
const PARAMETERS_STREAM: u64 = u64::MAX;
const CENTERS_STREAM: u64 = u64::MAX - 1;
/// PReLU's slope before training.
const INITIAL_SLOPE: f64 = 0.25;

/// Draws parameters one after the other, in state-dict order.
pub struct Initialiser(ChaCha8Rng);

impl Initialiser {
    /// The draw of a seed.
    pub fn new(seed: u64) -> Self {
        Self(stream(seed, PARAMETERS_STREAM))
    }

    /// The next parameter's numbers, in its state-dict shape's order.
    pub fn draw(&mut self, spec: &TensorSpec) -> Vec<f64> {
        let length = spec.shape.iter().product();
        let mut filled = |value: &dyn Fn(&mut ChaCha8Rng) -> f64| {
            (0..length).map(|_| value(&mut self.0)).collect()
        };
        match spec.start {
            Start::Zeros => filled(&|_| 0.0),
            Start::Ones => filled(&|_| 1.0),
            Start::Slope => filled(&|_| INITIAL_SLOPE),
            Start::Uniform { fan_in } => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                filled(&|random| bound * (2.0 * unit(random) - 1.0))
            }
            Start::Normal => filled(&normal),
        }
    }
}

/// The centers of a seed, `[classes, feature_dim]`, so many numbers, standard normal (Box and Muller, 1958).
pub fn centers(seed: u64, numbers: usize) -> Vec<f64> {
    let mut random = stream(seed, CENTERS_STREAM);
    (0..numbers).map(|_| normal(&mut random)).collect()
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - unit(random))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * unit(random))
}

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

/// Uniform in [0, 1), 53 bits.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use common::config::Network;
    use common::data_shape::DataShape;

    use super::*;

    #[test]
    fn the_distributions_are_pytorchs() {
        let mut initialiser = Initialiser::new(3);
        for spec in Network::Cnn.architecture(DataShape::MNIST).parameters(2) {
            let values = initialiser.draw(&spec);
            let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let expected = match (spec.shape.as_slice(), spec.name.as_str()) {
                ([_, inputs, 5, 5], _) => 1.0 / (25.0 * *inputs as f64).sqrt(),
                (_, name) if name.starts_with("features") => 1.0 / 1152f64.sqrt(),
                (_, name) if name.starts_with("output") => 1.0 / 2f64.sqrt(),
                (_, name) if name.ends_with("1.weight") => 1.0,
                (_, name) if name.ends_with("1.bias") => 0.0,
                _ => 0.25,
            };
            assert!(largest <= expected, "{}", spec.name);
            if values.len() > 100 {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                assert!(largest >= 0.99 * expected, "{}", spec.name);
                assert!(mean == largest || mean.abs() < 0.1 * expected, "{}", spec.name);
            }
        }
    }

    #[test]
    fn centers_are_standard_normal_and_the_seeds_own() {
        let many = centers(1, 10_000);
        let mean = many.iter().sum::<f64>() / 10_000.0;
        let variance = many.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert_eq!(centers(7, 20), centers(7, 20));
        assert_ne!(centers(7, 20), centers(8, 20));
    }
}
