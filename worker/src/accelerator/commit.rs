//! A step's last part: makes the next copy of the state, and decides on the device whether it counts.
//!
//! A loss or a state that is no finite number makes the next copy equal to the one before, and all later ones too: the
//! host may learn of it late, and finds the state of the last good step.

use common::config::{CenterRule, Config, Optimizer};
use tch::{Kind, Tensor};

use super::copy::StateCopy;
use super::identity::Keys;
use super::losses::CenterLoss;
use super::norm::{Statistics, updated};
use super::numbers::DeviceOrders;
use super::whole_batch::WholeBatch;
use crate::bridge::fused::{self, Sgd};
use crate::mathematics::optimizer::{BETA_1, BETA_2, EPSILON};
use crate::network::ComputeError;

/// What a step has found out, all of it global sums.
pub struct Found<'a> {
    /// The flat gradient.
    pub gradient: &'a Tensor,
    /// Each layer's statistics.
    pub statistics: &'a [Statistics],
    /// `[Σ −log p, Σ‖f − c‖²/n, right, Σ(c − f)…]`.
    pub sums: &'a Tensor,
    /// The center loss, where there is one.
    pub center: Option<&'a CenterLoss>,
    /// What looks at every sample of the batch.
    pub whole_batch: &'a WholeBatch,
    /// Samples of the global batch.
    pub batch: usize,
    /// The strongest wish of any rank and what the first one has stored, `[2]`.
    pub wishes: &'a Tensor,
    /// What every rank claims, one after the other.
    pub claims: &'a Tensor,
    /// What the step adds to the epoch's record, `[batch, feature_dim + 2]`.
    pub rows: &'a Tensor,
}

/// Writes the state after the step into `target`, or that of `source` if the step was not good; the step's report.
///
/// # Errors
/// What libtorch says.
pub fn commit(
    found: &Found<'_>,
    (source, target): (&StateCopy, &mut StateCopy),
    (orders, keys): (&DeviceOrders, Option<&Keys>),
    config: &Config,
) -> Result<Tensor, ComputeError> {
    let softmax = found.sums.f_narrow(0, 0, 1)?.f_div_scalar(found.batch as f64)?;
    let center = match found.center {
        Some(center) => center.value(&found.sums.f_narrow(0, 1, 1)?, found.batch)?,
        None => softmax.f_zeros_like()?,
    };
    step(found.gradient, (source, target), orders, config)?;
    target.running.f_copy_(&updated(&source.running, found.statistics)?)?;
    target.centers.f_copy_(&centers(found, source, (config.center_rule, config.center_lr))?)?;

    let loss = softmax.f_add(&center)?.f_add_scalar(found.whole_batch.loss())?;
    let finite_loss = is_finite(&loss)?;
    let states = [&target.flat, &target.running, &target.centers];
    let finite = states.map(is_finite);
    let [flat, running, centers] = finite;
    let finite_state = flat?.f_mul(&running?)?.f_mul(&centers?)?;
    let good = source.good.f_mul(&finite_loss)?.f_mul(&finite_state)?;
    target.good.f_copy_(&good)?;
    if let Some(keys) = keys {
        target.trail.f_copy_(&keys.grown(&source.trail, found.rows)?)?;
    }
    keep_if(&good, source, target)?;
    let right = found.sums.f_narrow(0, 2, 1)?;
    let good_before = source.good.shallow_clone();
    let parts = [
        softmax,
        center,
        right,
        found.wishes.shallow_clone(),
        good_before,
        finite_loss,
        finite_state,
        found.claims.shallow_clone(),
    ];
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// Parameters and momenta after a step.
fn step(
    gradient: &Tensor,
    (source, target): (&StateCopy, &mut StateCopy),
    orders: &DeviceOrders,
    config: &Config,
) -> Result<(), ComputeError> {
    let kind = source.flat.kind();
    let learning_rate = orders.learning_rate(kind)?;
    target.flat.f_copy_(&source.flat)?;
    target.first.f_copy_(&source.first)?;
    match (config.optimizer, &source.second, &mut target.second) {
        (Optimizer::Adam, Some(second), Some(target_second)) => {
            target_second.f_copy_(second)?;
            let corrections = orders.adam_corrections()?;
            adam(target, gradient, (&learning_rate, corrections), config.weight_decay)
        }
        // On a GPU libtorch's fused step takes no buffer of momenta without a momentum.
        _ if kind == Kind::Float && config.momentum > 0.0 => {
            let StateCopy { flat, first, .. } = target;
            let (momentum, weight_decay) = (config.momentum, config.weight_decay);
            let step = Sgd { learning_rate: &learning_rate, momentum, weight_decay };
            Ok(fused::sgd(flat, gradient, first, step)?)
        }
        _ => {
            // The fused step takes its learning rate in 32 bits.
            let gradient = gradient.f_add(&target.flat.f_mul_scalar(config.weight_decay)?)?;
            let _ = target.first.f_mul_scalar_(config.momentum)?.f_add_(&gradient)?;
            let _ = target.flat.f_sub_(&target.first.f_mul(&learning_rate)?)?;
            Ok(())
        }
    }
}

fn adam(
    target: &mut StateCopy,
    gradient: &Tensor,
    (learning_rate, [correction_1, correction_2]): (&Tensor, [Tensor; 2]),
    weight_decay: f64,
) -> Result<(), ComputeError> {
    let StateCopy { flat, first, second, .. } = target;
    let Some(second) = second else { return Ok(()) };
    let gradient = gradient.f_add(&flat.f_mul_scalar(weight_decay)?)?;
    let _ = first.f_lerp_(&gradient, 1.0 - BETA_1)?;
    let square = gradient.f_square()?.f_mul_scalar(1.0 - BETA_2)?;
    let _ = second.f_mul_scalar_(BETA_2)?.f_add_(&square)?;
    let denominator = second.f_sqrt()?.f_div(&correction_2)?.f_add_scalar(EPSILON)?;
    let rate = learning_rate.f_to_kind(Kind::Double)?.f_div(&correction_1)?;
    let update = first.f_div(&denominator)?.f_mul(&rate.f_to_kind(flat.kind())?)?;
    let _ = flat.f_sub_(&update)?;
    Ok(())
}

fn centers(
    found: &Found<'_>,
    source: &StateCopy,
    rule: (CenterRule, f64),
) -> Result<Tensor, ComputeError> {
    let to_centers = found.whole_batch.to_centers.as_ref();
    if found.center.is_none() && to_centers.is_none() {
        return Ok(source.centers.shallow_clone());
    }
    let mut moved = source.centers.f_to_kind(Kind::Double)?;
    if let Some(center) = found.center {
        let differences = found.sums.f_narrow(0, 3, source.centers.numel() as i64)?;
        moved = center.moved(&differences, rule, found.batch)?;
    }
    if let Some(gradient) = to_centers {
        moved = moved.f_sub(&gradient.f_mul_scalar(rule.1)?)?;
    }
    Ok(moved.f_to_kind(source.centers.kind())?)
}

/// 1 if all numbers are finite, else 0, `[1]`.
fn is_finite(tensor: &Tensor) -> Result<Tensor, ComputeError> {
    Ok(tensor.f_isfinite()?.f_all()?.f_to_kind(Kind::Double)?.f_view([1])?)
}

/// Where `good` is not 1, `target` becomes `source`.
fn keep_if(good: &Tensor, source: &StateCopy, target: &mut StateCopy) -> Result<(), ComputeError> {
    let good = good.f_eq(1.0)?;
    let keep = |new: &mut Tensor, old: &Tensor| {
        let kept = new.f_where_self(&good, old)?;
        new.f_copy_(&kept)
    };
    keep(&mut target.flat, &source.flat)?;
    keep(&mut target.first, &source.first)?;
    if let (Some(new), Some(old)) = (&mut target.second, &source.second) {
        keep(new, old)?;
    }
    keep(&mut target.running, &source.running)?;
    keep(&mut target.centers, &source.centers)?;
    keep(&mut target.trail, &source.trail)?;
    Ok(())
}
