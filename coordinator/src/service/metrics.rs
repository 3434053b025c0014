//! Metrics on their way to `metrics.jsonl`, the board and the log.

use std::sync::Arc;

use common::digests::{self, StepDigests};
use common::metrics::{EpochMetrics, Record, StepMetrics, TermMetrics, TermsMetrics};
use common::status::ServiceError;
use proto::report_metrics_request::Metrics;
use proto::{ReportMetricsReply, ReportMetricsRequest};
use tokio::task::spawn_blocking;

use super::shared::Shared;

pub async fn report(
    shared: &Shared,
    request: ReportMetricsRequest,
) -> Result<ReportMetricsReply, ServiceError> {
    shared.cluster.require_current(request.generation)?;
    let record = match request.metrics {
        Some(Metrics::Step(step)) => Record::Step(step.into()),
        Some(Metrics::Epoch(epoch)) => Record::Epoch(epoch.into()),
        None => {
            return Err(ServiceError::Invalid("the report holds no metrics".to_string()));
        }
    };
    shared.intake.check_metrics(&record)?;
    let directory = Arc::clone(&shared.directory);
    let digests = digests_of(shared, &record);
    let writing = spawn_blocking(move || {
        // A line of metrics tells that the step's digests are there.
        digests.map_or(Ok(()), |digests| directory.append_digests(&digests))?;
        directory.append_metrics(&record).map(|()| record)
    });
    let written = writing.await.map_err(|error| ServiceError::Internal(error.to_string()))?;
    match shared.ending_run_if_storage_failed(written)? {
        Record::Step(step) => {
            let step = StepMetrics { digests: Vec::new(), ..step };
            shared.board.update(|board| board.last_step = Some(step));
        }
        Record::Epoch(epoch) => {
            log(&epoch);
            shared.board.update(|board| board.last_epoch = Some(epoch));
        }
    }
    Ok(ReportMetricsReply {})
}

fn digests_of(shared: &Shared, record: &Record) -> Option<StepDigests> {
    match record {
        Record::Step(step) if !step.digests.is_empty() => {
            let names = digests::names(&shared.config, shared.data.shape());
            Some(StepDigests::new(names, (step.epoch, step.step), &step.digests))
        }
        Record::Step(_) | Record::Epoch(_) => None,
    }
}

/// The terms over the whole batch in words, where there are some.
fn terms(metrics: &EpochMetrics) -> Option<String> {
    let TermsMetrics(terms) = &metrics.terms;
    let words = terms.iter().map(|TermMetrics { name, loss, anchors }| match anchors {
        0 => format!("{name} {loss:.4} (NO BATCH HAD A PAIR: it trains nothing)"),
        _ => format!("{name} {loss:.4} of {anchors} samples"),
    });
    (!terms.is_empty()).then(|| words.collect::<Vec<_>>().join(", "))
}

fn log(metrics: &EpochMetrics) {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    tracing::info!(
        epoch = %metrics.epoch,
        loss = format_args!("{:.4}", metrics.loss),
        softmax_loss = format_args!("{:.4}", metrics.softmax_loss),
        center_loss = format_args!("{:.4}", metrics.center_loss),
        terms = terms(metrics),
        train_accuracy = percent(metrics.train_accuracy),
        test_accuracy = metrics.test.test_accuracy.map(percent),
        images_per_second = format_args!("{:.0}", metrics.images_per_second),
        "epoch done"
    );
}
