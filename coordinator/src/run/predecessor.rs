//! Whether the coordinator that had a run before still serves it. The lock on the run's folder says so where this machine
//! sees it, which on a shared file system it may not: so the predecessor is asked, at the address in the ledger.
//!
//! `run` calls it before anything of the run is touched.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use common::access::Access;
use common::{address, causes::in_words};
use proto::StatusRequest;
use proto::coordinator_client::CoordinatorClient;
use tokio::time::timeout;
use tonic::transport::{Endpoint, Uri};

use super::plan::RunPlan;
use crate::machine;
use crate::run_directory::ledger::{self, Predecessor};
use crate::run_directory::{EVENTS, events_log};

/// A coordinator answers at once; a machine that is gone does not.
const DEADLINE: Duration = Duration::from_secs(3);

/// Asks the predecessor of a coordinator that listens at `own`.
///
/// # Errors
/// It still serves the run.
pub async fn refuse_if_serving(plan: &RunPlan, own: SocketAddr) -> Result<()> {
    let Some(root) = &plan.config.run_dir else { return Ok(()) };
    // What is wrong with the ledger shows where it is used.
    let Ok(lines) = events_log::read(&root.join(EVENTS)) else { return Ok(()) };
    let summary = ledger::summarise(&lines);
    let (Some(run), Some(last)) = (summary.run, summary.coordinator) else { return Ok(()) };
    let Some(place) = place(&last, own, machine::name().as_deref()) else { return Ok(()) };
    match timeout(DEADLINE, ask(plan, &place)).await {
        Ok(Ok(served)) if served == run => bail!(
            "another coordinator is running in {}: process {} on {} answers at {place} and serves this run; end it first, \
             or choose another --run-dir for a new run",
            root.display(),
            last.process,
            if last.host.is_empty() { "its machine" } else { &last.host },
        ),
        Ok(Ok(_)) => tracing::debug!(%place, "the coordinator there serves another run"),
        Ok(Err(error)) => {
            tracing::debug!(%place, "no coordinator there: {}", in_words(error.as_ref()));
        }
        Err(_) => tracing::debug!(%place, "no coordinator there within {DEADLINE:?}"),
    }
    Ok(())
}

/// Where the predecessor of a coordinator at `own`, on the machine `host`, would answer; none where nobody else can.
fn place(last: &Predecessor, own: SocketAddr, host: Option<&str>) -> Option<String> {
    let listened: SocketAddr = last.address.parse().ok()?;
    let ip = listened.ip().to_canonical();
    let is_here = last.host.is_empty() || host == Some(last.host.as_str());
    if is_here && listened.port() == own.port() {
        // This coordinator would not listen there.
        return None;
    }
    if ip.is_loopback() && !is_here || ip.is_unspecified() && last.host.is_empty() {
        return None;
    }
    let name = if ip.is_unspecified() { last.host.clone() } else { ip.to_string() };
    Some(address::join(&name, listened.port()))
}

/// The run that the coordinator in a place serves.
async fn ask(plan: &RunPlan, place: &str) -> Result<String> {
    let door = plan.door.clone();
    // Who is served with certificates of an authority is asked with them; without one there is no telling whom to trust.
    let access = Access {
        tls_ca: door.tls_ca,
        tls_cert: door.tls_cert,
        tls_key: door.tls_key,
        join_token_file: door.join_token_file,
    };
    let uri: Uri = access.coordinator(place)?;
    let endpoint = Endpoint::from(uri).connect_timeout(DEADLINE).timeout(DEADLINE);
    let mut client = CoordinatorClient::new(access.connect(endpoint).await?);
    Ok(client.get_status(StatusRequest {}).await?.into_inner().run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_predecessor_is_asked_where_others_reach_it() {
        let check = |address: &str, host: &str, expected: Option<&str>| {
            let (address, host) = (address.to_string(), host.to_string());
            let last = Predecessor { address, host, process: 1 };
            let own = "0.0.0.0:29400".parse().unwrap();
            assert_eq!(place(&last, own, Some("here")).as_deref(), expected, "{last:?}");
        };
        check("10.0.0.7:29400", "there", Some("10.0.0.7:29400"));
        check("0.0.0.0:29400", "there", Some("there:29400"));
        check("[::]:29400", "there", Some("there:29400"));
        check("[fd00::7]:29400", "there", Some("[fd00::7]:29400"));
        check("127.0.0.1:29401", "here", Some("127.0.0.1:29401"));
        // Its port is this coordinator's now.
        check("127.0.0.1:29400", "here", None);
        check("0.0.0.0:29400", "here", None);
        check("0.0.0.0:29400", "", None);
        check("0.0.0.0:29401", "", None);
        // Another machine's loopback.
        check("127.0.0.1:29400", "there", None);
    }
}
