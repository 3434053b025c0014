//! Conversions between domain types and the service's messages.

use proto::{
    DataShape as ShapeMessage, EpochMetrics as EpochMessage, StepMetrics as StepMessage,
    TermMetrics as TermMessage, TestMetrics as TestMessage,
};

use crate::data_shape::DataShape;
use crate::ids::{Epoch, Step};
use crate::metrics::{EpochMetrics, StepMetrics, TermMetrics, TermsMetrics, TestMetrics};

/// What a message says of a run's data: its shape, and a name for each class.
///
/// # Errors
/// There is no such data, or the message lacks it.
pub fn data_of(message: Option<&ShapeMessage>) -> Result<(DataShape, &[String]), String> {
    let message = message.ok_or("the coordinator does not say what the data are like")?;
    let shape = DataShape {
        channels: message.channels as usize,
        height: message.height as usize,
        width: message.width as usize,
        classes: message.class_names.len(),
    };
    Ok((shape.check()?, &message.class_names))
}

/// The message that [`data_of`] reads.
pub fn data_message(shape: DataShape, class_names: &[String]) -> ShapeMessage {
    ShapeMessage {
        channels: shape.channels as u32,
        height: shape.height as u32,
        width: shape.width as u32,
        class_names: class_names.to_vec(),
    }
}

impl From<&StepMetrics> for StepMessage {
    fn from(metrics: &StepMetrics) -> Self {
        Self {
            epoch: metrics.epoch.0,
            step: metrics.step.0,
            loss: metrics.loss,
            softmax_loss: metrics.softmax_loss,
            center_loss: metrics.center_loss,
            lr: metrics.lr,
            images_per_second: metrics.images_per_second,
            digests: metrics.digests.clone(),
            terms: term_messages(&metrics.terms),
        }
    }
}

impl From<StepMessage> for StepMetrics {
    fn from(message: StepMessage) -> Self {
        Self {
            epoch: Epoch(message.epoch),
            step: Step(message.step),
            loss: message.loss,
            softmax_loss: message.softmax_loss,
            center_loss: message.center_loss,
            terms: terms_of(message.terms),
            lr: message.lr,
            images_per_second: message.images_per_second,
            digests: message.digests,
        }
    }
}

impl From<&EpochMetrics> for EpochMessage {
    fn from(metrics: &EpochMetrics) -> Self {
        let test = &metrics.test;
        Self {
            epoch: metrics.epoch.0,
            loss: metrics.loss,
            softmax_loss: metrics.softmax_loss,
            center_loss: metrics.center_loss,
            train_accuracy: metrics.train_accuracy,
            lr: metrics.lr,
            images_per_second: metrics.images_per_second,
            test: test.test_accuracy.map(|accuracy| TestMessage {
                accuracy,
                class_accuracy: class_accuracies(test),
                intra_distance: test.intra_distance.unwrap_or(f64::NAN),
                inter_distance: test.inter_distance.unwrap_or(f64::NAN),
                distance_ratio: test.distance_ratio.unwrap_or(f64::NAN),
                nearest_center_accuracy: test.nearest_center_accuracy.unwrap_or(f64::NAN),
            }),
            terms: term_messages(&metrics.terms),
        }
    }
}

fn term_messages(TermsMetrics(terms): &TermsMetrics) -> Vec<TermMessage> {
    let message = |TermMetrics { name, loss, anchors }: &TermMetrics| TermMessage {
        name: name.clone(),
        loss: *loss,
        anchors: *anchors,
    };
    terms.iter().map(message).collect()
}

fn terms_of(messages: Vec<TermMessage>) -> TermsMetrics {
    let term = |TermMessage { name, loss, anchors }| TermMetrics { name, loss, anchors };
    TermsMetrics(messages.into_iter().map(term).collect())
}

fn class_accuracies(test: &TestMetrics) -> Vec<f64> {
    let classes = test.class_accuracy.iter().flatten();
    classes.map(|accuracy| accuracy.unwrap_or(f64::NAN)).collect()
}

impl From<EpochMessage> for EpochMetrics {
    fn from(message: EpochMessage) -> Self {
        Self {
            epoch: Epoch(message.epoch),
            loss: message.loss,
            softmax_loss: message.softmax_loss,
            center_loss: message.center_loss,
            terms: terms_of(message.terms),
            train_accuracy: message.train_accuracy,
            lr: message.lr,
            images_per_second: message.images_per_second,
            test: message.test.map_or_else(TestMetrics::default, TestMetrics::from),
        }
    }
}

impl From<TestMessage> for TestMetrics {
    fn from(message: TestMessage) -> Self {
        let known = |value: f64| Some(value).filter(|value| !value.is_nan());
        Self {
            test_accuracy: known(message.accuracy),
            class_accuracy: Some(message.class_accuracy.into_iter().map(known).collect()),
            intra_distance: known(message.intra_distance),
            inter_distance: known(message.inter_distance),
            distance_ratio: known(message.distance_ratio),
            nearest_center_accuracy: known(message.nearest_center_accuracy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_metrics_survive_the_journey() {
        let metrics = EpochMetrics {
            epoch: Epoch(3),
            loss: 0.1 + 0.2,
            softmax_loss: 0.1,
            center_loss: 0.2,
            terms: TermsMetrics(vec![TermMetrics {
                name: "supcon".to_string(),
                loss: 0.25,
                anchors: 9,
            }]),
            train_accuracy: 0.9,
            lr: 1e-3,
            images_per_second: 400.0,
            test: TestMetrics {
                test_accuracy: Some(0.5),
                class_accuracy: Some(vec![Some(1.0), None]),
                intra_distance: Some(1.5),
                inter_distance: None,
                distance_ratio: None,
                nearest_center_accuracy: Some(0.25),
            },
        };
        assert_eq!(EpochMetrics::from(EpochMessage::from(&metrics)), metrics);
        let untested = EpochMetrics { test: TestMetrics::default(), ..metrics };
        assert_eq!(EpochMetrics::from(EpochMessage::from(&untested)), untested);
    }
}
