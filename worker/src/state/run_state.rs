//! Everything a run is at one moment. Drawn from the seed here; what a step makes of it is the trainer's.

use std::sync::Arc;

use common::architecture::Architecture;
use common::computing::Proof;
use common::config::Config;
use common::data_shape::DataShape;
use proto::Reached;
use tch::{Device, Kind, Tensor};

use super::position::{EpochRecord, Position};
use crate::mathematics::batch_norm::RunningStatistics;
use crate::mathematics::optimizer::OptimizerState;
use crate::network::initial::{self, Initialiser};
use crate::network::layout::Layout;

/// The state of a run.
#[derive(Debug)]
pub struct State {
    /// Where each parameter lies in `flat`.
    pub layout: Arc<Layout>,
    /// All parameters.
    pub flat: Tensor,
    /// The network's optimizer.
    pub optimizer: OptimizerState,
    /// Each layer's running statistics, numbers of the run's precision.
    pub running: Vec<RunningStatistics>,
    /// Training batches the running statistics have seen.
    pub batches_tracked: i64,
    /// Class centers, `[classes, feature_dim]`, numbers of the run's precision.
    pub centers: Vec<f64>,
    /// The step that is computed next.
    pub position: Position,
    /// The current epoch so far.
    pub record: EpochRecord,
    /// The best test accuracy of a complete epoch.
    pub best_accuracy: Option<f64>,
    /// What the members of its run have proved to compute; none where they need not be alike.
    pub proof: Option<Proof>,
    /// All is done that follows the run's last step. Not a part of the state's files: where it lies in the middle of an
    /// epoch, a run that has more steps goes on as if it had never ended.
    pub ended: bool,
}

impl State {
    /// The state of a new run on such data, drawn from the seed.
    pub fn initial(config: &Config, data: DataShape, kind: Kind) -> Self {
        let feature_dim = config.feature_dim as usize;
        let architecture = config.architecture(data);
        let layout = Arc::new(Layout::new(architecture, feature_dim));
        let flat = Tensor::zeros([layout.total as i64], (kind, Device::Cpu));
        let mut initialiser = Initialiser::new(config.seed);
        for (index, entry) in layout.entries.iter().enumerate() {
            let shape: Vec<i64> = entry.spec.shape.iter().map(|&size| size as i64).collect();
            let values = Tensor::from_slice(&initialiser.draw(&entry.spec)).view(&shape[..]);
            layout.view(&flat, index).copy_(&values);
        }
        let Architecture { convolutions, .. } = &layout.architecture;
        let centers = initial::centers(config.seed, data.classes * feature_dim);
        Self {
            optimizer: OptimizerState::new(config.optimizer, &flat),
            flat,
            running: convolutions
                .iter()
                .map(|layer| RunningStatistics::new(layer.outputs))
                .collect(),
            layout,
            batches_tracked: 0,
            centers: centers.into_iter().map(|value| round(value, kind)).collect(),
            position: Position::default(),
            record: EpochRecord::default(),
            best_accuracy: None,
            proof: None,
            ended: false,
        }
    }
}

impl State {
    /// How far it has got.
    pub fn reached(&self) -> Reached {
        let Position { epoch, step, .. } = self.position;
        Reached { step: step.0, epochs: epoch.0, ended: self.ended }
    }

    /// Numbers of a feature.
    pub fn dim(&self) -> usize {
        self.centers.len() / self.classes()
    }

    /// Classes that there are.
    pub fn classes(&self) -> usize {
        self.layout.architecture.data.classes
    }

    /// Whether every statistic and center is a finite number.
    pub fn is_finite(&self) -> bool {
        let statistics = self.running.iter().flat_map(|running| [&running.mean, &running.variance]);
        statistics.chain([&self.centers]).flatten().all(|value| value.is_finite())
    }
}

/// The nearest number of a precision.
pub fn round(value: f64, kind: Kind) -> f64 {
    match kind {
        Kind::Float => f64::from(value as f32),
        _ => value,
    }
}
