//! What `coordinator replay` is asked for.

use std::path::PathBuf;
use std::str::FromStr;

/// A validated wish to compute a stretch of a run again.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayPlan {
    /// Folder of the run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// Where to begin: so many steps of the run, or epoch=K for the end of that epoch; it begins with the newest checkpoint
    /// that is not later, or with the run
    #[arg(long, default_value = "0", value_name = "STEPS|epoch=K")]
    pub from: Point,
    /// Where to end [default: where the run has got to]
    #[arg(long, value_name = "STEPS|epoch=K")]
    pub to: Option<Point>,
    /// Workers that compute it, which changes nothing
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: u32,
    /// Keep what is computed in this folder [default: a temporary one, kept where something differs]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// A place in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// After so many steps.
    Steps(u64),
    /// After the last step of an epoch, counted from 0.
    Epoch(u64),
}

impl Point {
    /// How many steps are done there.
    pub fn steps(self, per_epoch: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Epoch(epoch) => epoch.saturating_add(1).saturating_mul(per_epoch),
        }
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_prefix("epoch=") {
            Some(epoch) => epoch.parse().map(Self::Epoch),
            None => text.parse().map(Self::Steps),
        };
        parsed.map_err(|_| {
            format!("`{text}` is no place in a run; give a number of steps, or epoch=K")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_steps_or_ends_of_epochs() {
        let steps = |text: &str| text.parse::<Point>().map(|point| point.steps(10));
        assert_eq!((steps("0"), steps("25"), steps("epoch=1")), (Ok(0), Ok(25), Ok(20)));
        for wrong in ["", "-1", "epoch", "epoch=", "epoch=x", "1.5"] {
            assert!(steps(wrong).unwrap_err().contains("number of steps"), "{wrong}");
        }
    }
}
