//! What the terms of the loss that look at the whole batch came to, and how a line of `metrics.jsonl` holds them: two numbers a
//! term, `supcon_loss` and `supcon_anchors`, beside the others.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::batch_losses::LOSSES;

/// One term.
#[derive(Clone, Debug, PartialEq)]
pub struct TermMetrics {
    /// As in `--loss`.
    pub name: String,
    /// What it adds to the loss: its mean over the samples that took part, times its weight.
    pub loss: f64,
    /// Samples that took part; of an epoch, those of all its steps. 0 where no batch had a pair.
    pub anchors: u64,
}

/// Those of a run, in the order of `--loss`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TermsMetrics(pub Vec<TermMetrics>);

/// Its name as a part of a key.
fn stem(name: &str) -> String {
    name.replace('-', "_")
}

impl Serialize for TermsMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 * self.0.len()))?;
        for TermMetrics { name, loss, anchors } in &self.0 {
            map.serialize_entry(&format!("{}_loss", stem(name)), loss)?;
            map.serialize_entry(&format!("{}_anchors", stem(name)), anchors)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for TermsMetrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// A number, or what is no term's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Count(u64),
    Number(f64),
    Other(IgnoredAny),
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = TermsMetrics;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("losses and anchors by the terms' names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut terms: Vec<TermMetrics> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            let is = |suffix| LOSSES.iter().find(|entry| key == stem(entry.name) + suffix);
            let Some(entry) = is("_loss").or_else(|| is("_anchors")) else { continue };
            let place =
                terms.iter().position(|term| term.name == entry.name).unwrap_or_else(|| {
                    terms.push(TermMetrics { name: entry.name.to_string(), loss: 0.0, anchors: 0 });
                    terms.len() - 1
                });
            match value {
                Value::Count(count) if key.ends_with("_anchors") => terms[place].anchors = count,
                Value::Count(count) => terms[place].loss = count as f64,
                Value::Number(number) => terms[place].loss = number,
                Value::Other(_) => {}
            }
        }
        Ok(TermsMetrics(terms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Step};
    use crate::metrics::{Record, StepMetrics};

    #[test]
    fn terms_stand_beside_the_other_numbers_and_come_back() {
        let term =
            |name: &str, loss, anchors| TermMetrics { name: name.to_string(), loss, anchors };
        let terms = TermsMetrics(vec![
            term("triplet-soft", 0.1 + 0.2, 7),
            term("supcon", 0.0, 0),
            term("contrastive-center", 3.0, 100),
        ]);
        let metrics = StepMetrics {
            epoch: Epoch(1),
            step: Step(2),
            loss: 3.5,
            terms,
            ..StepMetrics::default()
        };
        let line = serde_json::to_string(&Record::Step(metrics.clone())).unwrap();
        assert!(
            line.contains("\"triplet_soft_loss\":0.30000000000000004,\"triplet_soft_anchors\":7"),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), Record::Step(metrics));
    }

    #[test]
    fn a_line_without_terms_has_none() {
        let metrics = StepMetrics::default();
        let line = serde_json::to_string(&Record::Step(metrics.clone())).unwrap();
        assert!(!line.contains("anchors"), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), Record::Step(metrics));
    }
}
