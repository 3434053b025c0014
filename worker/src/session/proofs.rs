//! What this worker proves before it joins: asks the coordinator what the run computes, and computes a small part of it on a
//! thread of its own.

use std::time::Duration;

use common::computing::Proof;
use common::config::Config;
use common::status::ServiceError;
use engine::Instructions;
use proto::{TermsReply, TermsRequest};
use tch::Device;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::link::Client;
use crate::machine::device::Place;
use crate::machine::environment;
use crate::trainer::{Means, Terms, TrainerError, prove};

/// How long the coordinator may take to say what is computed.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the small computation may take.
const COMPUTATION: Duration = Duration::from_secs(120);

/// What was proved so far: a worker that joins anew computes nothing again.
#[derive(Debug, Default)]
pub struct Proofs(Option<Known>);

#[derive(Debug)]
struct Known {
    terms: TermsReply,
    place: Place,
    proof: Option<Proof>,
}

impl Proofs {
    /// What a worker proves that computes here; none where nothing is to be proved, or it cannot compute what the run does,
    /// which its trainer says in the words of that.
    ///
    /// # Errors
    /// The coordinator does not answer, or is of another release; or the computation fails.
    pub async fn of(
        &mut self,
        client: &mut Client,
        (place, instructions): (Place, Instructions),
    ) -> Result<Option<Proof>, ServiceError> {
        let answer = timeout(ANSWER, client.get_terms(TermsRequest {})).await;
        let late = |_| {
            ServiceError::Unreachable(format!("the coordinator said nothing within {ANSWER:?}"))
        };
        let terms = answer.map_err(late)?.map_err(|status| match status.code() {
            tonic::Code::Unimplemented => ServiceError::IncompatibleVersion(format!(
                "the coordinator does not know what this worker (program {}) asks it for: install the same release on \
                 both",
                env!("CARGO_PKG_VERSION")
            )),
            _ => status.into(),
        })?;
        let terms = terms.into_inner();
        if !terms.prove {
            return Ok(None);
        }
        match &self.0 {
            Some(known) if known.terms == terms && known.place == place => Ok(known.proof),
            _ => {
                let proof = compute(&terms, Means { place, instructions }).await?;
                self.0 = Some(Known { terms, place, proof });
                Ok(proof)
            }
        }
    }
}

async fn compute(terms: &TermsReply, means: Means) -> Result<Option<Proof>, ServiceError> {
    let failed = |why: String| ServiceError::NotFound(format!("this worker cannot compute: {why}"));
    let config = Config::from_toml(&terms.config)
        .map_err(|error| failed(format!("the coordinator's settings cannot be read: {error}")))?;
    let is_shared_with_libtorch = !config.precision.has_own_kernels();
    if means.place.device == Device::Cpu && is_shared_with_libtorch {
        environment::check_threads(config.thread_count()).map_err(failed)?;
    }
    let terms = Terms {
        config,
        train_samples: terms.train_samples as usize,
        test_samples: terms.test_samples as usize,
    };
    let (sender, proof) = oneshot::channel();
    std::thread::Builder::new()
        .name("proof".to_string())
        // Nobody waits any more where the worker ends meanwhile.
        .spawn(move || drop(sender.send(prove(&terms, means))))
        .map_err(|error| failed(error.to_string()))?;
    let late = |_| failed(format!("a small part of the run took longer than {COMPUTATION:?}"));
    let panicked = |_| failed(TrainerError::Panicked("proof").to_string());
    match timeout(COMPUTATION, proof).await.map_err(late)?.map_err(panicked)? {
        Ok(proof) => Ok(Some(proof)),
        Err(TrainerError::Tf32OnCpu) => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}
