//! How errors travel as gRPC status: the one place that maps them, both ways.

use tonic::{Code, Status};

use crate::tls_alert;

/// Why the coordinator refuses a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The caller's protocol is another version; upgrading one side helps, retrying does not.
    #[error("{0}")]
    IncompatibleVersion(String),
    /// The slot is held by a worker that answers; the caller may retry.
    #[error("{0}")]
    SlotTaken(String),
    /// What was asked for cannot be granted, ever: a rank out of range, a bad path, a malformed message.
    #[error("{0}")]
    Invalid(String),
    /// The message belongs to another generation, or the run is in another phase.
    #[error("{0}")]
    Stale(String),
    /// The caller has not shown that it may call: its join token or its certificate is missing or wrong.
    #[error("{0}")]
    Unauthenticated(String),
    /// Nothing is there under that name.
    #[error("{0}")]
    NotFound(String),
    /// The wait was longer than its deadline.
    #[error("{0}")]
    TimedOut(String),
    /// The run directory cannot take more: disk full or gone.
    #[error("{0}")]
    Storage(String),
    /// Every step of the run is done; there is nothing left to come for.
    #[error("{0}")]
    Complete(String),
    /// The coordinator is ending; do not come back.
    #[error("{0}")]
    Ending(String),
    /// The connection broke, or the coordinator has too much to do just now; trying again may help.
    #[error("{0}")]
    Unreachable(String),
    /// A defect.
    #[error("{0}")]
    Internal(String),
}

impl ServiceError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::SlotTaken(_) | Self::Unreachable(_) | Self::TimedOut(_))
    }
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        let code = match &error {
            ServiceError::IncompatibleVersion(_) => Code::Unimplemented,
            ServiceError::SlotTaken(_) => Code::AlreadyExists,
            ServiceError::Invalid(_) => Code::InvalidArgument,
            ServiceError::Stale(_) => Code::FailedPrecondition,
            ServiceError::Unauthenticated(_) => Code::Unauthenticated,
            ServiceError::NotFound(_) => Code::NotFound,
            ServiceError::TimedOut(_) => Code::DeadlineExceeded,
            ServiceError::Storage(_) => Code::ResourceExhausted,
            ServiceError::Complete(_) => Code::OutOfRange,
            ServiceError::Ending(_) => Code::Aborted,
            ServiceError::Unreachable(_) => Code::Unavailable,
            ServiceError::Internal(_) => Code::Internal,
        };
        Status::new(code, error.to_string())
    }
}

impl From<Status> for ServiceError {
    fn from(status: Status) -> Self {
        if let Some(alert) = tls_alert::alert(&status) {
            return Self::Unauthenticated(alert);
        }
        let message = status.message().to_string();
        match status.code() {
            Code::Unimplemented => Self::IncompatibleVersion(message),
            Code::AlreadyExists => Self::SlotTaken(message),
            Code::InvalidArgument => Self::Invalid(message),
            Code::FailedPrecondition => Self::Stale(message),
            Code::Unauthenticated => Self::Unauthenticated(message),
            Code::NotFound => Self::NotFound(message),
            Code::DeadlineExceeded => Self::TimedOut(message),
            Code::ResourceExhausted => Self::Storage(message),
            Code::OutOfRange => Self::Complete(message),
            Code::Aborted => Self::Ending(message),
            Code::Unavailable | Code::Cancelled | Code::Unknown => Self::Unreachable(message),
            _ => Self::Internal(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_survives_the_journey() {
        let text = || "why".to_string();
        for error in [
            ServiceError::IncompatibleVersion(text()),
            ServiceError::SlotTaken(text()),
            ServiceError::Invalid(text()),
            ServiceError::Stale(text()),
            ServiceError::Unauthenticated(text()),
            ServiceError::NotFound(text()),
            ServiceError::TimedOut(text()),
            ServiceError::Storage(text()),
            ServiceError::Complete(text()),
            ServiceError::Ending(text()),
            ServiceError::Unreachable(text()),
            ServiceError::Internal(text()),
        ] {
            assert_eq!(ServiceError::from(Status::from(error.clone())), error);
        }
    }
}
