//! The words that some settings take.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[value(name = $word)] #[serde(rename = $word)] $variant),+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

choice!(
    /// Which network is trained.
    Network {
        /// Six convolutional layers with batch normalisation.
        Cnn = "cnn",
        /// Fully connected: two hidden layers of 512 and 256 on the pixels.
        Mlp = "mlp",
    }
);

choice!(
    /// How the network's learning rate changes.
    LrSchedule {
        /// Multiplied by `--lr-gamma` every `--lr-step` epochs.
        Step = "step",
        /// Half a cosine from `--lr` to 0 over the run, or over `--lr-schedule-epochs`.
        Cosine = "cosine",
        /// `--lr` throughout.
        Constant = "constant",
    }
);

choice!(
    /// The network's optimizer.
    Optimizer {
        /// Stochastic gradient descent with momentum, as `torch.optim.SGD`.
        Sgd = "sgd",
        /// As `torch.optim.Adam`, weight decay added to the gradient.
        Adam = "adam",
    }
);

choice!(
    /// How class centers move.
    CenterRule {
        /// Along the center loss's own gradient.
        Autograd = "autograd",
        /// The rule of Wen et al., ECCV 2016, equation 4.
        Wen = "wen",
    }
);

choice!(
    /// Settings that go together.
    Recipe {
        /// A high accuracy after a few epochs.
        Fast = "fast",
    }
);

choice!(
    /// The numbers that everything is computed in.
    Precision {
        /// 32-bit floating point.
        F32 = "f32",
        /// 32 bits; a GPU multiplies 19-bit TF32 numbers in convolutions and matrix products.
        Tf32 = "tf32",
        /// 32 bits; convolutions multiply and return 16-bit bfloat16 numbers.
        Bf16 = "bf16",
        /// 64-bit floating point, slow, for comparisons.
        F64 = "f64",
    }
);

impl Precision {
    /// Whether a CPU computes in it with the program's own kernels, whose bits are the same on every processor.
    pub fn has_own_kernels(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Whether parameters, checkpoints and feature files hold 64-bit numbers; 32-bit ones otherwise.
    pub fn is_stored_in_64_bits(self) -> bool {
        self == Self::F64
    }
}

choice!(
    /// How sums over the workers are made.
    Reduction {
        /// One fixed binary tree over logical shards: the same bits for any number of workers.
        Ordered = "ordered",
        /// The engine's own all-reduce: the order, and so the last bits, depend on the workers.
        Native = "native",
    }
);

choice!(
    /// A picture's file format, also its file name extension.
    PictureFormat {
        /// Lossless bitmap.
        Png = "png",
        /// Lossy bitmap.
        Jpg = "jpg",
        /// Vector graphics.
        Svg = "svg",
    }
);

pub(super) use choice;
