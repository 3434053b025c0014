//! How a rank comes together with the others of its generation, and through which engine.

use std::sync::Arc;
use std::time::Duration;

use common::ids::WorldSize;
use tch::Device;

use super::error::TrainerError;
use super::task::Task;
use crate::bridge::nccl::Library;
use crate::collective::agreement::{CollectiveChoice, Decision, Statement, agree, name_of};
use crate::collective::{
    Collective, GlooCollective, NcclCollective, Seat, SoloCollective, StagedCollective, nccl,
};

/// The collective of a generation.
pub(super) fn connect(task: &Task) -> Result<Box<dyn Collective>, TrainerError> {
    if task.world_size == WorldSize(1) {
        return Ok(Box::new(SoloCollective::new(task.abort.clone())));
    }
    let timeout = Duration::from_secs_f64(task.config.collective_timeout);
    let seat = Seat {
        rank: task.rank,
        world_size: task.world_size,
        address: task.address.clone(),
        timeout,
    };
    let library = nccl_for(task, timeout)?;
    let store = Arc::new(task.link.clone());
    let gloo = GlooCollective::connect(store, seat, task.abort.clone())?;
    let device = task.place.device;
    Ok(match (library, device) {
        (Some(library), _) => {
            let place = (device, timeout);
            Box::new(NcclCollective::connect(&library, &task.link, place, gloo)?)
        }
        (None, Device::Cpu) => Box::new(gloo),
        (None, _) => Box::new(StagedCollective::new(gloo, device)),
    })
}

/// NCCL, where the ranks agree on it.
fn nccl_for(task: &Task, timeout: Duration) -> Result<Option<Arc<Library>>, TrainerError> {
    let options = &task.collective;
    // A CPU has a name here only for the tests that put a library of their own into NCCL's place.
    let stands_in = options.choice == CollectiveChoice::Nccl && task.place.device == Device::Cpu;
    let gpu = match stands_in {
        true => Some(format!("process {}", std::process::id())),
        false => name_of(task.place.device),
    };
    let library = match (&gpu, options.choice) {
        (None, _) | (_, CollectiveChoice::Gloo) => Err("it is not asked for".to_string()),
        _ => nccl::find(options.library.as_deref()),
    };
    let nccl = library.as_ref().map(|library| library.version().to_string()).map_err(String::clone);
    let records = task.graphs.required;
    let own = Statement { choice: options.choice, gpu, nccl, records };
    let world = (task.rank, task.world_size);
    match agree(&task.link, world, &own, (timeout, &task.abort))? {
        Decision::Nccl => {
            let version = own.nccl.unwrap_or_default();
            tracing::info!(version, "exchanging through NCCL");
            Ok(library.ok())
        }
        Decision::Gloo(reason) => {
            if task.place.device != Device::Cpu {
                tracing::info!(reason, "exchanging through the CPU's memory and Gloo, not NCCL");
            }
            Ok(None)
        }
    }
}
