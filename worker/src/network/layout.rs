//! Where each parameter lies in the one flat vector that holds them all.
//!
//! First the parameters whose gradients are reduced in buckets, in the order in which the backward pass finishes them,
//! then those of BatchNorm and PReLU, whose gradients are global sums already. Convolution kernels are stored as
//! `[outputs, height, width, inputs]`, the layout the convolutions are fastest with; names and shapes remain those of
//! the state dict.

use std::ops::Range;

use common::architecture::{
    Architecture, CONVOLUTION_WEIGHT, ConvolutionLayer, HiddenLayer, NORM_BIAS, NORM_WEIGHT, SLOPE,
    TensorSpec,
};
use tch::Tensor;

/// Every parameter begins at a multiple of this many numbers, for aligned access.
const ALIGNMENT: usize = 16;

/// One parameter in the flat vector.
#[derive(Clone, Debug)]
pub struct Entry {
    /// State-dict name and shape.
    pub spec: TensorSpec,
    /// Index of its first number.
    pub offset: usize,
    /// Numbers it has.
    pub length: usize,
}

/// The parameters that follow a convolution.
#[derive(Clone, Copy, Debug)]
pub struct NormEntries {
    /// Index of γ in [`Layout::entries`].
    pub weight: usize,
    /// Index of β.
    pub bias: usize,
    /// Index of PReLU's slope.
    pub slope: usize,
}

/// The parameters of a hidden layer.
#[derive(Clone, Copy, Debug)]
pub struct HiddenEntries {
    /// Index of its weight in [`Layout::entries`].
    pub weight: usize,
    /// Index of its bias.
    pub bias: usize,
    /// Index of PReLU's slope.
    pub slope: usize,
}

/// The flat vector's plan.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Whose parameters they are.
    pub architecture: Architecture,
    /// The parameters in state-dict order.
    pub entries: Vec<Entry>,
    /// Index in `entries` of each layer's convolution kernel.
    pub convolutions: Vec<usize>,
    /// Indices in `entries` of what follows each convolution.
    pub norms: Vec<NormEntries>,
    /// Indices in `entries` of each hidden layer's parameters.
    pub hidden: Vec<HiddenEntries>,
    /// Indices in `entries` of `features.weight`, `features.bias`, `output.weight`, `output.bias`.
    pub heads: [usize; 4],
    /// Gradients reduced together, each once so many convolutional layers are left to run backward.
    pub buckets: Vec<(usize, Range<usize>)>,
    /// Numbers of the flat vector, padding included.
    pub total: usize,
}

/// How many convolutional layers are left to run backward when a bucket is complete: the last one's kernel, half of all
/// numbers, travels while the others are computed.
const BUCKET_ENDS: [usize; 3] = [5, 4, 0];

impl Layout {
    /// The plan for a network with features of this dimension.
    pub fn new(architecture: Architecture, feature_dim: usize) -> Self {
        let Architecture { convolutions: layers, hidden, .. } = &architecture;
        let specs = architecture.parameters(feature_dim);
        let find = |name: &str| {
            let found = specs.iter().position(|spec| spec.name == name);
            found.expect("every part of the network is in its architecture")
        };
        let kernel = |layer: &ConvolutionLayer| find(&layer.tensor(CONVOLUTION_WEIGHT));
        let convolutions: Vec<usize> = layers.iter().map(kernel).collect();
        let norm = |layer: &ConvolutionLayer| NormEntries {
            weight: find(&layer.tensor(NORM_WEIGHT)),
            bias: find(&layer.tensor(NORM_BIAS)),
            slope: find(&layer.tensor(SLOPE)),
        };
        let norms: Vec<NormEntries> = layers.iter().map(norm).collect();
        let entries_of = |layer: &HiddenLayer| HiddenEntries {
            weight: find(&layer.weight()),
            bias: find(&layer.bias()),
            slope: find(&layer.slope()),
        };
        let hidden: Vec<HiddenEntries> = hidden.iter().map(entries_of).collect();
        let heads = ["features.weight", "features.bias", "output.weight", "output.bias"].map(find);

        let mut offsets = vec![0; specs.len()];
        let mut total = 0;
        let mut place = |index: usize, total: &mut usize| {
            offsets[index] = *total;
            let length: usize = specs[index].shape.iter().product();
            *total = (*total + length).next_multiple_of(ALIGNMENT);
        };
        heads.iter().rev().for_each(|&index| place(index, &mut total));
        for HiddenEntries { weight, bias, slope } in hidden.iter().rev() {
            [*slope, *bias, *weight].into_iter().for_each(|index| place(index, &mut total));
        }
        let mut buckets = Vec::new();
        let mut start = 0;
        for left in (0..=convolutions.len()).rev() {
            if let Some(&kernel) = convolutions.get(left) {
                place(kernel, &mut total);
            }
            if BUCKET_ENDS.contains(&left) {
                buckets.push((left, start..total));
                start = total;
            }
        }
        for norm in &norms {
            [norm.weight, norm.bias, norm.slope]
                .into_iter()
                .for_each(|index| place(index, &mut total));
        }
        let entries = specs.into_iter().zip(offsets).map(|(spec, offset)| Entry {
            length: spec.shape.iter().product(),
            spec,
            offset,
        });
        let entries = entries.collect();
        Self { architecture, entries, convolutions, norms, hidden, heads, buckets, total }
    }

    /// Numbers that are reduced in buckets: they come first.
    pub fn bucketed(&self) -> usize {
        self.buckets.last().map_or(0, |(_, range)| range.end)
    }

    /// Where the parameter at `index` lies in a flat vector.
    pub fn range(&self, index: usize) -> Range<usize> {
        let Entry { offset, length, .. } = self.entries[index];
        offset..offset + length
    }

    /// The parameter at `index` as a view of a flat vector, in its state-dict shape.
    pub fn view(&self, flat: &Tensor, index: usize) -> Tensor {
        let entry = &self.entries[index];
        let flat = flat.narrow(0, entry.offset as i64, entry.length as i64);
        let shape: Vec<i64> = entry.spec.shape.iter().map(|&size| size as i64).collect();
        match shape[..] {
            [outputs, inputs, height, width] => {
                flat.view([outputs, height, width, inputs]).permute([0, 3, 1, 2])
            }
            _ => flat.view(&shape[..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::config::Network;
    use common::data_shape::DataShape;
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn every_number_has_one_place() {
        check_places(Network::Cnn, 797_638.0);
        check_places(Network::Mlp, 533_794.0);
    }

    fn check_places(network: Network, numbers: f64) {
        let layout = Layout::new(network.architecture(DataShape::MNIST), 2);
        let flat = Tensor::zeros([layout.total as i64], (Kind::Float, Device::Cpu));
        for index in 0..layout.entries.len() {
            let _ = layout.view(&flat, index).g_add_scalar_(1.0);
        }
        assert_eq!(flat.sum(Kind::Double).double_value(&[]), numbers);
        assert_eq!(flat.max().double_value(&[]), 1.0);
    }

    #[test]
    fn buckets_cover_kernels_and_heads_and_nothing_else() {
        let layout = Layout::new(Network::Cnn.architecture(DataShape::MNIST), 2);
        let mut next = 0;
        for (_, range) in &layout.buckets {
            assert_eq!(range.start, next);
            next = range.end;
        }
        let bucketed = layout.convolutions.iter().chain(&layout.heads);
        assert!(bucketed.clone().all(|&index| layout.entries[index].offset < next));
        let others = (0..28).filter(|index| !bucketed.clone().any(|other| other == index));
        assert!(others.clone().all(|index| layout.entries[index].offset >= next));
        assert_eq!(others.count(), 18);
    }

    #[test]
    fn all_of_a_network_without_convolutions_is_one_bucket_behind_the_head() {
        let layout = Layout::new(Network::Mlp.architecture(DataShape::MNIST), 2);
        assert_eq!(layout.buckets, [(0, 0..layout.total)]);
    }
}
