//! The networks as data: their layers, and names and shapes of their tensors in the order of a PyTorch `state_dict`.
//!
//! The coordinator checks files against this before any worker starts; the worker builds its network from it.

use std::sync::Arc;

use crate::config::Network;
use crate::data_shape::DataShape;

/// Height and width of a convolution's kernel.
pub const KERNEL_SIDE: usize = 5;
/// Zeros around a convolution's input, which keep its height and width.
pub const PADDING: usize = KERNEL_SIDE / 2;
/// Name of the class centers beside the state dict.
pub const CENTER: &str = "center";
/// Before a parameter's name: SGD's momentum or Adam's first moment of it.
pub const FIRST_MOMENT: &str = "momentum.";
/// Likewise, Adam's second moment.
pub const SECOND_MOMENT: &str = "second_moment.";

/// A network as data: convolutional layers, then hidden linear ones, then the two linear layers `features` and
/// `output` that every network ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// What it is given and tells apart.
    pub data: DataShape,
    /// Convolutional layers, each with a BatchNorm over the global batch.
    pub convolutions: Arc<[ConvolutionLayer]>,
    /// Linear layers before `features`, without normalisation.
    pub hidden: Arc<[HiddenLayer]>,
    /// Inputs of `features`.
    pub flattened: usize,
}

/// One convolution, batch normalisation and PReLU, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionLayer {
    /// Index in the state dict's `conv_layer` sequence.
    pub index: usize,
    /// Channels of its input.
    pub inputs: usize,
    /// Channels of its output.
    pub outputs: usize,
    /// Of its input and (before the pool) output, positions.
    pub height: usize,
    /// Of its input and (before the pool) output, positions.
    pub width: usize,
    /// Whether a 2 × 2 max-pool follows.
    pub pooled: bool,
}

/// One linear layer and PReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HiddenLayer {
    /// Index of the linear layer in the state dict's `hidden` sequence; its PReLU has the next one.
    pub index: usize,
    /// Numbers of its input.
    pub inputs: usize,
    /// Numbers of its output.
    pub outputs: usize,
}

/// Outputs of the convolutional network's layers; after every second one the pool.
const CHANNELS: [[usize; 2]; 3] = [[32, 32], [64, 64], [128, 128]];
/// Outputs of the fully connected network's hidden layers.
const HIDDEN: [usize; 2] = [512, 256];

impl Network {
    /// Whether it can be given such images.
    ///
    /// # Errors
    /// Why not, and what to do, in the words a user should read.
    pub fn check(self, DataShape { height, width, .. }: DataShape) -> Result<(), String> {
        // Each stage halves an image.
        let least = 1 << CHANNELS.len();
        match self {
            Self::Cnn if height.min(width) < least => Err(format!(
                "cnn halves an image {} times, so it needs {least} × {least} pixels or more, and these have {height} × {width}: \
                 use --network mlp, or larger images",
                CHANNELS.len()
            )),
            Self::Cnn | Self::Mlp => Ok(()),
        }
    }

    /// What it is made of.
    pub fn architecture(self, data: DataShape) -> Architecture {
        match self {
            Self::Cnn => convolutional(data),
            Self::Mlp => fully_connected(data),
        }
    }
}

/// Six convolutional layers.
fn convolutional(data: DataShape) -> Architecture {
    let DataShape { channels: mut inputs, mut height, mut width, .. } = data;
    let mut layers = Vec::new();
    for (stage, channels) in CHANNELS.iter().enumerate() {
        for (within, &outputs) in channels.iter().enumerate() {
            let pooled = within + 1 == channels.len();
            // A pool has an index of its own in the sequence.
            let index = stage * (channels.len() + 1) + within;
            layers.push(ConvolutionLayer { index, inputs, outputs, height, width, pooled });
            inputs = outputs;
        }
        (height, width) = (height / 2, width / 2);
    }
    let flattened = inputs * height * width;
    Architecture { data, convolutions: layers.into(), hidden: Arc::new([]), flattened }
}

/// Two hidden layers on the pixels themselves.
fn fully_connected(data: DataShape) -> Architecture {
    let mut inputs = data.numbers();
    let mut layers = Vec::new();
    for (layer, outputs) in HIDDEN.into_iter().enumerate() {
        // A PReLU has an index of its own in the sequence.
        layers.push(HiddenLayer { index: 2 * layer, inputs, outputs });
        inputs = outputs;
    }
    Architecture { data, convolutions: Arc::new([]), hidden: layers.into(), flattened: inputs }
}

impl ConvolutionLayer {
    /// Positions of its input and (before the pool) output.
    pub fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Positions of its result.
    pub fn result_positions(&self) -> usize {
        if self.pooled { (self.height / 2) * (self.width / 2) } else { self.positions() }
    }

    /// Numbers of an image of its convolution's output, before the pool.
    pub fn output_numbers(&self) -> usize {
        self.positions() * self.outputs
    }

    /// Numbers of an image of its result.
    pub fn result_numbers(&self) -> usize {
        self.result_positions() * self.outputs
    }

    /// State-dict name of one of this layer's tensors, e.g. `conv_layer.3.cnn_layer.1.running_mean`.
    pub fn tensor(&self, part: &str) -> String {
        format!("conv_layer.{}.cnn_layer.{part}", self.index)
    }
}

impl HiddenLayer {
    /// State-dict name of its weight, `[outputs, inputs]`.
    pub fn weight(&self) -> String {
        format!("hidden.{}.weight", self.index)
    }

    /// State-dict name of its bias, `[outputs]`.
    pub fn bias(&self) -> String {
        format!("hidden.{}.bias", self.index)
    }

    /// State-dict name of its PReLU's slope, `[1]`.
    pub fn slope(&self) -> String {
        format!("hidden.{}.weight", self.index + 1)
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

/// What a tensor holds before training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
    /// PReLU's first slope, 0.25.
    Slope,
    /// Uniform in ±1/√`fan_in`.
    Uniform {
        /// Inputs of one output: a bias has those of its weight.
        fan_in: usize,
    },
    /// Standard normal.
    Normal,
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
    /// What it holds before training.
    pub start: Start,
}

impl Architecture {
    /// Every tensor of a model file for `feature_dim` features: the state dict's entries, then `center`.
    pub fn tensors(&self, feature_dim: usize) -> Vec<TensorSpec> {
        let mut list = Vec::new();
        self.convolutions.iter().for_each(|layer| list.extend(convolution_tensors(layer)));
        for layer in &*self.hidden {
            let sizes = (layer.inputs, layer.outputs);
            list.extend(linear_tensors(layer.weight(), layer.bias(), sizes));
            list.push(parameter(layer.slope(), &[1], Start::Slope));
        }
        let linear = |name: &str, sizes| {
            linear_tensors(format!("{name}.weight"), format!("{name}.bias"), sizes)
        };
        let classes = self.data.classes;
        list.extend(linear("features", (self.flattened, feature_dim)));
        list.extend(linear("output", (feature_dim, classes)));
        list.push(TensorSpec {
            kind: TensorKind::Center,
            ..parameter(CENTER.into(), &[classes, feature_dim], Start::Normal)
        });
        list
    }

    /// The trained tensors of the network, in order; of the convolutional one 28, 797,638 numbers for two features of digits.
    pub fn parameters(&self, feature_dim: usize) -> Vec<TensorSpec> {
        let all = self.tensors(feature_dim).into_iter();
        all.filter(|tensor| tensor.kind == TensorKind::Parameter).collect()
    }
}

fn parameter(name: String, shape: &[usize], start: Start) -> TensorSpec {
    TensorSpec { name, shape: shape.to_vec(), kind: TensorKind::Parameter, start }
}

fn convolution_tensors(layer: &ConvolutionLayer) -> [TensorSpec; 7] {
    let channels = &[layer.outputs];
    let kernel = &[layer.outputs, layer.inputs, KERNEL_SIDE, KERNEL_SIDE];
    let fan_in = layer.inputs * KERNEL_SIDE * KERNEL_SIDE;
    let spec = |part, shape: &[usize], kind, start| TensorSpec {
        kind,
        ..parameter(layer.tensor(part), shape, start)
    };
    let (trained, statistic) = (TensorKind::Parameter, TensorKind::Statistic);
    [
        spec(CONVOLUTION_WEIGHT, kernel, trained, Start::Uniform { fan_in }),
        spec(NORM_WEIGHT, channels, trained, Start::Ones),
        spec(NORM_BIAS, channels, trained, Start::Zeros),
        spec(RUNNING_MEAN, channels, statistic, Start::Zeros),
        spec(RUNNING_VARIANCE, channels, statistic, Start::Ones),
        spec(BATCHES_TRACKED, &[], TensorKind::Counter, Start::Zeros),
        spec(SLOPE, &[1], trained, Start::Slope),
    ]
}

fn linear_tensors(
    weight: String,
    bias: String,
    (inputs, outputs): (usize, usize),
) -> [TensorSpec; 2] {
    let start = Start::Uniform { fan_in: inputs };
    [parameter(weight, &[outputs, inputs], start), parameter(bias, &[outputs], start)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_of_digits_are_these() {
        let cnn = Network::Cnn.architecture(DataShape::MNIST);
        let convolution = |(index, inputs, outputs, side, pooled)| ConvolutionLayer {
            index,
            inputs,
            outputs,
            height: side,
            width: side,
            pooled,
        };
        let expected = [
            (0, 1, 32, 28, false),
            (1, 32, 32, 28, true),
            (3, 32, 64, 14, false),
            (4, 64, 64, 14, true),
            (6, 64, 128, 7, false),
            (7, 128, 128, 7, true),
        ];
        assert_eq!(cnn.convolutions[..], expected.map(convolution));
        assert_eq!(cnn.flattened, 128 * 3 * 3);
        let mlp = Network::Mlp.architecture(DataShape::MNIST);
        let hidden = |(index, inputs, outputs)| HiddenLayer { index, inputs, outputs };
        assert_eq!(mlp.hidden[..], [(0, 784, 512), (2, 512, 256)].map(hidden));
        assert_eq!(mlp.flattened, 256);
    }

    #[test]
    fn the_state_dict_is_the_one_a_pytorch_user_has() {
        let cnn = Network::Cnn.architecture(DataShape::MNIST);
        let all = cnn.tensors(2);
        assert_eq!(all.len(), 47);
        let parameters = cnn.parameters(2);
        assert_eq!(parameters.len(), 28);
        let numbers: usize = parameters.iter().map(|t| t.shape.iter().product::<usize>()).sum();
        assert_eq!(numbers, 797_638);
        assert_eq!(all[0].name, "conv_layer.0.cnn_layer.0.weight");
        assert_eq!(all[0].shape, [32, 1, 5, 5]);
        assert_eq!(all[41].name, "conv_layer.7.cnn_layer.2.weight");
    }

    #[test]
    fn the_fully_connected_one_is_a_sequence_of_linear_layers_and_prelus() {
        let all = Network::Mlp.architecture(DataShape::MNIST).tensors(3);
        let names: Vec<&str> = all.iter().map(|tensor| tensor.name.as_str()).collect();
        let hidden = ["0.weight", "0.bias", "1.weight", "2.weight", "2.bias", "3.weight"];
        assert_eq!(names[..6], hidden.map(|name| format!("hidden.{name}")));
        let heads = ["features.weight", "features.bias", "output.weight", "output.bias", "center"];
        assert_eq!(names[6..], heads);
        assert_eq!((&all[0].shape[..], &all[6].shape[..]), (&[512, 784][..], &[3, 256][..]));
        assert_eq!((all[1].start, all[2].start), (Start::Uniform { fan_in: 784 }, Start::Slope));
    }
}
