//! The bits of numbers, as they come.

use common::computing::Proof;
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::bridge::{BridgeError, with_slice};
use crate::mathematics::kernels::Float;
use crate::state::State;

/// Bytes that are hashed together.
const BYTES: usize = 1 << 14;

/// What was computed so far.
#[derive(Default)]
pub struct Transcript(Sha256);

impl Transcript {
    /// Adds numbers. One that is none counts as such: which one it is depends on instructions.
    pub fn numbers(&mut self, numbers: impl IntoIterator<Item = f64>) {
        let mut bytes = Vec::with_capacity(BYTES);
        for number in numbers {
            let number = if number.is_nan() { f64::NAN } else { number };
            bytes.extend_from_slice(&number.to_le_bytes());
            if bytes.len() == BYTES {
                self.0.update(&bytes);
                bytes.clear();
            }
        }
        self.0.update(&bytes);
    }

    /// Adds what the steps have made of a state's numbers.
    ///
    /// # Errors
    /// Its tensors are not in this machine's memory.
    pub fn state(&mut self, state: &State) -> Result<(), BridgeError> {
        let tensors = std::iter::once(&state.flat).chain(state.optimizer.moments());
        for tensor in tensors {
            match tensor.kind() {
                Kind::Double => self.tensor::<f64>(tensor)?,
                _ => self.tensor::<f32>(tensor)?,
            }
        }
        for running in &state.running {
            self.numbers(running.mean.iter().chain(&running.variance).copied());
        }
        self.numbers(state.centers.iter().copied());
        Ok(())
    }

    fn tensor<T: Float>(&mut self, tensor: &Tensor) -> Result<(), BridgeError> {
        with_slice(tensor, |numbers: &[T]| {
            self.numbers(numbers.iter().map(|number| number.to_f64()));
        })
    }

    /// Their digest.
    pub fn proof(self) -> Proof {
        Proof::new(self.0.finalize().into())
    }
}
