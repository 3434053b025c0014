//! What the user sees while a run lasts: a bar on a terminal, log lines elsewhere.
//!
//! A task of `run`; it only reads the status.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::{StatusReply, StepMetrics};

use crate::log::{Display, Terminal};
use crate::service::Shared;
use crate::service::status::status;

/// Between two looks at the status, on a terminal.
const REFRESH: Duration = Duration::from_millis(250);
/// Between two log lines, elsewhere.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the run until it is cancelled.
pub async fn show(shared: Arc<Shared>, terminal: Terminal) {
    let cancel = shared.cancel.clone();
    match terminal.display {
        Display::Lines => {
            cancel.run_until_cancelled(log_lines(&shared)).await;
        }
        Display::Bar => {
            terminal.bar.set_draw_target(ProgressDrawTarget::stderr());
            cancel.run_until_cancelled(draw(&shared, &terminal.bar)).await;
            terminal.bar.finish_and_clear();
        }
    }
}

async fn log_lines(shared: &Shared) {
    let mut shown = None;
    let mut interval = tokio::time::interval(LINE_INTERVAL);
    loop {
        interval.tick().await;
        let status = status(shared);
        let state = (status.phase.clone(), status.step);
        if status.phase == "training" && shown.as_ref() != Some(&state) {
            tracing::info!(epoch = status.epoch, step = status.step, "{}", describe(&status));
            shown = Some(state);
        }
    }
}

async fn draw(shared: &Shared, bar: &ProgressBar) {
    let mut interval = tokio::time::interval(REFRESH);
    let mut phase = String::new();
    loop {
        interval.tick().await;
        let status = status(shared);
        if phase != status.phase {
            phase.clone_from(&status.phase);
            bar.set_style(style(&status.phase));
            bar.enable_steady_tick(REFRESH);
        }
        bar.set_length(status.total_steps);
        bar.set_position(status.step);
        bar.set_prefix(format!(
            "epoch {}/{}",
            (status.epoch + 1).min(status.epochs),
            status.epochs
        ));
        bar.set_message(describe(&status));
    }
}

fn style(phase: &str) -> ProgressStyle {
    let template = match phase {
        "waiting for workers" => "{spinner} {msg}",
        _ => "{prefix} {wide_bar} {pos}/{len} {msg}",
    };
    ProgressStyle::with_template(template).expect("the templates above are valid")
}

/// The status in a line.
fn describe(status: &StatusReply) -> String {
    if status.phase != "training" {
        return format!("{}: {}", status.phase, status.phase_reason);
    }
    let mut parts = vec![format!("{:.0} images/s", status.images_per_second)];
    if let Some(seconds) = status.eta_seconds {
        parts.push(format!("ETA {}", duration(seconds)));
    }
    if let Some(step) = &status.last_step {
        let losses: Vec<String> =
            losses(step).iter().map(|(_, loss)| format!("{loss:.4}")).collect();
        parts.push(format!("loss {:.4} ({})", step.loss, losses.join(" + ")));
    }
    if let Some(test) = status.last_epoch.as_ref().and_then(|epoch| epoch.test.as_ref()) {
        parts.push(format!("accuracy {:.2} %", 100.0 * test.accuracy));
    }
    parts.join(", ")
}

/// What a step's loss is made of, by name. Of a loss with terms over the whole batch only what there is.
pub fn losses(step: &StepMetrics) -> Vec<(&str, f64)> {
    let terms = step.terms.iter().map(|term| (term.name.as_str(), term.loss));
    let plain = [("softmax", step.softmax_loss), ("center", step.center_loss)].into_iter();
    let plain = plain.filter(|(_, loss)| step.terms.is_empty() || *loss != 0.0);
    plain.chain(terms).collect()
}

/// Seconds as people read them.
pub fn duration(seconds: f64) -> String {
    let whole = if seconds.is_finite() { seconds.round().clamp(0.0, 1e9) as u64 } else { 0 };
    humantime::format_duration(Duration::from_secs(whole)).to_string()
}

#[cfg(test)]
mod tests {
    use proto::{EpochMetrics, TermMetrics, TestMetrics};

    use super::*;

    #[test]
    fn a_line_says_what_is_known() {
        let waiting = StatusReply {
            phase: "waiting for workers".to_string(),
            phase_reason: "1 of 2 workers are here, missing: rank 1".to_string(),
            ..StatusReply::default()
        };
        assert!(describe(&waiting).ends_with("missing: rank 1"));
        let step = StepMetrics {
            loss: 0.6,
            softmax_loss: 0.5,
            center_loss: 0.1,
            ..StepMetrics::default()
        };
        assert_eq!(losses(&step), [("softmax", 0.5), ("center", 0.1)]);
        let term = |name: &str, loss| TermMetrics { name: name.to_string(), loss, anchors: 9 };
        let terms = vec![term("arcface", 2.5), term("triplet", 0.0)];
        let margin = StepMetrics { softmax_loss: 0.0, terms, ..step.clone() };
        assert_eq!(losses(&margin), [("center", 0.1), ("arcface", 2.5), ("triplet", 0.0)]);
        let test = Some(TestMetrics { accuracy: 0.973, ..TestMetrics::default() });
        let training = StatusReply {
            phase: "training".to_string(),
            images_per_second: 401.7,
            eta_seconds: Some(3725.0),
            last_step: Some(step),
            last_epoch: Some(EpochMetrics { test, ..EpochMetrics::default() }),
            ..StatusReply::default()
        };
        assert_eq!(
            describe(&training),
            "402 images/s, ETA 1h 2m 5s, loss 0.6000 (0.5000 + 0.1000), accuracy 97.30 %"
        );
    }
}
