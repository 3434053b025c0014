//! What keeps a caller from coming in before the coordinator is asked.

use crate::status::ServiceError;

/// What is wrong with certificates or token, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessError(pub String);

impl From<AccessError> for ServiceError {
    fn from(error: AccessError) -> Self {
        Self::Unauthenticated(error.0)
    }
}
