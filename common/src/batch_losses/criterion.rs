//! The one signature of the losses over a global batch: what goes in, what comes out, and what is done with input that
//! no formula covers.
//!
//! Every loss implements [`Criterion`]; the trainer calls [`Criterion::evaluate`]. Nothing here knows a formula.

/// A global batch: features, labels, and the sizes both were checked against.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    features: &'a [f64],
    labels: &'a [u16],
    dim: usize,
    classes: usize,
}

/// Why features and labels are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// `features` is not `[labels, dim]`, or `dim` is 0.
    #[error("{numbers} feature numbers are not {samples} vectors of {dim}")]
    Shape {
        /// Numbers in `features`.
        numbers: usize,
        /// Labels.
        samples: usize,
        /// Numbers of a feature vector.
        dim: usize,
    },
    /// A label names no class.
    #[error("sample {sample} has label {label}, but there are only {classes} classes")]
    Label {
        /// Index of the sample in the batch.
        sample: usize,
        /// Its label.
        label: u16,
        /// Classes of the run.
        classes: usize,
    },
}

impl<'a> Batch<'a> {
    /// The samples with these features, `[B, dim]`, and labels, `[B]`, each below `classes`. B may be 0.
    pub fn new(
        features: &'a [f64],
        labels: &'a [u16],
        dim: usize,
        classes: usize,
    ) -> Result<Self, BatchError> {
        let samples = labels.len();
        if dim == 0 || samples.checked_mul(dim) != Some(features.len()) {
            return Err(BatchError::Shape { numbers: features.len(), samples, dim });
        }
        match labels.iter().position(|&label| usize::from(label) >= classes) {
            Some(sample) => Err(BatchError::Label { sample, label: labels[sample], classes }),
            None => Ok(Self { features, labels, dim, classes }),
        }
    }

    /// B, samples.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// d, numbers of a feature vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// C, classes of the run, in the batch or not.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All features, `[B, d]`.
    pub fn features(&self) -> &'a [f64] {
        self.features
    }

    /// The features of one sample, `[d]`.
    pub fn feature(&self, sample: usize) -> &'a [f64] {
        &self.features[sample * self.dim..(sample + 1) * self.dim]
    }

    /// The class of one sample.
    pub fn label(&self, sample: usize) -> usize {
        usize::from(self.labels[sample])
    }

    /// Of each sample, how many *other* samples of the batch have its label, `[B]`.
    pub fn positives(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        self.labels.iter().map(|&label| counts[usize::from(label)] - 1).collect()
    }
}

/// A loss and its gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLoss {
    /// The loss, a mean over `anchors`.
    pub loss: f64,
    /// ∂loss/∂features, `[B, d]`.
    pub to_features: Vec<f64>,
    /// ∂loss/∂own parameters, of their shape; empty where the loss has none.
    pub to_own: Vec<f64>,
    /// Samples that took part; 0 → loss 0.
    pub anchors: usize,
}

impl BatchLoss {
    /// Loss and gradients 0, where a loss begins to add.
    pub fn zero(batch: &Batch<'_>, own: &[f64]) -> Self {
        Self {
            loss: 0.0,
            to_features: vec![0.0; batch.features.len()],
            to_own: vec![0.0; own.len()],
            anchors: 0,
        }
    }

    /// Loss and gradients NaN: the input has numbers that are not finite.
    fn undefined(batch: &Batch<'_>, own: &[f64]) -> Self {
        Self {
            loss: f64::NAN,
            to_features: vec![f64::NAN; batch.features.len()],
            to_own: vec![f64::NAN; own.len()],
            anchors: batch.samples(),
        }
    }
}

/// What a loss's own parameters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// It has none.
    Nothing,
    /// Centers, `[C, d]`.
    Centers,
    /// `output.weight`, `[C, d]`, without a bias.
    OutputWeight,
}

impl Own {
    /// Numbers of the own parameters.
    pub fn len(self, classes: usize, dim: usize) -> usize {
        match self {
            Own::Nothing => 0,
            Own::Centers | Own::OutputWeight => classes * dim,
        }
    }
}

/// What a loss that is a classifier says of each sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Scores as at a test, without margin, `[B, C]`.
    pub scores: Vec<f64>,
    /// The class with the highest score of each sample, the first of equals, `[B]`.
    pub predictions: Vec<u16>,
}

/// A loss over the global batch.
pub trait Criterion: std::fmt::Debug + Send + Sync {
    /// What its own parameters are.
    fn own(&self) -> Own;

    /// Loss and gradients of at least one sample, with features and own parameters that are finite. Called by
    /// [`Criterion::evaluate`] alone.
    fn evaluate_finite(&self, batch: &Batch<'_>, own: &[f64]) -> BatchLoss;

    /// Scores and predictions, of a loss that classifies; `None` of the others.
    fn scores(&self, _batch: &Batch<'_>, _own: &[f64]) -> Option<Scores> {
        None
    }

    /// Loss and gradients. No samples: loss 0. Any number of features or `own` that is infinite or NaN: all NaN.
    ///
    /// # Panics
    ///
    /// If `own` has not the length that [`Criterion::own`] says.
    fn evaluate(&self, batch: &Batch<'_>, own: &[f64]) -> BatchLoss {
        assert_eq!(
            own.len(),
            self.own().len(batch.classes, batch.dim),
            "own parameters of {self:?}"
        );
        let finite = |numbers: &[f64]| numbers.iter().all(|number| number.is_finite());
        match batch.samples() {
            0 => BatchLoss::zero(batch, own),
            _ if finite(batch.features) && finite(own) => self.evaluate_finite(batch, own),
            _ => BatchLoss::undefined(batch, own),
        }
    }
}
