//! What two records of a stretch have in common, and the sentence about it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use common::digests::StepDigests;

/// Tensors that are named; of the others there is only a count.
const NAMED: usize = 6;

/// How a stretch that was computed again compares with what the run has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Steps whose tensors are recorded in both.
    pub compared: usize,
    /// The tensors of a step.
    pub tensors: usize,
    /// Recorded steps that were not computed again.
    pub missing: Vec<u64>,
    /// The last step before any difference.
    pub last_equal: Option<u64>,
    /// The first step that differs, and the tensors that do.
    pub first_different: Option<(u64, BTreeSet<String>)>,
    /// Checkpoints of the stretch, and the tensors that differ in each.
    pub checkpoints: Vec<(String, Vec<String>)>,
}

impl Findings {
    /// Compares the steps that a run has recorded with the same ones of another record.
    pub fn of(recorded: &[StepDigests], again: &[StepDigests]) -> Self {
        let again: BTreeMap<u64, &StepDigests> =
            again.iter().map(|line| (line.step.0, line)).collect();
        let mut findings = Self::default();
        for line in recorded {
            let step = line.step.0;
            let Some(other) = again.get(&step) else {
                findings.missing.push(step);
                continue;
            };
            findings.compared += 1;
            findings.tensors = line.digests.len();
            let names = line.digests.keys().chain(other.digests.keys());
            let differ = |name: &&String| line.digests.get(*name) != other.digests.get(*name);
            let different: BTreeSet<String> = names.filter(differ).cloned().collect();
            match (&findings.first_different, different.is_empty()) {
                (Some(_), _) => {}
                (None, true) => findings.last_equal = Some(step),
                (None, false) => findings.first_different = Some((step, different)),
            }
        }
        findings
    }

    /// Whether nothing differs, and all was compared.
    pub fn are_equal(&self) -> bool {
        let checkpoints_are = self.checkpoints.iter().all(|(_, different)| different.is_empty());
        self.first_different.is_none() && self.missing.is_empty() && checkpoints_are
    }

    /// For the user.
    pub fn sentence(&self) -> String {
        let mut lines = Vec::new();
        match &self.first_different {
            None => lines.push(format!(
                "equal: {} recorded steps, each in all of {} tensors",
                self.compared, self.tensors
            )),
            Some((step, different)) => {
                let since = match self.last_equal {
                    Some(last) => format!("it is equal up to step {last}"),
                    None => "no recorded step before it is equal".to_string(),
                };
                let names: Vec<String> = different.iter().cloned().collect();
                lines.push(format!(
                    "different: from step {step} on, in {} of {} tensors ({}); {since}",
                    different.len(),
                    self.tensors,
                    named(&names)
                ));
            }
        }
        if let Some(first) = self.missing.first() {
            lines.push(format!(
                "{} recorded steps were not computed again, the first of them step {first}",
                self.missing.len()
            ));
        }
        for (name, different) in &self.checkpoints {
            lines.push(match different.is_empty() {
                true => format!("equal: the checkpoint {name}"),
                false => format!("different: the checkpoint {name}, in {}", named(different)),
            });
        }
        lines.join("\n")
    }
}

fn named(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().checked_sub(NAMED) {
        None | Some(0) => shown,
        Some(others) => format!("{shown} and {others} more"),
    }
}

#[cfg(test)]
mod tests {
    use common::ids::{Epoch, Step};

    use super::*;

    fn line(step: u64, digests: &[(&str, &str)]) -> StepDigests {
        let pairs = digests.iter().map(|(name, digest)| (name.to_string(), digest.to_string()));
        StepDigests { epoch: Epoch(0), step: Step(step), digests: pairs.collect() }
    }

    #[test]
    fn the_first_difference_is_named_and_what_was_equal_before() {
        let run = [
            line(0, &[("a", "1"), ("b", "1")]),
            line(10, &[("a", "2"), ("b", "2")]),
            line(20, &[("a", "3"), ("b", "3")]),
        ];
        let equal = Findings::of(&run, &run);
        assert!(equal.are_equal());
        assert_eq!(equal.sentence(), "equal: 3 recorded steps, each in all of 2 tensors");

        let mut other = run.clone();
        other[1].digests.insert("b".to_string(), "9".to_string());
        other[2].digests.insert("a".to_string(), "9".to_string());
        let found = Findings::of(&run, &other);
        assert!(!found.are_equal());
        let told = found.sentence();
        assert_eq!(
            told,
            "different: from step 10 on, in 1 of 2 tensors (b); it is equal up to step 0"
        );
        let told = Findings::of(&run[1..], &other).sentence();
        assert!(told.ends_with("no recorded step before it is equal"), "{told}");
    }

    #[test]
    fn what_was_not_computed_is_not_equal() {
        let run = [line(0, &[("a", "1")]), line(10, &[("a", "2")])];
        let found = Findings::of(&run, &run[..1]);
        assert!(!found.are_equal());
        assert!(found.sentence().contains("the first of them step 10"), "{}", found.sentence());
        let checkpoints = vec![("epoch=0".to_string(), vec!["a".to_string(); 8])];
        let found = Findings { checkpoints, ..Findings::of(&run, &run) };
        assert!(!found.are_equal() && found.sentence().ends_with("a, a, a, a, a, a and 2 more"));
    }
}
