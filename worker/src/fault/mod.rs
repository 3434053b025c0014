//! Places where a test ends or stops this worker, as a crash or a hang would, or changes a bit of what it computes with, as
//! faulty memory would. Without a plan they do nothing.
//!
//! `CONCENTRIC_FAULT=generation=1,rank=2,step=3,phase=commit,action=kill` ends the worker with `--rank 2` in the first
//! generation's step 3 while it commits; `action=hang` stops it as SIGSTOP does; `action=freeze` stops its trainer
//! alone, as a kernel that never ends would; `action=parameter` and the others of `flip` change a bit.
//!
//! `CONCENTRIC_FAULT=flips=7` changes one bit of one worker in every few steps, all of it drawn from the seed 7.

mod flip;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use common::ids::{Generation, Rank, Slot, WorldSize};
use nix::sys::signal::{Signal, raise};

pub use flip::{Flip, Part};

/// Names the plan.
pub const VARIABLE: &str = "CONCENTRIC_FAULT";

/// A bit changes in one of so many steps: not in the first, so that every generation does one, and not in the last, as it shows in
/// the next.
const SPAN: u64 = 4;

/// What a worker is doing when it is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for samples.
    Data,
    /// It is about to run forward.
    Forward,
    /// Its part of a layer's BatchNorm sums is made, but not sent.
    Sum,
    /// It is about to run backward.
    Backward,
    /// A gradient bucket is under way.
    Bucket,
    /// All sums are there, nothing has changed yet.
    Optimizer,
    /// The state has changed, and nobody else knows.
    Commit,
    /// It is about to classify the test set.
    Evaluation,
    /// The first rank is about to send a result.
    Upload,
    /// The first rank is about to store a picture.
    Picture,
}

/// Every phase with its name.
pub const PHASES: [(&str, Phase); 10] = [
    ("data", Phase::Data),
    ("forward", Phase::Forward),
    ("sum", Phase::Sum),
    ("backward", Phase::Backward),
    ("bucket", Phase::Bucket),
    ("optimizer", Phase::Optimizer),
    ("commit", Phase::Commit),
    ("evaluation", Phase::Evaluation),
    ("upload", Phase::Upload),
    ("picture", Phase::Picture),
];

/// What is to happen, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    generation: Generation,
    slot: Slot,
    step: u64,
    phase: Phase,
    action: Action,
}

/// How it is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// It goes no further.
    End(End),
    /// A bit changes.
    Flip(Flip),
}

/// How it goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The process ends.
    Kill,
    /// The process stops.
    Hang,
    /// The thread that is here stops; the session goes on.
    Freeze,
}

const ENDS: [(&str, End); 3] = [("kill", End::Kill), ("hang", End::Hang), ("freeze", End::Freeze)];

/// The places of one generation's trainer. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    source: Source,
    /// The generation's first step, and the one that it is in.
    first: AtomicU64,
    step: AtomicU64,
    /// A bit changes once in a step.
    struck: AtomicU64,
}

/// What is to happen.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// This.
    Planned(Plan),
    /// In every [`SPAN`] steps a bit changes of one of the ranks, all of it drawn.
    Drawn { seed: u64, generation: Generation, rank: Rank, world_size: WorldSize },
}

impl Faults {
    /// The plan that the environment gives for this worker in this generation.
    ///
    /// # Errors
    /// There is one, but it cannot be understood.
    pub fn from_environment(
        (slot, generation): (Slot, Generation),
        (rank, world_size): (Rank, WorldSize),
    ) -> anyhow::Result<Self> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let source = match text.strip_prefix("flips=") {
            Some(seed) => {
                let seed = seed.parse().with_context(|| format!("the seed in {VARIABLE}"))?;
                Source::Drawn { seed, generation, rank, world_size }
            }
            None => {
                let plan: Plan =
                    text.parse().with_context(|| format!("the variable {VARIABLE}"))?;
                if plan.slot != slot || plan.generation != generation {
                    return Ok(Self::default());
                }
                Source::Planned(plan)
            }
        };
        Ok(Self(Some(Arc::new(Armed::new(source)))))
    }

    /// The trainer is in this step of the run from now on.
    pub fn enter(&self, step: u64) {
        if let Some(armed) = &self.0 {
            armed.step.store(step, Ordering::Relaxed);
            armed.first.fetch_min(step, Ordering::Relaxed);
        }
    }

    /// Passes the places of a step that is asked for as a whole.
    pub fn pass_a_whole_step(&self) {
        for phase in [Phase::Forward, Phase::Sum, Phase::Backward, Phase::Bucket, Phase::Optimizer]
        {
            self.point(phase);
        }
    }

    /// The worker ends here, or hangs, if that is the plan.
    pub fn point(&self, phase: Phase) {
        let Some(armed) = &self.0 else { return };
        let Some(Action::End(end)) = armed.due(phase) else { return };
        tracing::warn!(?phase, action = ?end, "a planned fault");
        // It cannot fail: the signal exists, and a process may send it to itself.
        let _ = match end {
            End::Kill => raise(Signal::SIGKILL),
            End::Hang => raise(Signal::SIGSTOP),
            End::Freeze => loop {
                std::thread::park();
            },
        };
    }

    /// Changes a bit of these shards' partial sums of this layer, if that is the plan.
    pub fn strike_sums(&self, phase: Phase, layer: usize, partials: &mut [Vec<f64>]) {
        if let Some(flip) = self.flip(phase, |part| part == Part::Sum { layer }) {
            flip.strike_one_of(partials);
        }
    }

    /// The change of a bit in another part, if that is the plan and it is due.
    pub fn flip(&self, phase: Phase, is_it: impl FnOnce(Part) -> bool) -> Option<Flip> {
        let armed = self.0.as_ref()?;
        let Some(Action::Flip(flip)) = armed.due(phase) else { return None };
        let step = armed.step.load(Ordering::Relaxed);
        if !is_it(flip.part) || armed.struck.swap(step, Ordering::Relaxed) == step {
            return None;
        }
        tracing::warn!(?phase, step, ?flip, "a planned fault");
        Some(flip)
    }
}

impl Armed {
    fn new(source: Source) -> Self {
        let (first, step) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        Self { source, first, step, struck: AtomicU64::new(u64::MAX) }
    }

    /// What happens in this phase of the step that it is in.
    fn due(&self, phase: Phase) -> Option<Action> {
        let step = self.step.load(Ordering::Relaxed);
        let plan = match self.source {
            Source::Planned(plan) => plan,
            Source::Drawn { seed, generation, rank, world_size } => {
                let first = self.first.load(Ordering::Relaxed);
                let span = step.saturating_sub(first) / SPAN;
                let mut numbers = flip::Numbers::new(seed, generation, span);
                if numbers.below(u64::from(world_size.0)) != u64::from(rank.0) {
                    return None;
                }
                let step = first.saturating_add(span * SPAN + 1 + numbers.below(SPAN - 2));
                let (phase, flip) = Flip::drawn(&mut numbers);
                let slot = Slot(0);
                Plan { generation, slot, step, phase, action: Action::Flip(flip) }
            }
        };
        (plan.phase == phase && plan.step == step).then_some(plan.action)
    }
}

impl FromStr for Plan {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let field = |name: &str| -> anyhow::Result<&str> {
            let mut pairs = text.split(',').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(key, _)| *key == name).map(|(_, value)| value);
            found.with_context(|| format!("`{text}` does not say {name}=…"))
        };
        let number = |name| -> anyhow::Result<u64> {
            field(name)?.parse().with_context(|| format!("{name} in `{text}` is no number"))
        };
        let phase = field("phase")?;
        let phase = PHASES.iter().find(|(name, _)| *name == phase);
        let Some((_, phase)) = phase else { bail!("`{text}` names no phase that there is") };
        let optional = |name| if text.contains(name) { number(name) } else { Ok(0) };
        let name = field("action")?;
        let action = match ENDS.iter().find(|(end, _)| *end == name) {
            Some((_, end)) => Action::End(*end),
            None => {
                let layer = optional("layer")? as usize;
                let Some(part) = Part::named(name, layer) else {
                    bail!("`{text}` names no action that there is")
                };
                let (place, bit) = (optional("place")? as usize, optional("bit")? as u32);
                Action::Flip(Flip { part, place, bit })
            }
        };
        Ok(Self {
            generation: Generation(number("generation")?),
            slot: Slot(u32::try_from(number("rank")?)?),
            step: number("step")?,
            phase: *phase,
            action,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_or_refused() {
        let plan: Plan = "generation=1,rank=2,step=3,phase=commit,action=kill".parse().unwrap();
        assert_eq!((plan.slot, plan.step, plan.phase), (Slot(2), 3, Phase::Commit));
        let plan: Plan = "generation=1,rank=0,step=3,phase=sum,action=sum,layer=2,place=5,bit=9"
            .parse()
            .unwrap();
        let flip = Flip { part: Part::Sum { layer: 2 }, place: 5, bit: 9 };
        assert_eq!(plan.action, Action::Flip(flip));
        for wrong in [
            "",
            "generation=1,rank=2,step=3,phase=commit",
            "generation=1,rank=2,step=3,phase=lunch,action=kill",
            "generation=1,rank=2,step=3,phase=commit,action=eat",
        ] {
            assert!(wrong.parse::<Plan>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_a_plan_nothing_happens() {
        let faults = Faults::default();
        faults.enter(3);
        faults.point(Phase::Commit);
    }
}
