//! What `tests/reference/single_node.py` computed, and how far other results are from it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use common::architecture::CENTER;
use common::config::Network;
use serde::Deserialize;

use super::Results;
use super::results::norm;

/// The committed values.
pub static EXPECTED: LazyLock<Expected> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../reference/expected.json")).unwrap());

/// All of `expected.json` that tests use.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// What the closed formulas give.
    pub initial: Initial,
    /// The definition's results.
    pub cases: BTreeMap<String, Case>,
    /// Those of four ranks that make a mistake, and under `right` of none.
    pub broken: BTreeMap<String, Case>,
}

/// Samples and parameters before the first step.
#[derive(Debug, Deserialize)]
pub struct Initial {
    pub parameters: Vec<String>,
    pub norm: BTreeMap<String, f64>,
    pub first: BTreeMap<String, f64>,
    pub centers: Vec<f64>,
    pub labels_of_100: Vec<u8>,
    pub pixel_sums_of_100: Vec<u64>,
}

/// One run of the reference.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub batch_size: u64,
    pub train_samples: usize,
    pub steps: u64,
    pub loss_kind: String,
    pub center_rule: String,
    pub optimizer: String,
    pub network: Network,
    pub loss: Vec<f64>,
    pub softmax_loss: Vec<f64>,
    pub center_loss: Vec<f64>,
    /// Of the terms over the whole batch, by name.
    #[serde(default)]
    pub terms: BTreeMap<String, Vec<f64>>,
    pub norm: BTreeMap<String, f64>,
    pub sum: BTreeMap<String, f64>,
    pub centers: Vec<f64>,
}

/// A relative difference and where it is.
#[derive(Debug, PartialEq, PartialOrd)]
pub struct Difference(pub f64, pub String);

impl Case {
    /// The largest relative difference of a run's results from this case.
    pub fn largest_difference(&self, results: &Results) -> Difference {
        let all = [self.of_losses(results), self.of_tensors(results)].concat();
        let all = all.into_iter().map(|(difference, place)| {
            // A comparison with NaN would hide it.
            Difference(if difference.is_nan() { f64::INFINITY } else { difference }, place)
        });
        all.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    }

    fn of_losses(&self, results: &Results) -> Vec<(f64, String)> {
        let steps = results.steps();
        assert_eq!(steps.len() as u64, self.steps, "a line of metrics for every step");
        let kinds = [
            ("loss".to_string(), &self.loss),
            ("softmax_loss".to_string(), &self.softmax_loss),
            ("center_loss".to_string(), &self.center_loss),
        ];
        let terms = self.terms.iter();
        let terms =
            terms.map(|(name, values)| (format!("{}_loss", name.replace('-', "_")), values));
        let compare = |(kind, expected): (String, &Vec<f64>)| {
            let pairs = steps.iter().zip(expected.clone()).enumerate();
            let compare = pairs.map(|(step, (line, expected))| {
                let difference = single(line[&kind].as_f64().unwrap(), expected);
                (difference, format!("{kind} of step {step}"))
            });
            compare.collect::<Vec<_>>()
        };
        kinds.into_iter().chain(terms).flat_map(compare).collect()
    }

    fn of_tensors(&self, results: &Results) -> Vec<(f64, String)> {
        let model = results.model("last");
        let centers = model[CENTER].iter().zip(&self.centers).enumerate();
        let centers = centers.map(|(i, (found, expected))| {
            (single(*found, *expected), format!("coordinate {i} of the centers"))
        });
        let tensors = self.norm.iter().flat_map(|(name, expected)| {
            let found = &model[name];
            // Sums may cancel, so they are measured against the tensor's norm.
            let sum = (found.iter().sum::<f64>() - self.sum[name]).abs() / expected;
            [
                (single(norm(found), *expected), format!("norm of {name}")),
                (sum, format!("sum of {name}")),
            ]
        });
        centers.chain(tensors).collect()
    }
}

fn single(found: f64, expected: f64) -> f64 {
    (found - expected).abs() / if expected == 0.0 { 1.0 } else { expected.abs() }
}
