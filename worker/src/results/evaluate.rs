//! Classifies the test set with the running statistics, over all ranks.
//!
//! Test batches are cut into the same logical shards as training batches, so every kernel sees the same shapes
//! whichever rank runs it. There is nothing to reduce until the end, when every rank receives every sample's features
//! and prediction.

use std::ops::Range;

use common::batch_losses::Batch;
use common::data_shape::DataShape;
use common::ids::{LogicalShard, Rank, Step, WorldSize};
use common::plan;
use engine::unobserved;

use super::epoch_features::{FeatureSet, Points};
use crate::bridge::shared::Shared;
use crate::bridge::with_slice;
use crate::machine::shard_pool::{ShardPool, Share};
use crate::mathematics::batch_norm::{NormParameters, RunningStatistics};
use crate::mathematics::batch_terms::Terms;
use crate::mathematics::kernels::{Activation, Float, in_64_bits};
use crate::mathematics::softmax_loss;
use crate::network::layers::{Outputs, convolution, flatten, flatten_data};
use crate::network::pixels::PixelTable;
use crate::network::products::Flow;
use crate::network::{ComputeError, Prepared, linear};
use crate::reduction::Reduction;
use crate::reduction::small::Rows;

/// Images that go through convolutions together: what they are in between stays in a core's cache.
const IMAGES_TOGETHER: usize = 8;
/// Samples that go through linear layers together: what they are multiplied by is read once for all.
const SAMPLES_TOGETHER: usize = 256;

/// What an evaluation needs.
pub struct Evaluation<'a, T> {
    /// The rank's threads.
    pub pool: &'a ShardPool,
    /// The parameters.
    pub parameters: &'a Shared<Prepared>,
    /// Each layer's BatchNorm and PReLU with running statistics.
    pub activations: Vec<Activation<T>>,
    /// Pixel values as the network takes them.
    pub table: &'a PixelTable<T>,
    /// Numbers of a feature vector.
    pub feature_dim: usize,
    /// Of the loss, of which one may classify in place of the scores.
    pub terms: &'a Terms,
}

/// Each layer's BatchNorm and PReLU as evaluation applies them.
pub fn activations<T: Float>(
    running: &[RunningStatistics],
    norms: &[NormParameters],
) -> Vec<Activation<T>> {
    running.iter().zip(norms).map(|(running, norm)| running.activation(norm)).collect()
}

/// One logical shard's part of one test batch.
pub struct Part {
    /// Those of each sample.
    pub pixels: Vec<u8>,
    /// One a sample.
    pub labels: Vec<u16>,
}

/// The test set and how it is cut.
#[derive(Clone, Copy, Debug)]
pub struct TestSet {
    /// V.
    pub logical_shards: usize,
    /// Samples of the test set.
    pub samples: usize,
    /// Samples evaluated together.
    pub batch_size: usize,
    /// Numbers of a feature vector.
    pub feature_dim: usize,
    /// Of its images.
    pub data: DataShape,
}

impl TestSet {
    /// Runs the test set; `read` hands out this rank's next samples as pixels and labels, `classify` gives the rows of each
    /// part: features, label and prediction of each sample. Every rank returns the whole set in file order.
    ///
    /// # Errors
    /// `classify` or `read` failed, or a peer is lost.
    pub fn run<E: From<ComputeError>>(
        &self,
        reduction: &mut Reduction,
        mut read: impl FnMut(usize) -> Result<(Vec<u8>, Vec<u16>), E>,
        mut classify: impl FnMut(&mut [Part]) -> Result<Vec<Vec<f64>>, ComputeError>,
    ) -> Result<FeatureSet, E> {
        let owned = reduction.owned();
        let each = self.data.numbers();
        let mut rows = Vec::new();
        for step in 0..plan::steps_per_epoch(self.samples, self.batch_size) {
            let batch = plan::batch(self.samples, self.batch_size, Step(step)).len();
            let together = plan::slices(batch, self.logical_shards, &owned);
            let (pixels, labels) = read(together.len())?;
            let mut parts: Vec<Part> = (owned.clone())
                .map(|shard| {
                    let shard = LogicalShard(shard as u32);
                    let slice = plan::slice(batch, self.logical_shards, shard);
                    let own = slice.start - together.start..slice.end - together.start;
                    Part {
                        pixels: pixels[own.start * each..own.end * each].to_vec(),
                        labels: labels[own].to_vec(),
                    }
                })
                .collect();
            rows.extend(classify(&mut parts)?.into_iter().flatten());
        }
        self.gather(reduction, rows).map_err(E::from)
    }

    /// Every rank's rows at their samples' places in the file.
    fn gather(
        &self,
        reduction: &mut Reduction,
        rows: Vec<f64>,
    ) -> Result<FeatureSet, ComputeError> {
        let width = self.feature_dim + 2;
        let world = reduction.world_size();
        let places: Vec<Vec<Range<usize>>> =
            world.ranks().map(|rank| self.places(world, rank)).collect();
        let numbers = (places.iter())
            .map(|places| width * places.iter().map(Range::len).sum::<usize>())
            .collect();
        let rows = reduction.gather(Rows { own: rows, numbers })?;

        let mut features = vec![0.0; self.samples * self.feature_dim];
        let mut set = FeatureSet {
            features: Points::default(),
            labels: vec![0; self.samples],
            predictions: vec![0; self.samples],
        };
        let samples = places.into_iter().flatten().flatten();
        for (sample, row) in samples.zip(rows.chunks_exact(width)) {
            let (feature, rest) = row.split_at(self.feature_dim);
            features[sample * self.feature_dim..][..self.feature_dim].copy_from_slice(feature);
            set.labels[sample] = rest[0] as u16;
            set.predictions[sample] = rest[1] as u16;
        }
        set.features = Points { dim: self.feature_dim, values: features };
        Ok(set)
    }

    /// The samples that a rank classifies, in its order.
    fn places(&self, world: WorldSize, rank: Rank) -> Vec<Range<usize>> {
        let owned = plan::shards_of(self.logical_shards, world, rank);
        (0..plan::steps_per_epoch(self.samples, self.batch_size))
            .map(|step| {
                let batch = plan::batch(self.samples, self.batch_size, Step(step));
                let together = plan::slices(batch.len(), self.logical_shards, &owned);
                batch.start + together.start..batch.start + together.end
            })
            .collect()
    }
}

impl<T: Float> Evaluation<'_, T> {
    /// The rows of each part, side by side.
    ///
    /// # Errors
    /// A kernel failed.
    pub fn classify(&self, parts: &mut [Part]) -> Result<Vec<Vec<f64>>, ComputeError> {
        let share = self.pool.share(parts.len());
        self.pool.map(parts, |part| self.rows_of(part, &share))
    }

    /// Features, label and prediction of each sample.
    fn rows_of(&self, part: &mut Part, share: &Share) -> Result<Vec<f64>, ComputeError> {
        let architecture = &self.parameters.get().weights.layout.architecture;
        let mut memory = Memory { data: Vec::new(), outputs: Outputs::new(architecture) };
        let DataShape { classes, .. } = architecture.data;
        let mut rows = Vec::with_capacity(part.labels.len() * (self.feature_dim + 2));
        let output = self.output_weight()?;
        let together = if self.activations.is_empty() { SAMPLES_TOGETHER } else { IMAGES_TOGETHER };
        let pixels = part.pixels.chunks(together * architecture.data.numbers());
        for (pixels, labels) in pixels.zip(part.labels.chunks(together)) {
            let forward = self.forward(pixels, share, &mut memory)?;
            let (scores, features) = (in_64_bits(&forward.scores), in_64_bits(&forward.features));
            let batch = Batch::new(&features, labels, self.feature_dim, classes)?;
            let by_terms = self.terms.predictions(&batch, &output);
            let samples = features.chunks_exact(self.feature_dim).zip(labels);
            for (index, (features, label)) in samples.enumerate() {
                let prediction = match &by_terms {
                    Some(predictions) => f64::from(predictions[index]),
                    None => softmax_loss::predict(&scores[index * classes..][..classes]) as f64,
                };
                rows.extend_from_slice(features);
                rows.extend([f64::from(*label), prediction]);
            }
        }
        Ok(rows)
    }

    /// `output.weight` in 64 bits, where a term classifies.
    fn output_weight(&self) -> Result<Vec<f64>, ComputeError> {
        if !self.terms.classify() {
            return Ok(Vec::new());
        }
        Ok(with_slice(&self.parameters.get().weights.heads[2], in_64_bits::<T>)?)
    }

    /// Some images through the network.
    fn forward(
        &self,
        pixels: &[u8],
        share: &Share,
        Memory { data, outputs }: &mut Memory<T>,
    ) -> Result<linear::Forward<T>, ComputeError> {
        let parameters = self.parameters.get();
        let mut means = parameters.products.means(share);
        self.table.translate(pixels, data);
        let shape = parameters.weights.layout.architecture.data;
        outputs.begin(pixels.len() / shape.numbers());
        for layer in 0..self.activations.len() {
            let (input, output) = outputs.around(layer, data, &self.activations);
            let flow = Flow { input: &input, output, observer: &unobserved };
            convolution(flow, layer, parameters, &mut means)?;
        }
        let input = match self.activations.split_last() {
            Some((activation, before)) => flatten(&outputs.result(before.len(), activation)),
            None => flatten_data(data, shape),
        };
        linear::forward(parameters, input, &mut means)
    }
}

/// What images are computed in.
struct Memory<T> {
    data: Vec<T>,
    outputs: Outputs<T>,
}
