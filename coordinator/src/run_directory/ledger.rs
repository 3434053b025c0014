//! What happened to a run, line by line: `events.jsonl`. The proof that every sample was used once.
//!
//! `cluster` writes it through the run directory; `audit` and a resumed coordinator read it. A generation's line is on
//! disk before the generation exists, and says from which step it goes on: whatever earlier lines say of that step and
//! those after it is void.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use common::computing::Computing;
use common::ids::{Generation, Slot};
use serde::{Deserialize, Serialize};

/// The outcome of a run that has done all of its steps.
pub const COMPLETE: &str = "the run is complete";

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, UTC.
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Entry {
    /// A coordinator took the run up.
    Coordinator {
        /// The run's identity.
        run: String,
        /// Where it listens.
        address: String,
        /// The name of its machine, which a ledger of an earlier version does not have.
        #[serde(default)]
        host: String,
        /// Its process.
        process: u32,
    },
    /// A worker was let in.
    Join {
        /// Its stable number.
        slot: Slot,
        /// Where other workers reach it.
        host: String,
        /// On its host.
        process: u32,
        /// Steps done in the state that it says to hold, if it does.
        holds: Option<u64>,
    },
    /// A worker is gone.
    Loss {
        /// Its stable number.
        slot: Slot,
        /// The generation that ran last.
        generation: Generation,
        /// How that was noticed.
        cause: String,
        /// Whether the generation could not go on without it.
        in_generation: bool,
    },
    /// A worker was let go.
    Leave {
        /// Its stable number.
        slot: Slot,
    },
    /// What the run is computed with from here on: before its first generation, and where a later release proves it
    /// otherwise.
    Computing(Computing),
    /// A generation is about to begin.
    Generation {
        /// Its number, above all before it.
        generation: Generation,
        /// The step it goes on from: all before it are done.
        step: u64,
        /// "seed", "initial", "checkpoint", "member".
        origin: String,
        /// Its members in the order of their ranks.
        members: Vec<Member>,
        /// Why it was formed.
        cause: String,
    },
    /// Steps are done: every member has finished its last exchange of each.
    Steps {
        /// Their generation.
        generation: Generation,
        /// Their epoch.
        epoch: u64,
        /// The first, counted over the run.
        first: u64,
        /// The one after the last.
        end: u64,
        /// Positions in the epoch's permutation that they consumed: the first, and the one after the last.
        samples: (u64, u64),
    },
    /// A generation has done its first step after a loss.
    Recovery {
        /// Its number.
        generation: Generation,
        /// From the news of the loss to the begin of the generation.
        reform_seconds: f64,
        /// From there to the news of its first step.
        first_step_seconds: f64,
    },
    /// The run ended on every side.
    End {
        /// How.
        outcome: String,
    },
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its stable number.
    pub slot: Slot,
    /// The logical shards that it computes: the first, and the one after the last.
    pub shards: (u64, u64),
}

/// What a coordinator needs to know to take a run up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The run's identity, if there is one.
    pub run: Option<String>,
    /// The last coordinator.
    pub coordinator: Option<Predecessor>,
    /// The last generation, 0 for none.
    pub generation: Generation,
    /// Its members, where it was not ended in order: they may live.
    pub survivors: BTreeSet<Slot>,
    /// The process that joined last in each slot.
    pub processes: BTreeMap<Slot, u32>,
    /// Steps known to be done.
    pub done: u64,
    /// What its last members computed with, where they had to be alike.
    pub computing: Option<Computing>,
}

/// The coordinator that had a run last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Where it listened.
    pub address: String,
    /// The name of its machine, empty where that is not known.
    pub host: String,
    /// Its process there.
    pub process: u32,
}

/// How a run became complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// How long its last coordinator had trained, where the ledger tells.
    pub training_time: Option<Duration>,
}

/// The end of a complete run; none where it is not complete, or something was begun after it.
pub fn completion<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Option<Completion> {
    let time = |line: &Line| humantime::parse_rfc3339(&line.time).ok();
    let mut begun: Option<SystemTime> = None;
    let mut completion = None;
    for line in lines {
        match &line.entry {
            Entry::Coordinator { .. } => begun = None,
            Entry::Generation { .. } => {
                begun = begun.or_else(|| time(line));
                completion = None;
            }
            Entry::End { outcome } if outcome == COMPLETE => {
                let training_time = time(line).zip(begun);
                let training_time =
                    training_time.and_then(|(end, begun)| end.duration_since(begun).ok());
                completion = Some(Completion { training_time });
            }
            _ => {}
        }
    }
    completion
}

/// Sums up all lines of a ledger.
pub fn summarise<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Summary {
    let mut summary = Summary::default();
    for line in lines {
        match &line.entry {
            Entry::Coordinator { run, address, host, process } => {
                summary.run = Some(run.clone());
                let (address, host) = (address.clone(), host.clone());
                summary.coordinator = Some(Predecessor { address, host, process: *process });
            }
            Entry::Join { slot, process, .. } => {
                summary.processes.insert(*slot, *process);
            }
            Entry::Leave { slot } => {
                summary.survivors.remove(slot);
                summary.processes.remove(slot);
            }
            Entry::Computing(computing) => summary.computing = Some(computing.clone()),
            Entry::Generation { generation, step, members, .. } => {
                summary.generation = *generation;
                summary.done = *step;
                summary.survivors = members.iter().map(|member| member.slot).collect();
            }
            Entry::Steps { end, .. } => summary.done = *end,
            Entry::End { .. } => {
                summary.survivors.clear();
                summary.processes.clear();
            }
            Entry::Loss { .. } | Entry::Recovery { .. } => {}
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seconds: u64, entry: Entry) -> Line {
        Line { time: format!("2026-11-29T10:00:{seconds:02}.000Z"), entry }
    }

    fn coordinator() -> Entry {
        let (run, address, host) = ("r".to_string(), "a:1".to_string(), "h".to_string());
        Entry::Coordinator { run, address, host, process: 1 }
    }

    fn generation() -> Entry {
        let (origin, cause) = ("seed".to_string(), "first".to_string());
        Entry::Generation { generation: Generation(1), step: 0, origin, members: Vec::new(), cause }
    }

    fn end(outcome: &str) -> Entry {
        Entry::End { outcome: outcome.to_string() }
    }

    #[test]
    fn a_run_is_complete_until_something_is_begun_after_it() {
        let mut lines =
            vec![line(0, coordinator()), line(2, generation()), line(5, end("stopped"))];
        assert_eq!(completion(&lines), None);
        lines.extend([line(10, coordinator()), line(20, generation()), line(22, generation())]);
        lines.push(line(50, end(COMPLETE)));
        let expected = Some(Completion { training_time: Some(Duration::from_secs(30)) });
        assert_eq!(completion(&lines), expected);
        lines.push(line(55, coordinator()));
        assert_eq!(completion(&lines), expected, "another look at it changes nothing");
        lines.push(line(56, generation()));
        assert_eq!(completion(&lines), None);
    }

    #[test]
    fn a_ledger_without_names_of_machines_can_be_read() {
        let text = r#"{"time":"t","kind":"coordinator","run":"r","address":"a:1","process":7}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        let predecessor =
            Predecessor { address: "a:1".to_string(), host: String::new(), process: 7 };
        assert_eq!(summarise([&line]).coordinator, Some(predecessor));
    }
}
