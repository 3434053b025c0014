//! The closed formulas of `tests/reference/single_node.py`: samples and initial parameters without a file.

use common::architecture::{CENTER, Start, TensorKind, TensorSpec};
use common::config::Network;
use common::data_shape::DataShape;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::data::Samples;
use super::results::Tensors;

/// Number of the centers among the tensors that are drawn.
const CENTER_TENSOR: u64 = 28;

/// One output of SplitMix64 from this state.
fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `count` numbers in 0…1.
fn uniform(tensor: u64, count: usize) -> impl Iterator<Item = f64> {
    (0..count as u64)
        .map(move |index| (splitmix64(tensor << 32 | index) >> 11) as f64 / (1_u64 << 53) as f64)
}

/// The first `count` samples.
pub fn samples(count: usize) -> Samples {
    let label = |i: u64| splitmix64(1 << 61 | i) % DataShape::MNIST.classes as u64;
    let pixel = |i: u64, p: u64| {
        let byte = (splitmix64(1 << 60 | i << 10 | p) >> 56) as u8;
        let lit = (p * 7 + label(i) * 13) % 10 < 5;
        if lit { byte } else { byte / 4 }
    };
    let indices = 0..count as u64;
    Samples {
        labels: indices.clone().map(|i| label(i) as u8).collect(),
        pixels: indices.flat_map(|i| (0..784).map(move |p| pixel(i, p))).collect(),
    }
}

/// Initial parameters and centers.
pub fn parameters(network: Network, feature_dim: usize) -> Tensors {
    let specs = network.architecture(DataShape::MNIST).parameters(feature_dim);
    let value =
        |(tensor, spec): (usize, &TensorSpec)| (spec.name.clone(), initial(tensor as u64, spec));
    let mut tensors: Tensors = specs.iter().enumerate().map(value).collect();
    let centers =
        uniform(CENTER_TENSOR, DataShape::MNIST.classes * feature_dim).map(|u| 4.0 * u - 2.0);
    tensors.insert(CENTER.to_string(), centers.collect());
    tensors
}

fn initial(tensor: u64, spec: &TensorSpec) -> Vec<f64> {
    let uniform = uniform(tensor, spec.shape.iter().product());
    match spec.start {
        Start::Slope => uniform.map(|_| 0.25).collect(),
        Start::Ones => uniform.map(|u| 0.75 + 0.5 * u).collect(),
        Start::Zeros => uniform.map(|u| 0.2 * (u - 0.5)).collect(),
        Start::Uniform { fan_in } => {
            uniform.map(|u| (2.0 * u - 1.0) / (fan_in as f64).sqrt()).collect()
        }
        Start::Normal => unreachable!("the centers have a formula of their own"),
    }
}

/// A file for `--init-from`, in float64, nothing tracked yet.
pub fn initial_state(network: Network, feature_dim: usize) -> Vec<u8> {
    let parameters = parameters(network, feature_dim);
    let tensors =
        network.architecture(DataShape::MNIST).tensors(feature_dim).into_iter().map(|spec| {
            let count = spec.shape.iter().product();
            let (dtype, values) = match spec.kind {
                TensorKind::Counter => return (spec, Dtype::I64, vec![0; 8]),
                TensorKind::Statistic if spec.name.ends_with("mean") => {
                    (Dtype::F64, vec![0.0; count])
                }
                TensorKind::Statistic => (Dtype::F64, vec![1.0; count]),
                _ => (Dtype::F64, parameters[&spec.name].clone()),
            };
            (spec, dtype, values.into_iter().flat_map(f64::to_le_bytes).collect())
        });
    let tensors: Vec<(TensorSpec, Dtype, Vec<u8>)> = tensors.collect();
    let views = tensors.iter().map(|(spec, dtype, bytes)| {
        (&spec.name, TensorView::new(*dtype, spec.shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}
