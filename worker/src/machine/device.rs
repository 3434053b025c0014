//! Which device this worker computes on, and with whose kernels. Decided once, before anything else asks libtorch.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use common::ids::Slot;
use tch::Device;

use crate::bridge::cuda;

/// `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU if there is one, by this process's number on its machine; else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, by this process's number on its machine.
    AnyCuda,
    /// A GPU by its number among the visible ones.
    Cuda(usize),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::AnyCuda => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::AnyCuda),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Cuda(number)),
                _ => Err(format!("--device `{text}` is not known; use auto, cpu, cuda or cuda:I")),
            },
        }
    }
}

/// `--engine`: whose kernels compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// This program's own on a CPU, libtorch's on a GPU.
    Auto,
    /// libtorch's on either; on a CPU slower, and other bits than with the program's own.
    Tensors,
}

/// Where and how this worker computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The device.
    pub device: Device,
    /// Whether all of a step is libtorch's operations, as it must be on a GPU.
    pub tensors: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device {
            Device::Cuda(number) => write!(f, "cuda:{number}"),
            _ => f.write_str("cpu"),
        }
    }
}

/// Where a worker computes, as far as that is known before its slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Whatever its slot.
    Fixed(Place),
    /// On the GPU of its slot, modulo so many.
    BySlot {
        /// GPUs that are visible here, 2 or more.
        gpus: usize,
    },
}

impl Placement {
    /// Where the worker of a slot computes.
    pub fn of(self, slot: Slot) -> Place {
        match self {
            Self::Fixed(place) => place,
            Self::BySlot { gpus } => {
                Place { device: Device::Cuda(slot.index() % gpus), tensors: true }
            }
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(place) => place.fmt(f),
            Self::BySlot { gpus } => write!(f, "cuda:(rank mod {gpus})"),
        }
    }
}

/// Why there is a driver and no GPU.
const HIDDEN: &str = "libtorch sees no GPU here, though there is an NVIDIA driver: CUDA_VISIBLE_DEVICES may hide \
                      them, or the driver is too old for CUDA 13, which needs 580 or newer";

/// Where a worker computes, and why on the CPU where nobody has asked for that.
pub type Chosen = (Placement, Option<String>);

/// Chooses; `local_rank` is this process's number on its machine, if it has one already. Opens CUDA's libraries where
/// they may be needed.
///
/// # Errors
/// The GPU that was asked for is not there: why, and what to do.
pub fn choose(
    choice: DeviceChoice,
    engine: EngineChoice,
    local_rank: Option<usize>,
) -> Result<Chosen, String> {
    let gpus = match choice {
        DeviceChoice::Cpu => Ok(0),
        _ => cuda::open().map(|()| usize::try_from(tch::Cuda::device_count()).unwrap_or(0)),
    };
    let no_gpu = match (choice, &gpus) {
        (DeviceChoice::Auto, Err(reason)) => Some(reason.clone()),
        (DeviceChoice::Auto, Ok(0)) => Some(HIDDEN.to_string()),
        _ => None,
    };
    Ok((place((choice, engine), local_rank, gpus)?, no_gpu))
}

/// The choice, where CUDA's libraries show so many GPUs or say why they show none.
fn place(
    (choice, engine): (DeviceChoice, EngineChoice),
    local_rank: Option<usize>,
    gpus: Result<usize, String>,
) -> Result<Placement, String> {
    let local_rank = match (choice, &gpus, local_rank) {
        (DeviceChoice::Auto | DeviceChoice::AnyCuda, &Ok(gpus), None) if gpus > 1 => {
            return Ok(Placement::BySlot { gpus });
        }
        // Which of one or none needs no number.
        (_, _, local_rank) => local_rank.unwrap_or(0),
    };
    let device = pick(choice, local_rank, gpus)?;
    let tensors = device != Device::Cpu || engine == EngineChoice::Tensors;
    Ok(Placement::Fixed(Place { device, tensors }))
}

/// The device, where CUDA's libraries show so many GPUs or say why they show none.
fn pick(
    choice: DeviceChoice,
    local_rank: usize,
    gpus: Result<usize, String>,
) -> Result<Device, String> {
    match (choice, gpus) {
        (DeviceChoice::Cpu, _) | (DeviceChoice::Auto, Err(_) | Ok(0)) => Ok(Device::Cpu),
        (DeviceChoice::Auto | DeviceChoice::AnyCuda, Ok(count)) if count > 0 => {
            Ok(Device::Cuda(local_rank % count))
        }
        (DeviceChoice::Cuda(number), Ok(count)) if number < count => Ok(Device::Cuda(number)),
        (choice, Ok(0)) => Err(format!("--device {choice}: {HIDDEN}; use --device cpu")),
        (choice, Ok(count)) => Err(format!(
            "--device {choice}: there are {count} GPUs here, the last one is cuda:{}",
            count - 1
        )),
        (choice, Err(reason)) => Err(format!("--device {choice}: {reason}; or use --device cpu")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_picked_by_number_or_by_local_rank() {
        let missing = || Err("no NVIDIA driver".to_string());
        for (choice, local_rank, gpus, expected) in [
            (DeviceChoice::Cpu, 3, Ok(8), Device::Cpu),
            (DeviceChoice::Auto, 0, missing(), Device::Cpu),
            (DeviceChoice::Auto, 0, Ok(0), Device::Cpu),
            (DeviceChoice::Auto, 2, Ok(8), Device::Cuda(2)),
            (DeviceChoice::Auto, 5, Ok(4), Device::Cuda(1)),
            (DeviceChoice::Cuda(7), 0, Ok(8), Device::Cuda(7)),
            (DeviceChoice::AnyCuda, 3, Ok(2), Device::Cuda(1)),
        ] {
            assert_eq!(pick(choice, local_rank, gpus), Ok(expected), "{choice:?} {local_rank}");
        }
    }

    #[test]
    fn several_gpus_wait_for_the_slot_where_nothing_numbers_the_process() {
        let place = |choice, gpus, local_rank| {
            place((choice, EngineChoice::Auto), local_rank, Ok(gpus)).unwrap()
        };
        let of = |gpus, local_rank, slot| {
            place(DeviceChoice::Auto, gpus, local_rank).of(Slot(slot)).device
        };
        // In a container that sees one GPU it is that one, whatever the slot.
        assert_eq!(of(1, None, 5), Device::Cuda(0));
        assert_eq!(of(4, None, 5), Device::Cuda(1));
        assert_eq!(of(4, Some(3), 5), Device::Cuda(3));
        assert_eq!(of(0, None, 5), Device::Cpu);
        assert_eq!(place(DeviceChoice::AnyCuda, 4, None), Placement::BySlot { gpus: 4 });
        assert_eq!(Placement::BySlot { gpus: 4 }.to_string(), "cuda:(rank mod 4)");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let refused = |gpus, expected: &str| {
            let message = pick(DeviceChoice::Cuda(2), 0, gpus).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        let message = pick(DeviceChoice::AnyCuda, 0, Ok(0)).unwrap_err();
        assert!(message.starts_with("--device cuda: libtorch sees no GPU"), "{message}");
        refused(Ok(0), "CUDA_VISIBLE_DEVICES");
        refused(Ok(2), "there are 2 GPUs here, the last one is cuda:1");
        refused(Err("no NVIDIA driver".to_string()), "no NVIDIA driver; or use --device cpu");
    }
}
