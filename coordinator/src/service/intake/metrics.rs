//! Lines of metrics: of a step or an epoch that the run has, in finite numbers.
//!
//! A run that diverges reports no such line: its worker says that it failed, and why.

use common::metrics::{EpochMetrics, Record, StepMetrics, TermsMetrics, TestMetrics};
use common::status::ServiceError;

use super::{Intake, refused};

impl Intake {
    /// Whether a line may be written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_metrics(&self, record: &Record) -> Result<(), ServiceError> {
        match record {
            Record::Step(metrics) => self.check_step(metrics),
            Record::Epoch(metrics) => self.check_epoch(metrics),
        }
        .map_err(|why| refused("a line of metrics", why))
    }

    fn check_step(&self, metrics: &StepMetrics) -> Result<(), String> {
        let (epoch, step) = (metrics.epoch.0, metrics.step.0);
        let next = step.checked_add(1).ok_or("a step beyond all numbers")?;
        self.check_done(next)?;
        if step / self.steps_per_epoch != epoch {
            return Err(format!("step {step} is not of epoch {epoch}"));
        }
        let (count, tensors) = (metrics.digests.len(), self.digests);
        if count != 0 && count != tensors {
            return Err(format!("digests of {count} tensors, there are {tensors}"));
        }
        let StepMetrics { loss, softmax_loss, center_loss, lr, images_per_second, .. } = *metrics;
        check_training([loss, softmax_loss, center_loss, lr, images_per_second])?;
        self.check_terms(&metrics.terms)
    }

    fn check_epoch(&self, metrics: &EpochMetrics) -> Result<(), String> {
        let (epoch, epochs) = (metrics.epoch.0, self.epochs());
        if epoch >= epochs {
            return Err(format!("epoch {epoch} of a run of {epochs}"));
        }
        let EpochMetrics { loss, softmax_loss, center_loss, lr, images_per_second, .. } = *metrics;
        check_training([loss, softmax_loss, center_loss, lr, images_per_second])?;
        self.check_terms(&metrics.terms)?;
        check_share("train_accuracy", metrics.train_accuracy)?;
        check_test(&metrics.test, self.classes)
    }

    /// They are those of the run's loss, in its order.
    fn check_terms(&self, TermsMetrics(terms): &TermsMetrics) -> Result<(), String> {
        let names = terms.iter().map(|term| term.name.as_str());
        if !names.eq(self.terms.iter().copied()) {
            let told: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
            return Err(format!("terms {told:?} of the loss, there are {:?}", self.terms));
        }
        let most = self.train_samples;
        if let Some(term) = terms.iter().find(|term| term.anchors > most) {
            return Err(format!("{} anchors of {}, of {most} samples", term.anchors, term.name));
        }
        let losses: Vec<_> = terms.iter().map(|term| (term.name.as_str(), term.loss)).collect();
        check_numbers(&losses)
    }
}

/// What a step and an epoch tell alike, in this order.
fn check_training(numbers: [f64; 5]) -> Result<(), String> {
    let names = ["loss", "softmax_loss", "center_loss", "lr", "images_per_second"];
    let named: Vec<_> = names.into_iter().zip(numbers).collect();
    check_numbers(&named)
}

fn check_test(test: &TestMetrics, expected: usize) -> Result<(), String> {
    let classes = test.class_accuracy.as_deref().unwrap_or_default();
    if test.class_accuracy.is_some() && classes.len() != expected {
        return Err(format!("accuracies of {} classes, there are {expected}", classes.len()));
    }
    let shares = [
        ("accuracy", test.test_accuracy),
        ("nearest_center_accuracy", test.nearest_center_accuracy),
    ];
    let classes = classes.iter().map(|share| ("class_accuracy", *share));
    for (name, share) in shares.into_iter().chain(classes) {
        share.map_or(Ok(()), |share| check_share(name, share))?;
    }
    let distances = [
        ("intra_distance", test.intra_distance),
        ("inter_distance", test.inter_distance),
        ("distance_ratio", test.distance_ratio),
    ];
    let known: Vec<_> = distances.into_iter().filter_map(|(name, it)| Some((name, it?))).collect();
    check_numbers(&known)
}

/// Losses, rates and distances: finite and not negative.
fn check_numbers(numbers: &[(&str, f64)]) -> Result<(), String> {
    let is_wrong = |number: f64| !number.is_finite() || number < 0.0;
    let wrong = numbers.iter().find(|(_, number)| is_wrong(*number));
    wrong.map_or(Ok(()), |(name, number)| Err(format!("{name} is {number}")))
}

fn check_share(name: &str, share: f64) -> Result<(), String> {
    (0.0..=1.0).contains(&share).then_some(()).ok_or_else(|| format!("{name} is {share}, not 0…1"))
}
