//! An exchange that was started and not yet waited for.

use tch::Tensor;

use super::error::CollectiveError;

/// An engine's part of a pending exchange. Dropping it unfinished aborts it.
pub(super) trait InFlight: Send {
    /// Blocks until every send and receive is complete.
    fn finish(self: Box<Self>) -> Result<(), CollectiveError>;
}

/// The sends and receives of one [`super::Collective::exchange`].
///
/// Dropping it without waiting aborts it, and with it the collective: half of an exchange cannot be
/// taken back.
#[must_use = "dropping a pending exchange aborts the collective"]
pub struct PendingExchange {
    in_flight: Option<Box<dyn InFlight>>,
    received: Vec<Tensor>,
}

impl PendingExchange {
    /// An exchange that nobody has to wait for.
    pub(super) fn complete() -> Self {
        Self { in_flight: None, received: Vec::new() }
    }

    /// `received` is what the receives fill, in the order in which they were asked for.
    pub(super) fn new(in_flight: impl InFlight + 'static, received: Vec<Tensor>) -> Self {
        Self { in_flight: Some(Box::new(in_flight)), received }
    }

    /// Blocks until everything is sent and received, at most the collective's timeout for each
    /// peer that stays silent. Returns the received tensors in the order of `receives`.
    ///
    /// # Errors
    ///
    /// The first peer that is lost or silent, or the abort. The collective is then of no more use.
    pub fn wait(self) -> Result<Vec<Tensor>, CollectiveError> {
        if let Some(in_flight) = self.in_flight {
            in_flight.finish()?;
        }
        Ok(self.received)
    }
}

impl std::fmt::Debug for PendingExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingExchange").field("receives", &self.received.len()).finish()
    }
}
