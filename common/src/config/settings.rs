//! The settings with their flags, environment variables and defaults.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::choices::{
    CenterRule, LrSchedule, Network, Optimizer, PictureFormat, Precision, Reduction,
};
use super::images::{ImageMode, ImageSize, Resize};
use super::loss::Loss;
use super::normalisation::PerChannel;
use crate::architecture::{Architecture, TensorSpec};
use crate::data_shape::DataShape;

/// Every setting of a run. A key of the configuration file, a flag and a `CONCENTRIC_…` variable share a name.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// Workers to wait for
    #[arg(long, env = "CONCENTRIC_WORKERS", default_value_t = 1, help_heading = "Cluster")]
    pub workers: u32,
    /// Start the workers on this machine
    #[arg(long, env = "CONCENTRIC_SPAWN", num_args = 0..=1, default_missing_value = "true",
          default_value_t = false, value_name = "BOOL", action = clap::ArgAction::Set,
          help_heading = "Cluster")]
    pub spawn: bool,
    /// Address to serve workers on; port 0 takes any free one
    #[arg(
        long,
        env = "CONCENTRIC_LISTEN",
        default_value = "127.0.0.1:29400",
        help_heading = "Cluster"
    )]
    pub listen: String,
    /// Let workers join that do not compute alike: on different GPUs, say (bits may then differ)
    #[arg(long, env = "CONCENTRIC_ALLOW_MIXED_HARDWARE", num_args = 0..=1, default_missing_value = "true",
          default_value_t = false, value_name = "BOOL", action = clap::ArgAction::Set,
          help_heading = "Cluster")]
    pub allow_mixed_hardware: bool,
    /// Seconds that a worker waits for another in one exchange before it gives up
    #[arg(
        long,
        env = "CONCENTRIC_COLLECTIVE_TIMEOUT",
        default_value_t = 120.0,
        value_name = "SECONDS",
        help_heading = "Cluster"
    )]
    pub collective_timeout: f64,
    /// Workers that the run goes on with after a loss [default: as many as --workers, so it waits for another]
    #[arg(long, env = "CONCENTRIC_MIN_WORKERS", value_name = "COUNT", help_heading = "Cluster")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_workers: Option<u32>,
    /// Workers that may take part, ranks are below it [default: as many as --workers]
    #[arg(long, env = "CONCENTRIC_MAX_WORKERS", value_name = "COUNT", help_heading = "Cluster")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_workers: Option<u32>,
    /// Losses that the run survives
    #[arg(
        long,
        env = "CONCENTRIC_MAX_GENERATIONS",
        default_value_t = 100,
        value_name = "COUNT",
        help_heading = "Cluster"
    )]
    pub max_generations: u64,
    /// Seconds to wait for workers that may hold the newest state, before the last checkpoint is used
    #[arg(
        long,
        env = "CONCENTRIC_REJOIN_TIMEOUT",
        default_value_t = 30.0,
        value_name = "SECONDS",
        help_heading = "Cluster"
    )]
    pub rejoin_timeout: f64,
    /// Seconds between two heartbeats of a worker
    #[arg(
        long,
        env = "CONCENTRIC_HEARTBEAT_INTERVAL",
        default_value_t = 1.0,
        value_name = "SECONDS",
        help_heading = "Cluster"
    )]
    pub heartbeat_interval: f64,
    /// Seconds of silence after which a worker gives its generation up; after twice as many it is evicted
    #[arg(
        long,
        env = "CONCENTRIC_HEARTBEAT_TIMEOUT",
        default_value_t = 5.0,
        value_name = "SECONDS",
        help_heading = "Cluster"
    )]
    pub heartbeat_timeout: f64,

    /// auto, synthetic, a published set (mnist, qmnist, fashion-mnist, kmnist, emnist-SPLIT, cifar-10, cifar-100), a folder of
    /// images (DIR/CLASS/… or DIR/train/CLASS/…) or of IDX, EMNIST, CIFAR or NumPy files, or such files by path, comma-separated
    #[arg(long, env = "CONCENTRIC_DATASET", default_value = "auto", help_heading = "Data")]
    pub dataset: String,
    /// Folder that downloaded data sets are kept in
    #[arg(long, env = "CONCENTRIC_DATA_DIR", default_value = "data", help_heading = "Data")]
    pub data_dir: PathBuf,
    /// Train on the first K samples only [default: all]
    #[arg(long, env = "CONCENTRIC_TRAIN_SAMPLES", value_name = "K", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_samples: Option<u64>,
    /// Test on the first K samples only, 0 for no evaluation [default: all]
    #[arg(long, env = "CONCENTRIC_TEST_SAMPLES", value_name = "K", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_samples: Option<u64>,
    /// Height and width of samples, for folders of images and rows of numbers [default: the images' own, which must be one]
    #[arg(long, env = "CONCENTRIC_IMAGE_SIZE", value_name = "SIDE|HxW", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// Colours of samples, for folders of images [default: grey where all images are, otherwise rgb]
    #[arg(long, env = "CONCENTRIC_IMAGE_MODE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_mode: Option<ImageMode>,
    /// What becomes of images of another size than --image-size
    #[arg(long, env = "CONCENTRIC_RESIZE", default_value_t = Resize::Crop, help_heading = "Data")]
    pub resize: Resize,
    /// Part of the images that are tested with where a folder has no test set, 0 to below 1
    #[arg(
        long,
        env = "CONCENTRIC_TEST_FRACTION",
        default_value_t = 0.0,
        value_name = "PART",
        help_heading = "Data"
    )]
    pub test_fraction: f64,
    /// Leave out images that cannot be read, and list them; without it the run does not start
    #[arg(long, env = "CONCENTRIC_SKIP_BROKEN", num_args = 0..=1, default_missing_value = "true",
          default_value_t = false, value_name = "BOOL", action = clap::ArgAction::Set, help_heading = "Data")]
    pub skip_broken: bool,
    /// Folder for decoded images [default: .concentric-cache in theirs, or one in --data-dir where nothing can be written there]
    #[arg(long, env = "CONCENTRIC_IMAGE_CACHE", value_name = "FOLDER", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_cache: Option<PathBuf>,
    /// Samples evaluated together, over all workers
    #[arg(long, env = "CONCENTRIC_TEST_BATCH_SIZE", default_value_t = 500, help_heading = "Data")]
    pub test_batch_size: u64,
    /// Draw a fresh permutation every epoch; false keeps the file's order
    #[arg(long, env = "CONCENTRIC_SHUFFLE", num_args = 0..=1, default_missing_value = "true",
          default_value_t = true, value_name = "BOOL", action = clap::ArgAction::Set, help_heading = "Data")]
    pub shuffle: bool,
    /// Mean subtracted from pixels scaled to 0…1, or one for each channel [default: 0.1309 for MNIST and whatever is shaped
    /// like it, otherwise the training set's]
    #[arg(
        long,
        env = "CONCENTRIC_PIXEL_MEAN",
        value_name = "M[,M,M]",
        allow_hyphen_values = true,
        help_heading = "Data"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_mean: Option<PerChannel>,
    /// Standard deviation that they are divided by, or one for each channel [default: 0.3084 likewise]
    #[arg(long, env = "CONCENTRIC_PIXEL_STD", value_name = "D[,D,D]", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_std: Option<PerChannel>,

    /// The network before the features
    #[arg(long, env = "CONCENTRIC_NETWORK", default_value_t = Network::Cnn, help_heading = "Training")]
    pub network: Network,
    /// Passes over the training set
    #[arg(long, env = "CONCENTRIC_EPOCHS", default_value_t = 150, help_heading = "Training")]
    pub epochs: u64,
    /// End the run after this many steps in total, as at an epoch's end; 0 for no limit
    #[arg(long, env = "CONCENTRIC_MAX_STEPS", value_name = "STEPS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Samples in a global batch, over all workers
    #[arg(long, env = "CONCENTRIC_BATCH_SIZE", default_value_t = 100, help_heading = "Training")]
    pub batch_size: u64,
    /// Learning rate of the network
    #[arg(long, env = "CONCENTRIC_LR", default_value_t = 0.001, help_heading = "Training")]
    pub lr: f64,
    /// How the network's learning rate changes
    #[arg(long, env = "CONCENTRIC_LR_SCHEDULE", default_value_t = LrSchedule::Step, help_heading = "Training")]
    pub lr_schedule: LrSchedule,
    /// Epochs between two changes of the step schedule
    #[arg(
        long,
        env = "CONCENTRIC_LR_STEP",
        default_value_t = 20,
        value_name = "EPOCHS",
        help_heading = "Training"
    )]
    pub lr_step: u64,
    /// Factor of each change of the step schedule
    #[arg(
        long,
        env = "CONCENTRIC_LR_GAMMA",
        default_value_t = 0.8,
        value_name = "FACTOR",
        help_heading = "Training"
    )]
    pub lr_gamma: f64,
    /// Epochs that the cosine schedule spans [default: the whole run]
    #[arg(
        long,
        env = "CONCENTRIC_LR_SCHEDULE_EPOCHS",
        value_name = "EPOCHS",
        help_heading = "Training"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_schedule_epochs: Option<u64>,
    /// Steps over which the learning rate rises linearly to its full value
    #[arg(
        long,
        env = "CONCENTRIC_WARMUP_STEPS",
        default_value_t = 0,
        value_name = "STEPS",
        help_heading = "Training"
    )]
    pub warmup_steps: u64,
    /// The network's optimizer
    #[arg(long, env = "CONCENTRIC_OPTIMIZER", default_value_t = Optimizer::Sgd, help_heading = "Training")]
    pub optimizer: Optimizer,
    /// Momentum of sgd
    #[arg(long, env = "CONCENTRIC_MOMENTUM", default_value_t = 0.9, help_heading = "Training")]
    pub momentum: f64,
    /// Weight decay, on all of the network's parameters
    #[arg(
        long,
        env = "CONCENTRIC_WEIGHT_DECAY",
        default_value_t = 0.0005,
        help_heading = "Training"
    )]
    pub weight_decay: f64,
    /// What is minimised: a sum of terms, e.g. `softmax + 0.5*supcon`. One of softmax, cross-entropy, arcface, cosface
    /// classifies; center (alone: with softmax), contrastive-center, supcon, triplet, triplet-soft may be added. Parameters
    /// stand in parentheses: `supcon(temperature=0.07)`
    #[arg(long, env = "CONCENTRIC_LOSS", default_value_t = Loss::CENTER, value_name = "TERMS", help_heading = "Training")]
    pub loss: Loss,
    /// Weight of the center loss, λ
    #[arg(
        long,
        env = "CONCENTRIC_CENTER_WEIGHT",
        default_value_t = 2.0,
        value_name = "LAMBDA",
        help_heading = "Training"
    )]
    pub center_weight: f64,
    /// Learning rate of the centers, α
    #[arg(
        long,
        env = "CONCENTRIC_CENTER_LR",
        default_value_t = 0.5,
        value_name = "ALPHA",
        help_heading = "Training"
    )]
    pub center_lr: f64,
    /// How centers move: along the loss's gradient, or by the rule of the paper
    #[arg(long, env = "CONCENTRIC_CENTER_RULE", default_value_t = CenterRule::Autograd, help_heading = "Training")]
    pub center_rule: CenterRule,
    /// Dimension of the features
    #[arg(long, env = "CONCENTRIC_FEATURE_DIM", default_value_t = 2, help_heading = "Training")]
    pub feature_dim: u64,
    /// Seed of initialisation and permutations
    #[arg(long, env = "CONCENTRIC_SEED", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Training")]
    pub seed: u64,
    /// Start from these parameters: safetensors, or a PyTorch state dict (.pth, .pt)
    #[arg(long, env = "CONCENTRIC_INIT_FROM", value_name = "FILE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// Where that file holds several state dicts: the keys that lead to the one to take, joined by dots
    #[arg(long, env = "CONCENTRIC_INIT_PREFIX", value_name = "PREFIX", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_prefix: Option<String>,

    /// Slices of every global batch, part of the run's identity [default: 8]
    #[arg(long, env = "CONCENTRIC_LOGICAL_SHARDS", value_name = "V", help_heading = "Computation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical_shards: Option<u32>,
    /// Threads inside the kernels of one logical shard; changes no bit but with --precision bf16 [default: max(1, cores / V)]
    #[arg(long, env = "CONCENTRIC_THREADS", help_heading = "Computation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Numbers to compute in; tf32 on GPUs only
    #[arg(long, env = "CONCENTRIC_PRECISION", default_value_t = Precision::F32, help_heading = "Computation")]
    pub precision: Precision,
    /// Steps between two in which each worker computes a logical shard of another, too, to compare; 0 never; on CPUs only
    #[arg(
        long,
        env = "CONCENTRIC_CROSS_CHECK",
        default_value_t = 0,
        value_name = "STEPS",
        help_heading = "Computation"
    )]
    pub cross_check: u64,
    /// How sums over the workers are made
    #[arg(long, env = "CONCENTRIC_REDUCTION", default_value_t = Reduction::Ordered, help_heading = "Computation")]
    pub reduction: Reduction,

    /// Folder of this run's results [default: runs/TIME-DATASET]
    #[arg(long, env = "CONCENTRIC_RUN_DIR", value_name = "DIR", help_heading = "Results")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_dir: Option<PathBuf>,
    /// Steps between two checkpoints within an epoch
    #[arg(
        long,
        env = "CONCENTRIC_CHECKPOINT_EVERY",
        default_value_t = 100,
        value_name = "STEPS",
        help_heading = "Results"
    )]
    pub checkpoint_every: u64,
    /// Epoch checkpoints to keep, beside the last and the best; 0 keeps all
    #[arg(
        long,
        env = "CONCENTRIC_KEEP",
        default_value_t = 3,
        value_name = "COUNT",
        help_heading = "Results"
    )]
    pub keep: u64,
    /// Steps between two lines of metrics
    #[arg(
        long,
        env = "CONCENTRIC_LOG_EVERY",
        default_value_t = 10,
        value_name = "STEPS",
        help_heading = "Results"
    )]
    pub log_every: u64,
    /// Format of pictures; several, comma-separated
    #[arg(
        long,
        env = "CONCENTRIC_PICTURE_FORMAT",
        value_delimiter = ',',
        action = clap::ArgAction::Set,
        default_value = "png",
        value_name = "FORMAT",
        help_heading = "Results"
    )]
    pub picture_format: Vec<PictureFormat>,
    /// Epochs between two pictures of the features (the last epoch is always drawn)
    #[arg(
        long,
        env = "CONCENTRIC_PICTURE_EVERY",
        default_value_t = 1,
        value_name = "EPOCHS",
        help_heading = "Results"
    )]
    pub picture_every: u64,
}

/// V where nothing else is asked for, which no number of workers changes.
pub(super) const LOGICAL_SHARDS: u32 = 8;

impl Config {
    /// What the run's network is made of, for data of this shape.
    pub fn architecture(&self, data: DataShape) -> Architecture {
        self.network.architecture(data)
    }

    /// Every tensor of its model files.
    pub fn tensors(&self, data: DataShape) -> Vec<TensorSpec> {
        self.architecture(data).tensors(self.feature_dim as usize)
    }

    /// V, once resolved.
    pub fn shard_count(&self) -> usize {
        self.logical_shards.unwrap_or(LOGICAL_SHARDS) as usize
    }

    /// Workers that the run goes on with after a loss, once resolved.
    pub fn least_workers(&self) -> u32 {
        self.min_workers.unwrap_or(self.workers)
    }

    /// Slots there are, once resolved.
    pub fn most_workers(&self) -> u32 {
        self.max_workers.unwrap_or(self.workers)
    }

    /// Threads inside the kernels of one logical shard, once resolved.
    pub fn thread_count(&self) -> u32 {
        self.threads.unwrap_or(1)
    }

    /// Fills in the defaults that depend on other settings or on the machine, so that they are saved with the run.
    pub fn resolve(&mut self, cores: usize) {
        self.max_steps = self.max_steps.filter(|limit| *limit > 0);
        let shards = self.shard_count();
        self.logical_shards = Some(shards as u32);
        self.threads.get_or_insert((cores / shards).max(1) as u32);
    }

    /// The resolved settings as a configuration file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain numbers, words and paths can be written as TOML")
    }

    /// Reads what [`Config::to_toml`] wrote.
    ///
    /// # Errors
    /// A message naming the key that is missing, unknown to this version or of the wrong type.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}
