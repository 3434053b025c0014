//! One copy of the run's state in a device's memory: what a step reads or writes.

use tch::{Device, Kind, Tensor};

use crate::mathematics::batch_norm::RunningStatistics;
use crate::network::ComputeError;
use crate::state::State;

/// What a step changes, on the device.
#[derive(Debug)]
pub struct StateCopy {
    /// All parameters.
    pub flat: Tensor,
    /// SGD's momentum, Adam's first moment.
    pub first: Tensor,
    /// Adam's second moment.
    pub second: Option<Tensor>,
    /// Running means of all layers, then running variances, `[2, channels of all layers]`.
    pub running: Tensor,
    /// `[classes, feature_dim]`.
    pub centers: Tensor,
    /// Whether every step so far was good: 1, else 0.
    pub good: Tensor,
    /// Of what the steps so far have added to the epoch's record: a whole number, `[1]`.
    pub trail: Tensor,
}

impl StateCopy {
    /// `state` in the memory of `device`.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn of(state: &State, device: Device) -> Result<Self, ComputeError> {
        let kind = state.flat.kind();
        let copied = |tensor: &Tensor| tensor.f_to_device_(device, kind, false, true);
        let numbers =
            |values: &[f64]| Tensor::from_slice(values).f_to_kind(kind)?.f_to_device(device);
        let means = state.running.iter().flat_map(|running| running.mean.iter().copied());
        let variances = state.running.iter().flat_map(|running| running.variance.iter().copied());
        let running: Vec<f64> = means.chain(variances).collect();
        Ok(Self {
            flat: copied(&state.flat)?,
            first: copied(&state.optimizer.first)?,
            second: state.optimizer.second.as_ref().map(copied).transpose()?,
            running: numbers(&running)?.f_view([2, running.len() as i64 / 2])?,
            centers: numbers(&state.centers)?.f_view([state.classes() as i64, -1])?,
            good: Tensor::f_ones([1], (Kind::Double, device))?,
            trail: Tensor::f_zeros([1], (Kind::Int64, device))?,
        })
    }

    /// Another copy of the same, with memory of its own.
    ///
    /// # Errors
    /// Memory ran out.
    pub fn duplicate(&self) -> Result<Self, ComputeError> {
        let copied = |tensor: &Tensor| {
            let mut copy = tensor.f_empty_like()?;
            copy.f_copy_(tensor)?;
            Ok::<_, tch::TchError>(copy)
        };
        Ok(Self {
            flat: copied(&self.flat)?,
            first: copied(&self.first)?,
            second: self.second.as_ref().map(copied).transpose()?,
            running: copied(&self.running)?,
            centers: copied(&self.centers)?,
            good: copied(&self.good)?,
            trail: copied(&self.trail)?,
        })
    }

    /// Brings what it holds into `state`, whose position and counters are the caller's. Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn bring_back(&self, state: &mut State) -> Result<(), ComputeError> {
        // Everything is here before anything changes.
        let flat = self.flat.f_to_device(Device::Cpu)?;
        let first = self.first.f_to_device(Device::Cpu)?;
        let second =
            self.second.as_ref().map(|second| second.f_to_device(Device::Cpu)).transpose()?;
        let running = numbers(&self.running)?;
        let centers = numbers(&self.centers)?;
        state.flat.f_copy_(&flat)?;
        state.optimizer.first.f_copy_(&first)?;
        if let (Some(to), Some(from)) = (&mut state.optimizer.second, &second) {
            to.f_copy_(from)?;
        }
        let (mut means, mut variances) = running.split_at(running.len() / 2);
        let mut take = |channels: usize| {
            let (mean, other_means) = means.split_at(channels);
            let (variance, other_variances) = variances.split_at(channels);
            (means, variances) = (other_means, other_variances);
            RunningStatistics { mean: mean.to_vec(), variance: variance.to_vec() }
        };
        let layers = &state.layout.architecture.convolutions;
        state.running = layers.iter().map(|layer| take(layer.outputs)).collect();
        state.centers = centers;
        Ok(())
    }
}

/// The numbers of a tensor, wherever it is.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f64>, ComputeError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_contiguous()?;
    Ok(Vec::try_from(tensor.f_view([-1])?)?)
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use common::config::Config;
    use common::data_shape::DataShape;

    use super::*;
    use crate::state::Checkpoint;

    #[test]
    fn what_is_brought_back_is_what_was_copied() {
        let command = Config::augment_args(Command::new("worker"));
        let matches = command.get_matches_from(["worker", "--optimizer", "adam"]);
        let config = Config::from_arg_matches(&matches).unwrap();
        let mut state = State::initial(&config, DataShape::MNIST, Kind::Float);
        state.running[3].mean[7] = 0.5;
        state.running[5].variance[1] = 0.25;
        let copy = StateCopy::of(&state, Device::Cpu).unwrap().duplicate().unwrap();
        let mut other =
            State::initial(&Config { seed: 5, ..config }, DataShape::MNIST, Kind::Float);
        copy.bring_back(&mut other).unwrap();
        assert_eq!(Checkpoint::of(&other).unwrap(), Checkpoint::of(&state).unwrap());
        let _ = state.flat.g_add_scalar_(1.0);
        assert_ne!(copy.flat, state.flat, "a copy has memory of its own");
    }
}
