//! The key-value store's calls.

use std::time::Duration;

use common::ids::Generation;
use common::status::ServiceError;
use proto::{AddKeyReply, AddKeyRequest, GetKeysReply, GetKeysRequest, SetKeyReply, SetKeyRequest};

use super::shared::Shared;

pub fn set(shared: &Shared, request: SetKeyRequest) -> Result<SetKeyReply, ServiceError> {
    let generation = Generation(request.generation);
    shared.cluster.rendezvous().set(generation, request.key, request.value)?;
    Ok(SetKeyReply {})
}

pub async fn get(shared: &Shared, request: GetKeysRequest) -> Result<GetKeysReply, ServiceError> {
    let generation = Generation(request.generation);
    let wait = Duration::from_millis(request.timeout_ms);
    let values = shared.cluster.rendezvous().get(generation, &request.keys, wait).await?;
    Ok(GetKeysReply { values })
}

pub fn add(shared: &Shared, request: AddKeyRequest) -> Result<AddKeyReply, ServiceError> {
    let generation = Generation(request.generation);
    let value = shared.cluster.rendezvous().add(generation, request.key, request.amount)?;
    Ok(AddKeyReply { value })
}
