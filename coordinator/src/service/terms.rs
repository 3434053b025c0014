//! What the run computes: workers ask before they join, and compute a small part of it.

use proto::TermsReply;

use super::shared::Shared;

/// What a worker is to compute, and whether it has to prove that it computes it as the others do.
pub fn terms(shared: &Shared) -> TermsReply {
    let Shared { config, data, was_complete, .. } = shared;
    TermsReply {
        config: config.to_toml(),
        train_samples: data.train_samples,
        test_samples: data.test_samples,
        data: Some(data.message()),
        // Nothing is left to compute of a complete run.
        prove: !config.allow_mixed_hardware && !was_complete,
    }
}
