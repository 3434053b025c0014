//! The computation where libtorch's operations compute all of a step, on a GPU or on a CPU.

use std::time::Duration;

use common::config::{Precision, Reduction as Order};
use common::ids::Step;
use tch::{Device, Kind};

use super::cases::{Case, samples};
use super::transcript::Transcript;
use super::{LEARNING_RATE, STEPS};
use crate::accelerator::numbers::{Orders, adam_corrections};
use crate::accelerator::recorded::Recorded;
use crate::accelerator::wait::look_until;
use crate::accelerator::{Accelerator, Sizes, StepRequest};
use crate::collective::{Recordable, SoloCollective};
use crate::fault::Faults;
use crate::machine::graphs::Graphs;
use crate::mathematics::batch_terms::Terms;
use crate::network::ComputeError;
use crate::reduction::Reduction;
use crate::results::evaluate::Part;
use crate::state::State;
use crate::trainer::error::TrainerError;
use crate::trainer::setup::{pixel_table_of, products};

/// How long the device may take for a step.
const PATIENCE: Duration = Duration::from_secs(60);

/// Steps and an evaluation of a case.
///
/// # Errors
/// The device failed, or hangs.
pub fn run(case: &Case, device: Device, transcript: &mut Transcript) -> Result<(), TrainerError> {
    let config = &case.config;
    let kind = match config.precision {
        Precision::F64 => Kind::Double,
        Precision::F32 | Precision::Tf32 | Precision::Bf16 => Kind::Float,
    };
    let mut state = State::initial(config, case.data, kind);
    let (batch, shards) = (config.batch_size as usize, config.shard_count());
    let all = STEPS * batch;
    let sizes = Sizes { shards, epoch_samples: all, own_samples: all, batch, compared: 0 };
    let recorded = Recorded::new(&Graphs::default(), batch, Recordable::No)?;
    let table = pixel_table_of(kind, config, case.data.channels);
    let place = (device, products(config.precision));
    let mut accelerator = Accelerator::new(&state, place, (&sizes, recorded), &table)?;
    let mut reduction = Reduction::new(Box::new(SoloCollective::default()), shards, Order::Ordered);
    let (pixels, labels) = samples(all, state.layout.architecture.data);
    accelerator.take_samples(&pixels, &labels)?;
    let terms = Terms::of(&config.loss);
    for step in 0..STEPS {
        let orders = Orders {
            learning_rate: LEARNING_RATE,
            adam_corrections: adam_corrections(Step(step as u64)),
            wishes: [0.0; 2],
            first_sample: step * batch,
            first_row: step * batch,
            claim: 0,
        };
        let faults = &Faults::default();
        let (reduction, terms) = (&mut reduction, &terms);
        let request = StepRequest { config, reduction, faults, batch, orders, terms };
        accelerator.ask(&state, request)?;
        wait(&mut accelerator, transcript)?;
    }
    accelerator.bring_back(&mut state, all)?;
    transcript.state(&state).map_err(ComputeError::from)?;
    transcript.numbers(state.record.features.iter().copied());
    let evaluation = accelerator.evaluation(&state, &terms)?;
    for count in &case.test_slices {
        let (pixels, labels) = samples(*count, state.layout.architecture.data);
        transcript.numbers(evaluation.rows_of(&Part { pixels, labels })?);
    }
    Ok(())
}

/// Waits for the step under way, and takes down what it tells.
fn wait(accelerator: &mut Accelerator, transcript: &mut Transcript) -> Result<(), TrainerError> {
    let marker = accelerator.ring.oldest().expect("a step was asked for");
    if !look_until(PATIENCE, || marker.event.is_reached()).map_err(ComputeError::from)? {
        return Err(ComputeError::DeviceHangs { after: PATIENCE }.into());
    }
    let slot = marker.slot;
    transcript.numbers(marker.terms.iter().map(|term| term.loss));
    accelerator.ring.agree();
    accelerator.ring.commit();
    let report = accelerator.report(slot)?;
    transcript.numbers([report.softmax_loss, report.center_loss, report.right]);
    Ok(())
}
