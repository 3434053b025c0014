//! How a stay parts from its trainer: the trainer has ended and the coordinator is told, or the stay is over and the
//! trainer has to end.

use std::time::Duration;

use anyhow::anyhow;
use common::status::ServiceError;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{Failed, Finished, Left};
use tokio::time::timeout;

use super::generation::TRAINER_END;
use super::kept::Kept;
use super::signals::Signals;
use super::stay::{End, Stay};
use crate::trainer::{Ending, Outcome, Request, Verdict};

/// How long the coordinator may take to answer a failure.
const VERDICT: Duration = Duration::from_secs(5);

impl Stay {
    /// Tells the coordinator of the trainer's end; what follows is its decision.
    pub(super) async fn report(&mut self, ending: Ending, kept: &mut Option<Kept>) -> Option<End> {
        let generation = self.generation.take()?;
        self.trainer_deadline = None;
        let number = generation.number.0;
        let Ending { result, memory } = ending;
        let reached = memory.as_ref().map(|memory| memory.state.reached());
        *kept = memory.map(|memory| generation.leaves(memory));
        let left =
            |reason, broken| Word::Left(Left { generation: number, reached, reason, broken });
        match result {
            Ok(Outcome::Paused) => {
                self.say(left("after a step that all have done".to_string(), false)).await;
            }
            Ok(outcome) => {
                let stopped = outcome == Outcome::Stopped;
                self.say(Word::Finished(Finished { generation: number, stopped, reached })).await;
            }
            Err(error) if error.verdict() == Verdict::GenerationBroken => {
                tracing::warn!(%error, "the generation is broken");
                self.say(left(error.to_string(), true)).await;
            }
            Err(error) => {
                let ends_run = error.verdict() == Verdict::RunFailed;
                let reason = match error.device_fault() {
                    Some(fault) => format!("{error} ({})", fault.advice()),
                    None => error.to_string(),
                };
                tracing::error!("training failed: {reason}");
                // Where the run ends with it, the state that it leaves is still to be stored, by this worker or another.
                let reached = reached.filter(|_| ends_run);
                let diverged = error.is_divergence();
                let generation = number;
                let failed = Failed { generation, reason, ends_run, reached, diverged };
                self.say(Word::Failed(failed)).await;
                if reached.is_some() {
                    self.ruined = Some(error);
                    return None;
                }
                return Some(End::Failed(self.verdict().await.unwrap_or(error.into())));
            }
        }
        None
    }

    /// After a failure: waits for the coordinator's word, which knows the cause if this is a consequence.
    async fn verdict(&mut self) -> Option<anyhow::Error> {
        let wait = async {
            while let Ok(Some(order)) = self.orders.message().await {
                if let Some(Order::Abort(abort)) = order.message {
                    return Some(anyhow!("the run ended: {}", abort.reason));
                }
            }
            None
        };
        timeout(VERDICT, wait).await.unwrap_or(None)
    }

    /// The connection is lost: leaves the generation together with the others if that is possible soon.
    pub(super) async fn lose(
        &mut self,
        reason: &str,
        kept: &mut Option<Kept>,
        signals: &Signals,
    ) -> End {
        if let Some(generation) = &self.generation {
            generation.ask(Request::Pause);
        }
        if let Some(generation) = &mut self.generation {
            let patience = self.longest_silence;
            let ending = tokio::select! {
                ending = timeout(patience, generation.ending()) => ending.ok(),
                // Who is to end does not wait for a step to go on with.
                _ = signals.reach(1) => None,
            };
            if let Some(ending) = ending {
                self.keep(ending, kept);
            }
        }
        if !self.end_trainer(reason, kept).await {
            return End::Failed(anyhow!(
                "the coordinator was lost ({reason}), and the trainer hangs"
            ));
        }
        End::Lost(reason.to_string())
    }

    pub(super) async fn refused(
        &mut self,
        status: tonic::Status,
        kept: &mut Option<Kept>,
        signals: &Signals,
    ) -> End {
        match ServiceError::from(status) {
            ServiceError::Unreachable(reason) => self.lose(&reason, kept, signals).await,
            refusal => {
                self.end_trainer(&refusal.to_string(), kept).await;
                End::Failed(anyhow!("the coordinator refused this worker: {refusal}"))
            }
        }
    }

    /// Ends the trainer thread, if there is one, within a few seconds; whether it has ended.
    pub(super) async fn end_trainer(&mut self, reason: &str, kept: &mut Option<Kept>) -> bool {
        let Some(generation) = &mut self.generation else { return true };
        generation.break_off(reason);
        match timeout(TRAINER_END, generation.ending()).await {
            Ok(ending) => {
                self.keep(ending, kept);
                true
            }
            Err(_) => {
                tracing::warn!("the trainer thread did not end in time and is left behind");
                false
            }
        }
    }

    fn keep(&mut self, ending: Ending, kept: &mut Option<Kept>) {
        let Some(generation) = self.generation.take() else { return };
        if let Err(error) = ending.result {
            tracing::debug!(%error, "how the trainer ended");
            self.ruined = (error.verdict() == Verdict::WorkerFailed).then_some(error);
        }
        *kept = ending.memory.map(|memory| generation.leaves(memory));
    }

    /// The trainer hangs in a kernel or a call that cannot be aborted: the process has to go.
    pub(super) async fn give_the_trainer_up(&mut self) -> End {
        let reason = format!("its trainer did not leave the generation within {TRAINER_END:?}");
        self.fail(reason.clone(), false).await;
        End::Failed(anyhow!("this worker cannot go on: {reason}"))
    }
}
