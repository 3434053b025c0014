//! The losses of a logical shard on the device: `crate::mathematics::softmax_loss` and `crate::mathematics::center_loss` with tensors for numbers.
//! In 64 bits on a few numbers per sample.

use common::config::CenterRule;
use tch::{Kind, Tensor};

use super::whole_batch::TermPart;
use crate::network::ComputeError;

/// What the losses need to know about the global batch.
pub struct LossContext {
    /// Whether the scores are a part of the loss.
    pub scores: bool,
    /// The class centers, `[classes, dim]`, in 64 bits.
    pub centers: Tensor,
    /// The center loss, where there is one.
    pub center: Option<CenterLoss>,
    /// Samples of the global batch.
    pub batch: usize,
    /// Numbers of a feature vector.
    pub dim: i64,
    /// The classes' numbers, `[1, classes]`.
    pub classes: Tensor,
}

/// The center loss of one global batch.
pub struct CenterLoss {
    /// The centers, `[classes, dim]`, in 64 bits.
    pub centers: Tensor,
    /// n_k over the global batch, `[classes]`, in 64 bits.
    pub counts: Tensor,
    /// λ.
    pub weight: f64,
}

/// A shard's results at the head of the network.
pub struct HeadPart {
    /// `[Σ −log p(label), Σ‖f − c‖²/n, right predictions, Σ(c − f) per class…]`.
    pub sums: Tensor,
    /// `[samples, dim + 2]`: features, label, prediction.
    pub rows: Tensor,
}

impl HeadPart {
    /// Of a shard without samples.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn empty(context: &LossContext) -> Result<Self, ComputeError> {
        let options = (Kind::Double, context.classes.device());
        Ok(Self {
            sums: Tensor::f_zeros([context.sums()], options)?,
            rows: Tensor::f_zeros([0, context.dim + 2], options)?,
        })
    }
}

/// What a shard's losses leave.
pub struct Part {
    /// For the sums over the batch.
    pub head: HeadPart,
    /// ∂L/∂score, `[samples, classes]`.
    pub score_gradient: Tensor,
    /// What the center loss and the terms over the whole batch add to ∂L/∂feature, `[samples, dim]`.
    pub feature_gradient: Option<Tensor>,
}

impl LossContext {
    /// Numbers of [`HeadPart::sums`].
    pub fn sums(&self) -> i64 {
        3 + self.center.as_ref().map_or(0, |center| center.centers.numel() as i64)
    }
}

/// The part of the samples with these features `[samples, dim]` in 64 bits, scores `[samples, classes]` and labels, of which
/// the terms over the whole batch say this.
///
/// # Errors
/// What libtorch says.
pub fn part(
    features: &Tensor,
    scores: &Tensor,
    labels: &Tensor,
    (context, terms): (&LossContext, TermPart),
) -> Result<Part, ComputeError> {
    let batch = context.batch as f64;
    let scores = scores.f_to_kind(Kind::Double)?;
    let column = labels.f_unsqueeze(1)?;
    let one_hot = column.f_eq_tensor(&context.classes)?.f_to_kind(Kind::Double)?;
    let logarithms = scores.f_log_softmax(-1, Kind::Double)?;
    let mut likelihood = logarithms.f_gather(1, &column, false)?.f_sum(Kind::Double)?.f_neg()?;
    let predictions = match terms.predictions {
        Some(predictions) => predictions,
        None => scores.f_argmax(1, false)?,
    };
    let right = predictions.f_eq_tensor(labels)?.f_sum(Kind::Double)?;
    let mut score_gradient = logarithms.f_exp()?.f_sub(&one_hot)?.f_div_scalar(batch)?;
    if !context.scores {
        (likelihood, score_gradient) = (likelihood.f_zeros_like()?, score_gradient.f_zeros_like()?);
    }
    let (distance, rest, of_center) = match &context.center {
        None => (likelihood.f_zeros_like()?, None, None),
        Some(center) => {
            let CenterPart { distance, differences, gradient } =
                center.part(features, labels, &one_hot, batch)?;
            (distance, Some(differences), Some(gradient))
        }
    };
    let feature_gradient = match (of_center, terms.to_features) {
        (Some(center), Some(terms)) => Some(center.f_add(&terms)?),
        (center, terms) => center.or(terms),
    };
    let mut sums = vec![Tensor::f_stack(&[likelihood, distance, right], 0)?];
    sums.extend(rest);
    let columns = [column, predictions.f_unsqueeze(1)?];
    let [label, prediction] = columns.map(|column| column.f_to_kind(Kind::Double));
    let rows = Tensor::f_cat(&[features, &label?, &prediction?], 1)?;
    let head = HeadPart { sums: Tensor::f_cat(&sums, 0)?, rows };
    Ok(Part { head, score_gradient, feature_gradient })
}

struct CenterPart {
    /// Σ‖f − c‖²/n.
    distance: Tensor,
    /// Σ(c − f) per class, flat.
    differences: Tensor,
    /// ∂L/∂f.
    gradient: Tensor,
}

impl CenterLoss {
    fn part(
        &self,
        features: &Tensor,
        labels: &Tensor,
        one_hot: &Tensor,
        batch: f64,
    ) -> Result<CenterPart, ComputeError> {
        let counts = self.counts.f_index_select(0, labels)?.f_unsqueeze(1)?;
        let away = features.f_sub(&self.centers.f_index_select(0, labels)?)?;
        let per_class = away.f_div(&counts)?;
        Ok(CenterPart {
            distance: per_class.f_mul(&away)?.f_sum(Kind::Double)?,
            differences: one_hot.tr().f_matmul(&away)?.f_neg()?.f_view([-1])?,
            gradient: per_class.f_mul_scalar(self.weight / batch)?,
        })
    }

    /// The loss, from Σ‖f − c‖²/n over all shards.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn value(&self, distance: &Tensor, batch: usize) -> Result<Tensor, ComputeError> {
        Ok(distance.f_mul_scalar(0.5 * self.weight / batch as f64)?)
    }

    /// The centers after this batch, from Σ(c − f) per class over all shards, flat. A class absent from the batch has a
    /// sum of zeros, so that it keeps its center under both rules.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn moved(
        &self,
        differences: &Tensor,
        (rule, learning_rate): (CenterRule, f64),
        batch: usize,
    ) -> Result<Tensor, ComputeError> {
        let divisor = match rule {
            CenterRule::Autograd => {
                self.counts.f_clamp_min(1.0)?.f_mul_scalar(batch as f64 / self.weight)?
            }
            CenterRule::Wen => self.counts.f_add_scalar(1.0)?,
        };
        let differences = differences.f_view_as(&self.centers)?;
        let moves = differences.f_div(&divisor.f_unsqueeze(1)?)?.f_mul_scalar(learning_rate)?;
        Ok(self.centers.f_sub(&moves)?)
    }
}
