//! A coordinator that runs somewhere: what it is asked for by `status`, `scale` and `drain`, and how they reach it.

use std::time::Duration;

use anyhow::{Context, Result};
use common::access::{Access, Line};
use common::status::ServiceError;
use proto::coordinator_client::CoordinatorClient;
use tonic::transport::Endpoint;

/// A coordinator answers at once, or something is wrong.
const DEADLINE: Duration = Duration::from_secs(5);

/// A coordinator to be asked.
#[derive(Clone, Debug, clap::Args)]
pub struct RunningCoordinator {
    /// Address of the coordinator [default: http://127.0.0.1:29400, or https://… with --tls-ca]
    #[arg(long = "coordinator", env = "CONCENTRIC_COORDINATOR", value_name = "URL")]
    pub url: Option<String>,
    /// How it is let in.
    #[command(flatten)]
    pub access: Access,
}

/// A validated wish to know.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusPlan {
    /// Which one.
    #[command(flatten)]
    pub coordinator: RunningCoordinator,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// A validated wish for more workers, or fewer.
#[derive(Clone, Debug, clap::Args)]
pub struct ScalePlan {
    /// How many workers the run shall have
    #[arg(value_name = "N")]
    pub workers: u32,
    /// Which one.
    #[command(flatten)]
    pub coordinator: RunningCoordinator,
}

/// A validated wish to let a worker go.
#[derive(Clone, Debug, clap::Args)]
pub struct DrainPlan {
    /// The worker's --rank
    #[arg(value_name = "RANK")]
    pub rank: u32,
    /// Which one.
    #[command(flatten)]
    pub coordinator: RunningCoordinator,
}

impl RunningCoordinator {
    /// Where it is.
    pub fn address(&self) -> String {
        let on_this_machine = || format!("{}://127.0.0.1:29400", self.access.scheme());
        self.url.clone().unwrap_or_else(on_this_machine)
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Nobody answers there, or does not let the caller in.
    pub async fn connect(&self) -> Result<CoordinatorClient<Line>> {
        let url = self.address();
        let uri = self.access.coordinator(&url).context("--coordinator")?;
        let endpoint = Endpoint::from(uri).connect_timeout(DEADLINE).timeout(DEADLINE);
        match self.access.connect(endpoint).await {
            Ok(line) => Ok(CoordinatorClient::new(line)),
            Err(error @ ServiceError::Unauthenticated(_)) => Err(error.into()),
            Err(error) => Err(error).with_context(|| {
                format!("no coordinator answers at {url}: is it running? give --coordinator URL")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_on_this_machine_behind_tls_or_not() {
        let check = |url: Option<&str>, tls_ca: Option<&str>, expected: &str| {
            let access = Access { tls_ca: tls_ca.map(Into::into), ..Access::default() };
            let coordinator = RunningCoordinator { url: url.map(str::to_string), access };
            assert_eq!(coordinator.address(), expected);
        };
        check(None, None, "http://127.0.0.1:29400");
        check(None, Some("ca.pem"), "https://127.0.0.1:29400");
        check(Some("https://h:1"), Some("ca.pem"), "https://h:1");
    }
}
