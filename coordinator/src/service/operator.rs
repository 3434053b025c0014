//! What the operator asks of a running job: more workers, fewer, one less.

use common::ids::Slot;
use common::status::ServiceError;
use proto::{DrainReply, DrainRequest, ScaleReply, ScaleRequest};

use super::shared::Shared;
use crate::cluster::membership::Event;

/// Changes how many workers the run shall have.
pub fn scale(shared: &Shared, request: ScaleRequest) -> Result<ScaleReply, ServiceError> {
    let (workers, most) = (request.workers, shared.config.most_workers());
    if workers == 0 || workers > most {
        return Err(ServiceError::Invalid(format!(
            "the run can have 1 to {most} workers, not {workers}; --max-workers, given when it is started or resumed, \
             allows more"
        )));
    }
    require_running(shared)?;
    let here = shared.cluster.view().members.len();
    shared.cluster.apply(Event::ScaleRequested { workers });
    let message = match (workers as usize).cmp(&here) {
        std::cmp::Ordering::Equal => format!("the run has {workers} workers"),
        std::cmp::Ordering::Less => {
            format!("{} of {here} workers finish their step and leave", here - workers as usize)
        }
        std::cmp::Ordering::Greater if shared.config.spawn => {
            format!("starts {} workers beside the {here} that are here", workers as usize - here)
        }
        std::cmp::Ordering::Greater => format!(
            "{} workers are welcome beside the {here} that are here: start each with `worker`, or `worker --rank I`, I below {most}",
            workers as usize - here
        ),
    };
    Ok(ScaleReply { message })
}

/// Lets the worker in a slot go.
pub fn drain(shared: &Shared, request: DrainRequest) -> Result<DrainReply, ServiceError> {
    require_running(shared)?;
    let slot = Slot(request.slot);
    let view = shared.cluster.view();
    if !view.members.iter().any(|member| member.slot == slot) {
        let slots: Vec<String> =
            view.members.iter().map(|member| member.slot.to_string()).collect();
        return Err(ServiceError::NotFound(format!(
            "there is no worker in slot {slot}; workers are in {}",
            if slots.is_empty() { "none".to_string() } else { slots.join(", ") }
        )));
    }
    shared.cluster.apply(Event::DrainRequested { slot });
    Ok(DrainReply { message: format!("the worker in slot {slot} finishes its step and leaves") })
}

fn require_running(shared: &Shared) -> Result<(), ServiceError> {
    match shared.cluster.view().phase {
        "finished" | "failed" => Err(ServiceError::Ending("the run is over".to_string())),
        "stopping" => Err(ServiceError::Ending("the run is stopping".to_string())),
        _ => Ok(()),
    }
}
