//! The terms of the loss that look at every sample of the global batch, added up.
//!
//! Every rank computes them alike from the gathered features; each then uses the rows of its own samples.

use common::batch_losses::{Batch, BatchError, Criterion, Own};
use common::config::{Loss, LossTerm};
use common::metrics::{TermMetrics, TermsMetrics};
use serde::{Deserialize, Serialize};

/// A run's terms.
#[derive(Debug)]
pub struct Terms(Vec<Term>);

#[derive(Debug)]
struct Term {
    name: &'static str,
    weight: f64,
    criterion: Box<dyn Criterion>,
}

/// What they come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchTerms {
    /// Of each term.
    pub values: Vec<TermValue>,
    /// ∂L/∂f, `[batch, dim]`.
    pub to_features: Vec<f64>,
    /// ∂L/∂center, `[classes, dim]`; empty where no term has centers.
    pub to_centers: Vec<f64>,
    /// ∂L/∂`output.weight`, `[classes, dim]`; empty where no term has it.
    pub to_output: Vec<f64>,
    /// The class of each sample, where a term classifies.
    pub predictions: Option<Vec<u16>>,
}

/// One term of a batch, or what those of an epoch add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TermValue {
    /// Its value, times its weight; in a sum over steps, times each step's samples.
    pub loss: f64,
    /// Samples that took part.
    pub anchors: u64,
}

/// Adds a step of so many samples to the sums of an epoch, which are none before its first.
pub fn add_step(sums: &mut Vec<TermValue>, step: &[TermValue], samples: usize) {
    sums.resize(step.len(), TermValue::default());
    for (sum, term) in sums.iter_mut().zip(step) {
        sum.loss += term.loss * samples as f64;
        sum.anchors += term.anchors;
    }
}

impl Terms {
    /// Those of a loss.
    pub fn of(loss: &Loss) -> Self {
        let term = |term: &LossTerm| Term {
            name: term.name,
            weight: term.weight,
            criterion: term.criterion(),
        };
        Self(loss.terms.iter().map(term).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one classifies in place of the scores.
    pub fn classify(&self) -> bool {
        self.classifier().is_some()
    }

    fn classifier(&self) -> Option<&Term> {
        self.0.iter().find(|term| term.criterion.own() == Own::OutputWeight)
    }

    /// All of a batch whose samples are these [`rows`], with these centers and this `output.weight`, both `[classes, dim]`.
    ///
    /// # Errors
    /// They are no samples of as many classes.
    pub fn of_rows(
        &self,
        rows: &[f64],
        dim: usize,
        (centers, output): (&[f64], &[f64]),
    ) -> Result<BatchTerms, BatchError> {
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for row in rows.chunks_exact(dim + 1) {
            features.extend_from_slice(&row[..dim]);
            labels.push(row[dim] as u16);
        }
        let batch = Batch::new(&features, &labels, dim, output.len() / dim)?;
        Ok(self.evaluate(&batch, centers, output))
    }

    /// All of a batch, with these centers and this `output.weight`, both `[classes, dim]`.
    pub fn evaluate(&self, batch: &Batch<'_>, centers: &[f64], output: &[f64]) -> BatchTerms {
        let mut all =
            BatchTerms { to_features: vec![0.0; batch.features().len()], ..BatchTerms::default() };
        for Term { weight, criterion, .. } in &self.0 {
            let own = match criterion.own() {
                Own::Nothing => &[][..],
                Own::Centers => centers,
                Own::OutputWeight => output,
            };
            let part = criterion.evaluate(batch, own);
            all.values.push(TermValue { loss: weight * part.loss, anchors: part.anchors as u64 });
            add(&mut all.to_features, *weight, &part.to_features);
            match criterion.own() {
                Own::Nothing => {}
                Own::Centers => add(&mut all.to_centers, *weight, &part.to_own),
                Own::OutputWeight => {
                    add(&mut all.to_output, *weight, &part.to_own);
                }
            }
        }
        all.predictions = self.predictions(batch, output);
        all
    }

    /// The class of each sample, where a term classifies, given `output.weight`.
    pub fn predictions(&self, batch: &Batch<'_>, output: &[f64]) -> Option<Vec<u16>> {
        self.classifier()?.criterion.scores(batch, output).map(|scores| scores.predictions)
    }

    /// What these come to, as a run reports it; losses are divided by `samples`.
    pub fn metrics(&self, values: &[TermValue], samples: f64) -> TermsMetrics {
        let metrics = |(term, value): (&Term, &TermValue)| TermMetrics {
            name: term.name.to_string(),
            loss: value.loss / samples,
            anchors: value.anchors,
        };
        TermsMetrics(self.0.iter().zip(values).map(metrics).collect())
    }
}

/// Samples as they are gathered: the features of each, then its label.
pub fn rows<'a>(
    features: &'a [f64],
    labels: &'a [u16],
    dim: usize,
) -> impl Iterator<Item = f64> + 'a {
    let samples = features.chunks_exact(dim).zip(labels);
    samples.flat_map(|(feature, label)| feature.iter().copied().chain([f64::from(*label)]))
}

/// sum ← sum + weight·numbers; an empty sum is one of zeros.
fn add(sum: &mut Vec<f64>, weight: f64, numbers: &[f64]) {
    sum.resize(numbers.len(), 0.0);
    sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += weight * number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_weighted_and_added() {
        let (features, labels) = ([1.0, 0.0, 0.5, 1.0, -1.0, 0.25, 0.0, -2.0], [0, 0, 1, 1]);
        let batch = Batch::new(&features, &labels, 2, 2).unwrap();
        let centers = [0.5, 0.5, -0.5, -1.0];
        let of =
            |loss: &str| Terms::of(&loss.parse().unwrap()).evaluate(&batch, &centers, &centers);
        let (supcon, center) = (of("softmax + supcon"), of("softmax + contrastive-center"));
        let both = of("softmax + 0.5*supcon + 2*contrastive-center");
        assert_eq!(both.values[0].loss, 0.5 * supcon.values[0].loss);
        assert_eq!(both.values[1], TermValue { loss: 2.0 * center.values[0].loss, anchors: 4 });
        for (place, sum) in both.to_features.iter().enumerate() {
            assert_eq!(*sum, 0.5 * supcon.to_features[place] + 2.0 * center.to_features[place]);
        }
        assert_eq!(both.to_centers[3], 2.0 * center.to_centers[3]);
        assert!(supcon.to_centers.is_empty() && supcon.predictions.is_none());
        let margin = of("arcface");
        assert_eq!(margin.predictions, Some(vec![0, 0, 1, 1]));
        assert_eq!(margin.to_output.len(), 4);
    }
}
