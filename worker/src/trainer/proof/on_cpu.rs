//! The computation where this program's own passes compute, with its own kernels or with libtorch's convolutions.

use common::config::Reduction as Order;
use common::ids::LogicalShard;
use common::plan;
use engine::Instructions;

use super::cases::{Case, samples};
use super::transcript::Transcript;
use super::{LEARNING_RATE, STEPS};
use crate::bridge::shared::Shared;
use crate::collective::SoloCollective;
use crate::fault::Faults;
use crate::machine::shard_pool::ShardPool;
use crate::mathematics::batch_terms::Terms;
use crate::mathematics::kernels::Float;
use crate::mathematics::optimizer::Vectors;
use crate::network::pixels::PixelTable;
use crate::network::shard::{Place, Shard};
use crate::network::{ComputeError, Prepared, norm_parameters};
use crate::reduction::Reduction;
use crate::results::evaluate::{Evaluation, Part, activations};
use crate::state::State;
use crate::trainer::change::{Change, SUMS, batch_context, center_numbers, sums_of};
use crate::trainer::engine::Engine;
use crate::trainer::error::TrainerError;
use crate::trainer::setup::products;

/// Steps and an evaluation of a case.
///
/// # Errors
/// A kernel failed.
pub fn run<T: Float>(
    case: &Case,
    (pool, instructions): (ShardPool, Instructions),
    transcript: &mut Transcript,
) -> Result<ShardPool, TrainerError> {
    let config = &case.config;
    let mut state = State::initial(config, case.data, T::KIND);
    let prepared =
        Prepared::of(&state.layout, &state.flat, products(config.precision), instructions)?;
    let shards = config.shard_count();
    let mut engine = Engine::<T> {
        pool,
        shards: (0..shards).map(|_| Shard::new(&state.layout)).collect(),
        trace: None,
        parameters: Shared::new(prepared),
        table: PixelTable::new(config, case.data.channels),
        reduction: Reduction::new(Box::new(SoloCollective::default()), shards, Order::Ordered),
        terms: Terms::of(&config.loss),
    };
    let batch = config.batch_size as usize;
    let data = case.data;
    let (pixels, labels) = samples(batch, data);
    for (index, shard) in engine.shards.iter_mut().enumerate() {
        let slice = plan::slice(batch, shards, LogicalShard(index as u32));
        let own = &pixels[slice.start * data.numbers()..slice.end * data.numbers()];
        let place = Place { shard: index, first: slice.start };
        shard.load(own, &labels[slice], &engine.table, place)?;
    }
    let mut spare = Vectors::like(&state.flat, &state.optimizer);
    for _ in 0..STEPS {
        step(&mut engine, (&mut state, &mut spare), case, transcript)?;
    }
    transcript.state(&state).map_err(ComputeError::from)?;
    evaluate(&mut engine, &state, case, transcript)?;
    Ok(engine.pool)
}

/// One step, as the trainer takes it.
fn step<T: Float>(
    engine: &mut Engine<T>,
    (state, spare): (&mut State, &mut Vectors),
    case: &Case,
    transcript: &mut Transcript,
) -> Result<(), TrainerError> {
    let (config, faults) = (&case.config, Faults::default());
    let batch = config.batch_size as usize;
    engine.renew_parameters(state)?;
    let norms = norm_parameters::<T>(&state.layout, &state.flat)?;
    let rows = engine.reduction.no_rows();
    let forward = engine.pass(&norms, batch, &faults).forward(rows)?;
    let context = batch_context(config, &state.centers, &forward, batch);
    let head = engine.pass(&norms, batch, &faults).head(&forward, context)?;
    let parts = engine.shards.iter().zip(&head.parts);
    let partials: Vec<Vec<f64>> = parts.map(|(shard, part)| sums_of(shard, part)).collect();
    for part in &head.parts {
        transcript.numbers(part.features.iter().copied());
    }
    let gradient = engine.pass(&norms, batch, &faults).backward(&forward, head.gradient_sums)?;
    let sums = engine.reduction.sum(&partials, SUMS + center_numbers(config, state))?;
    transcript.numbers(sums.iter().copied());
    transcript.numbers(head.terms.values.iter().map(|term| term.loss));
    let change = Change {
        forward: &forward,
        gradient: &gradient,
        differences: &sums[SUMS..],
        to_centers: &head.terms.to_centers,
        batch,
        learning_rate: LEARNING_RATE,
    };
    change.apply(state, spare, config)?;
    Ok(())
}

fn evaluate<T: Float>(
    engine: &mut Engine<T>,
    state: &State,
    case: &Case,
    transcript: &mut Transcript,
) -> Result<(), TrainerError> {
    engine.renew_parameters(state)?;
    let norms = norm_parameters::<T>(&state.layout, &state.flat)?;
    let evaluation = Evaluation {
        pool: &engine.pool,
        parameters: &engine.parameters,
        activations: activations(&state.running, &norms),
        table: &engine.table,
        feature_dim: case.config.feature_dim as usize,
        terms: &engine.terms,
    };
    let part = |count: &usize| {
        let (pixels, labels) = samples(*count, state.layout.architecture.data);
        Part { pixels, labels }
    };
    let mut parts: Vec<Part> = case.test_slices.iter().map(part).collect();
    transcript.numbers(evaluation.classify(&mut parts)?.into_iter().flatten());
    Ok(())
}
