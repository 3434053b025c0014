//! What a step does, from its samples to the next copy of the state: operations alone, which a recording holds as well.

use std::time::Duration;

use common::config::Config;
use common::ids::LogicalShard;
use common::plan;
use tch::{Kind, Tensor};

use super::commit::{Found, commit};
use super::copy::StateCopy;
use super::identity::halves;
use super::losses::{CenterLoss, LossContext};
use super::norm::NormParameters;
use super::numbers::{CLAIM, DeviceOrders};
use super::pass::{Forward, Head, Pass};
use super::requests::{Accelerator, StepRequest};
use super::samples::EpochSamples;
use super::shard::Shard;
use crate::fault::{Faults, Part, Phase};
use crate::mathematics::batch_terms::TermValue;
use crate::network::memory_order::channels_last;
use crate::network::{ComputeError, Weights};
use crate::reduction::Reduction;
use crate::reduction::on_device::Contribution;
use crate::state::State;

/// Numbers that a rank's rows begin with: what it was asked for, and how many uploads it knows to be stored.
const WISHES: usize = 2;

impl Accelerator {
    /// The parameters of one copy of the state as kernels take them.
    pub(super) fn weights(&self, state: &State, copy: usize) -> Result<Weights, ComputeError> {
        let weights = Weights::of(&state.layout, &self.copies[copy].flat, self.products)?;
        // As a GPU's matrix units take them; what a convolution makes lies so, too. cuDNN has no such kernels in 64 bits.
        if self.products == Kind::Double {
            return Ok(weights);
        }
        let kernels = weights.convolutions.into_iter().map(channels_last);
        Ok(Weights { convolutions: kernels.collect::<Result<_, _>>()?, ..weights })
    }

    pub(super) fn norms(
        &self,
        state: &State,
        copy: usize,
    ) -> Result<Vec<NormParameters>, ComputeError> {
        let flat = &self.copies[copy].flat;
        let norm = |norm: &_| NormParameters::of(&state.layout, flat, *norm);
        state.layout.norms.iter().map(norm).collect()
    }

    /// Everything from the step's samples to the next copy of the state; its report, and what of its loss looks at every
    /// sample of the batch.
    pub(super) fn step(
        &mut self,
        state: &State,
        target: usize,
        request: StepRequest<'_>,
    ) -> Result<(Tensor, Vec<TermValue>), ComputeError> {
        let StepRequest { config, reduction, faults, batch, orders: _, terms } = request;
        let source = self.ring.source();
        let identity =
            self.keys.as_ref().map(|keys| keys.of_copy(&self.copies[source])).transpose()?;
        reach(Phase::Forward, &mut self.copies[source], faults);
        let weights = self.weights(state, source)?;
        let norms = self.norms(state, source)?;
        let Self { shards, slots, samples, table, .. } = self;
        let orders = slots.on_device(target);
        load(shards, samples, orders, (reduction, config, batch), table)?;
        let (device, kind) = (self.device, weights.heads[0].kind());
        let mut pass = Pass {
            shards,
            weights: &weights,
            norms: &norms,
            reduction,
            batch,
            device,
            kind,
            terms,
            patience: Duration::from_secs_f64(config.collective_timeout),
            faults,
        };
        let forward = pass.forward(&self.classes)?;
        let centers = &self.copies[source].centers;
        let context = context(config, centers, &forward, (batch, &self.classes))?;
        let mut head = pass.head(&forward, &context)?;
        let whole_batch = std::mem::take(&mut head.whole_batch);
        let claim = identity.as_ref().map(|identity| claim(orders, identity)).transpose()?;
        let before = WISHES + if claim.is_some() { CLAIM } else { 0 };
        let numbers = row_numbers(pass.reduction, (config, batch), before);
        let contribution = contribution(&head, (orders, claim), &context)?;
        let (partials, rows) = (&contribution.0, contribution.1);
        let length = context.sums() as usize;
        let contribution = Contribution { partials, length, rows, row_numbers: &numbers };
        let results = pass.reduction.start_sum_on_device(contribution)?;
        faults.point(Phase::Backward);
        let gradient = pass.backward(&forward, head)?;
        let results = pass.reduction.finish_sum_on_device(results)?;
        let (rows, wishes, claims) = split(&results.rows, (&numbers, before), context.dim + 2)?;
        self.record.write(&orders.record_rows(batch)?, &rows)?;
        let found = Found {
            gradient: &gradient,
            statistics: &forward.statistics,
            sums: &results.sum,
            center: context.center.as_ref(),
            whole_batch: &whole_batch,
            batch,
            wishes: &wishes,
            claims: &claims,
            rows: &rows,
        };
        reach(Phase::Optimizer, &mut self.copies[source], faults);
        let (source, target) = two(&mut self.copies, source, target);
        let report = commit(&found, (source, target), (orders, self.keys.as_ref()), config)?;
        Ok((report, whole_batch.values))
    }
}

/// A place where a test ends this worker, or changes a bit of the copy that the step reads.
fn reach(phase: Phase, copy: &mut StateCopy, faults: &Faults) {
    faults.point(phase);
    if let Some(flip) = faults.flip(phase, Part::is_of_state) {
        copy.strike(flip);
    }
}

/// What this rank claims, `[CLAIM]`: what the host does, and that its copy of the state is this one.
fn claim(orders: &DeviceOrders, identity: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(Tensor::f_cat(&[orders.claim()?, halves(identity)?], 0)?)
}

/// Gives every shard its samples of the step.
fn load(
    shards: &mut [Shard],
    samples: &EpochSamples,
    orders: &DeviceOrders,
    (reduction, config, batch): (&Reduction, &Config, usize),
    table: &Tensor,
) -> Result<(), ComputeError> {
    let owned = reduction.owned();
    let together = plan::slices(batch, config.shard_count(), &owned).len();
    let (pixels, labels) = samples.at(&orders.sample_places(together)?)?;
    let mut first = 0;
    for (index, shard) in owned.zip(shards) {
        let slice = plan::slice(batch, config.shard_count(), LogicalShard(index as u32));
        let count = slice.len() as i64;
        shard.load(&pixels.f_narrow(0, first, count)?, labels.f_narrow(0, first, count)?, table)?;
        first += count;
    }
    Ok(())
}

fn context(
    config: &Config,
    centers: &Tensor,
    forward: &Forward,
    (batch, classes): (usize, &Tensor),
) -> Result<LossContext, ComputeError> {
    let centers = centers.f_to_kind(Kind::Double)?;
    let center = config.loss.center.then(|| CenterLoss {
        centers: centers.shallow_clone(),
        counts: forward.counts.shallow_clone(),
        weight: config.center_weight,
    });
    let (scores, dim) = (config.loss.scores.is_some(), config.feature_dim as i64);
    Ok(LossContext { scores, centers, center, batch, dim, classes: classes.shallow_clone() })
}

/// Numbers that each rank's rows have, so many of them before its samples.
fn row_numbers(
    reduction: &Reduction,
    (config, batch): (&Config, usize),
    before: usize,
) -> Vec<usize> {
    let (world, shards) = (reduction.world_size(), config.shard_count());
    let samples = |rank| plan::slices(batch, shards, &plan::shards_of(shards, world, rank)).len();
    let width = config.feature_dim as usize + 2;
    world.ranks().map(|rank| before + samples(rank) * width).collect()
}

/// This rank's sums of each shard, and its rows: wishes, what it claims, then samples.
fn contribution(
    head: &Head,
    (orders, claim): (&DeviceOrders, Option<Tensor>),
    context: &LossContext,
) -> Result<(Vec<Tensor>, Tensor), ComputeError> {
    let partials: Vec<Tensor> = head.parts.iter().map(|part| part.sums.shallow_clone()).collect();
    debug_assert!(partials.iter().all(|sums| sums.size() == [context.sums()]));
    let mut rows = vec![orders.wishes()?];
    rows.extend(claim);
    for part in &head.parts {
        rows.push(part.rows.f_reshape([-1])?);
    }
    Ok((partials, Tensor::f_cat(&rows, 0)?))
}

/// All ranks' rows, so many numbers of each before its samples: as samples, `[batch, width]`; as wishes, the strongest and
/// what the first rank has stored, `[2]`; and as claims, one after the other.
fn split(
    rows: &Tensor,
    (numbers, before): (&[usize], usize),
    width: i64,
) -> Result<(Tensor, Tensor, Tensor), ComputeError> {
    let mut samples = Vec::with_capacity(numbers.len());
    let mut asked = Vec::with_capacity(numbers.len());
    let mut claims = Vec::with_capacity(numbers.len());
    let mut first = 0;
    for numbers in numbers {
        asked.push(rows.f_narrow(0, first, 1)?);
        claims.push(rows.f_narrow(0, first + WISHES as i64, (before - WISHES) as i64)?);
        let (start, count) = (first + before as i64, (*numbers - before) as i64);
        samples.push(rows.f_narrow(0, start, count)?);
        first = start + count;
    }
    let strongest = Tensor::f_cat(&asked, 0)?.f_max()?.f_view([1])?;
    let stored = rows.f_narrow(0, 1, 1)?;
    let samples = Tensor::f_cat(&samples, 0)?.f_view([-1, width])?;
    Ok((samples, Tensor::f_cat(&[strongest, stored], 0)?, Tensor::f_cat(&claims, 0)?))
}

/// Two different copies, one to read and one to write.
fn two(copies: &mut [StateCopy], read: usize, write: usize) -> (&StateCopy, &mut StateCopy) {
    let mut iter = copies.iter_mut().enumerate();
    let mut found = (None, None);
    for (index, copy) in &mut iter {
        if index == read {
            found.0 = Some(&*copy);
        } else if index == write {
            found.1 = Some(copy);
        }
    }
    match found {
        (Some(read), Some(write)) => (read, write),
        _ => unreachable!("a step never writes the copy it reads"),
    }
}
