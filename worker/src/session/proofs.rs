//! What this worker proves before it joins: asks the coordinator what the run computes, and computes a small part of it on a
//! thread of its own.

use std::time::Duration;

use common::computing::Proof;
use common::config::Config;
use common::status::ServiceError;
use common::wire;
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
/// How long the small computation may take, and how much longer for each image of it.
const COMPUTATION: Duration = Duration::from_secs(120);
const OF_AN_IMAGE: Duration = Duration::from_millis(50);

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
        if let Some(known) = &self.0
            && known.terms == terms
            && known.place == place
        {
            return Ok(known.proof);
        }
        let means = Means { place, instructions };
        let computation = understood(&terms, place)?;
        let proof = if terms.prove { compute(computation, means).await? } else { None };
        self.0 = Some(Known { terms, place, proof });
        Ok(proof)
    }
}

/// Why this worker is of no use to the run.
fn useless(why: impl std::fmt::Display) -> ServiceError {
    ServiceError::NotFound(format!("this worker cannot compute: {why}"))
}

/// What is to be computed, where libtorch can: it would wait for threads that it does not get.
fn understood(terms: &TermsReply, place: Place) -> Result<Terms, ServiceError> {
    let config = Config::from_toml(&terms.config)
        .map_err(|error| useless(format!("the coordinator's settings cannot be read: {error}")))?;
    if config.cross_check > 0 && place.tensors {
        return Err(useless(
            "--cross-check compares what the program's own passes compute on CPUs, and this worker computes otherwise (on a \
             GPU, or with --engine tensors): start the run without it",
        ));
    }
    let libtorch_divides = !config.precision.has_own_kernels();
    if place.device == Device::Cpu && libtorch_divides {
        environment::check_threads(config.thread_count()).map_err(useless)?;
    }
    let (data, _) = wire::data_of(terms.data.as_ref()).map_err(useless)?;
    Ok(Terms {
        config,
        data,
        train_samples: terms.train_samples as usize,
        test_samples: terms.test_samples as usize,
    })
}

async fn compute(terms: Terms, means: Means) -> Result<Option<Proof>, ServiceError> {
    let limit =
        COMPUTATION + OF_AN_IMAGE * u32::try_from(terms.config.batch_size).unwrap_or(1 << 20);
    let (sender, proof) = oneshot::channel();
    std::thread::Builder::new()
        .name("proof".to_string())
        // Nobody waits any more where the worker ends meanwhile.
        .spawn(move || drop(sender.send(prove(&terms, means))))
        .map_err(useless)?;
    let late = |_| useless(format!("a small part of the run took longer than {limit:?}"));
    let panicked = |_| useless(TrainerError::Panicked("proof"));
    match timeout(limit, proof).await.map_err(late)?.map_err(panicked)? {
        Ok(proof) => Ok(Some(proof)),
        Err(TrainerError::Tf32OnCpu) => Ok(None),
        Err(error) => Err(useless(error)),
    }
}
