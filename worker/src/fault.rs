//! Places where a test ends or stops this worker, as a crash or a hang would. Without a plan they do nothing.
//!
//! `CONCENTRIC_FAULT=generation=1,rank=2,step=3,phase=commit,action=kill` ends the worker with `--rank 2` in the first
//! generation's step 3 while it commits; `action=hang` stops it as SIGSTOP does; `action=freeze` stops its trainer
//! alone, as a kernel that never ends would.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use common::ids::{Generation, Slot};
use nix::sys::signal::{Signal, raise};

/// Names the plan.
pub const VARIABLE: &str = "CONCENTRIC_FAULT";

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
    /// The process ends.
    Kill,
    /// The process stops.
    Hang,
    /// The thread that is here stops; the session goes on.
    Freeze,
}

const ACTIONS: [(&str, Action); 3] =
    [("kill", Action::Kill), ("hang", Action::Hang), ("freeze", Action::Freeze)];

/// The places of one generation's trainer. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    plan: Plan,
    step: AtomicU64,
}

impl Faults {
    /// The plan that the environment gives for this worker in this generation.
    ///
    /// # Errors
    /// There is one, but it cannot be understood.
    pub fn from_environment(slot: Slot, generation: Generation) -> anyhow::Result<Self> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        if text.is_empty() {
            return Ok(Self::default());
        }
        let plan: Plan = text.parse().with_context(|| format!("the variable {VARIABLE}"))?;
        let is_meant = plan.slot == slot && plan.generation == generation;
        Ok(Self(is_meant.then(|| Arc::new(Armed { plan, step: AtomicU64::new(0) }))))
    }

    /// The trainer is in this step of the run from now on.
    pub fn enter(&self, step: u64) {
        if let Some(armed) = &self.0 {
            armed.step.store(step, Ordering::Relaxed);
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
        if armed.plan.phase == phase && armed.plan.step == armed.step.load(Ordering::Relaxed) {
            tracing::warn!(?phase, action = ?armed.plan.action, "a planned fault");
            // It cannot fail: the signal exists, and a process may send it to itself.
            let _ = match armed.plan.action {
                Action::Kill => raise(Signal::SIGKILL),
                Action::Hang => raise(Signal::SIGSTOP),
                Action::Freeze => loop {
                    std::thread::park();
                },
            };
        }
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
        let action = field("action")?;
        let action = ACTIONS.iter().find(|(name, _)| *name == action);
        let Some((_, action)) = action else { bail!("`{text}` names no action that there is") };
        Ok(Self {
            generation: Generation(number("generation")?),
            slot: Slot(u32::try_from(number("rank")?)?),
            step: number("step")?,
            phase: *phase,
            action: *action,
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
