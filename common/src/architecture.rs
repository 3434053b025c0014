//! Names and shapes of the network's tensors, in the order of a PyTorch `state_dict`.
//!
//! The coordinator checks files against this before any worker starts; the worker builds its network from it.

/// Classes of the classifier.
pub const CLASSES: usize = 10;
/// Height and width of an image, pixels.
pub const IMAGE_SIDE: usize = 28;
/// Pixels of an image.
pub const IMAGE_PIXELS: usize = IMAGE_SIDE * IMAGE_SIDE;
/// Height and width of a convolution's kernel.
pub const KERNEL_SIDE: usize = 5;
/// Features after the last pool: 128 channels of 3 × 3.
pub const FLATTENED: usize = 128 * 3 * 3;
/// Name of the class centers beside the state dict.
pub const CENTER: &str = "center";

/// One convolution, batch normalisation and PReLU, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionLayer {
    /// Index in the state dict's `conv_layer` sequence.
    pub index: usize,
    /// Channels of its input.
    pub inputs: usize,
    /// Channels of its output.
    pub outputs: usize,
    /// Height and width of its input and (before the pool) output.
    pub side: usize,
    /// Whether a 2 × 2 max-pool follows.
    pub pooled: bool,
}

/// The six convolutional layers.
pub const LAYERS: [ConvolutionLayer; 6] = [
    layer(0, 1, 32, 28, false),
    layer(1, 32, 32, 28, true),
    layer(3, 32, 64, 14, false),
    layer(4, 64, 64, 14, true),
    layer(6, 64, 128, 7, false),
    layer(7, 128, 128, 7, true),
];

const fn layer(
    index: usize,
    inputs: usize,
    outputs: usize,
    side: usize,
    pooled: bool,
) -> ConvolutionLayer {
    ConvolutionLayer { index, inputs, outputs, side, pooled }
}

impl ConvolutionLayer {
    /// State-dict name of one of this layer's tensors, e.g. `conv_layer.3.cnn_layer.1.running_mean`.
    pub fn tensor(&self, part: &str) -> String {
        format!("conv_layer.{}.cnn_layer.{part}", self.index)
    }
}

/// Suffix of a layer's convolution kernel, `[outputs, inputs, 5, 5]`.
pub const CONVOLUTION_WEIGHT: &str = "0.weight";
/// Suffix of a layer's BatchNorm scale γ, `[outputs]`.
pub const NORM_WEIGHT: &str = "1.weight";
/// Suffix of a layer's BatchNorm shift β, `[outputs]`.
pub const NORM_BIAS: &str = "1.bias";
/// Suffix of a layer's running mean, `[outputs]`.
pub const RUNNING_MEAN: &str = "1.running_mean";
/// Suffix of a layer's running (unbiased) variance, `[outputs]`.
pub const RUNNING_VARIANCE: &str = "1.running_var";
/// Suffix of a layer's count of training batches, a 64-bit integer scalar.
pub const BATCHES_TRACKED: &str = "1.num_batches_tracked";
/// Suffix of a layer's PReLU slope, `[1]`.
pub const SLOPE: &str = "2.weight";

/// Whether a tensor is trained or only tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// Trained by the network's optimizer.
    Parameter,
    /// A floating-point running statistic.
    Statistic,
    /// A 64-bit integer counter.
    Counter,
    /// The class centers, trained by their own optimizer.
    Center,
}

/// One named tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// State-dict name.
    pub name: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: TensorKind,
}

/// Every tensor of a model file for `feature_dim` features: the 46 entries of the state dict, then `center`.
pub fn tensors(feature_dim: usize) -> Vec<TensorSpec> {
    let mut list = Vec::new();
    let mut add = |name: String, shape: &[usize], kind| {
        list.push(TensorSpec { name, shape: shape.to_vec(), kind });
    };
    for layer in LAYERS {
        let channels = &[layer.outputs];
        let kernel = &[layer.outputs, layer.inputs, KERNEL_SIDE, KERNEL_SIDE];
        add(layer.tensor(CONVOLUTION_WEIGHT), kernel, TensorKind::Parameter);
        add(layer.tensor(NORM_WEIGHT), channels, TensorKind::Parameter);
        add(layer.tensor(NORM_BIAS), channels, TensorKind::Parameter);
        add(layer.tensor(RUNNING_MEAN), channels, TensorKind::Statistic);
        add(layer.tensor(RUNNING_VARIANCE), channels, TensorKind::Statistic);
        add(layer.tensor(BATCHES_TRACKED), &[], TensorKind::Counter);
        add(layer.tensor(SLOPE), &[1], TensorKind::Parameter);
    }
    add("features.weight".into(), &[feature_dim, FLATTENED], TensorKind::Parameter);
    add("features.bias".into(), &[feature_dim], TensorKind::Parameter);
    add("output.weight".into(), &[CLASSES, feature_dim], TensorKind::Parameter);
    add("output.bias".into(), &[CLASSES], TensorKind::Parameter);
    add(CENTER.into(), &[CLASSES, feature_dim], TensorKind::Center);
    list
}

/// The trained tensors of the network, in order: 28 of them, 797,638 numbers for two features.
pub fn parameters(feature_dim: usize) -> Vec<TensorSpec> {
    tensors(feature_dim).into_iter().filter(|t| t.kind == TensorKind::Parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_dict_is_the_one_a_pytorch_user_has() {
        let all = tensors(2);
        assert_eq!(all.len(), 47);
        let parameters = parameters(2);
        assert_eq!(parameters.len(), 28);
        let numbers: usize = parameters.iter().map(|t| t.shape.iter().product::<usize>()).sum();
        assert_eq!(numbers, 797_638);
        assert_eq!(all[0].name, "conv_layer.0.cnn_layer.0.weight");
        assert_eq!(all[0].shape, [32, 1, 5, 5]);
        assert_eq!(all[41].name, "conv_layer.7.cnn_layer.2.weight");
    }
}
