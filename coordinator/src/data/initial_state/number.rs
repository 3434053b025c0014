//! The numbers of a file's tensor as those of the run, or which of them cannot be used and why.
//!
//! `entry` calls it. Every number is looked at here once, before any worker starts; nothing later has to doubt it.

use std::fmt;

use common::architecture::{RUNNING_VARIANCE, TensorKind, TensorSpec};
use common::config::Precision;
use half::{bf16, f16};

/// The types of number that can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// 64-bit floating point.
    F64,
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// 16-bit brain floating point.
    Bf16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// 64-bit natural number.
    U64,
    /// 32-bit natural number.
    U32,
    /// 16-bit natural number.
    U16,
    /// 8-bit natural number.
    U8,
    /// Truth values, 0 or 1 in a byte.
    Bool,
    /// Anything else.
    Other,
}

/// A number of a file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tensor}{index} is {value}: {problem}")]
pub struct BadNumber {
    /// Full name in the file.
    pub tensor: String,
    /// Where in the tensor, `[row, column]`; nothing for a scalar.
    index: String,
    /// The number as it stands in the file.
    value: String,
    /// Why it cannot be used.
    problem: &'static str,
}

const NOT_FINITE: &str = "a run cannot start from it; the training that wrote the file had diverged, give an earlier \
                          checkpoint of it";
const NEGATIVE_VARIANCE: &str = "a variance is not negative; the file is damaged";
const BEYOND_32_BITS: &str = "32-bit floating point ends at 3.4e38; --precision f64 takes it";
const NO_COUNT: &str = "a count of batches is a whole number from 0 to 9223372036854775807; half precision holds none \
                        above 65504, save counters as int64";

impl NumberType {
    /// Bytes of one.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool | Self::Other => 1,
        }
    }

    /// Whether tensors of this kind may be made of it: counters of all, the others of floating point.
    pub fn fits(self, kind: TensorKind) -> bool {
        match self {
            Self::F64 | Self::F32 | Self::F16 | Self::Bf16 => true,
            Self::Other => false,
            _ => kind == TensorKind::Counter,
        }
    }
}

/// A tensor's numbers in little-endian bytes, and its names for messages.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Full name in the file.
    pub name: &'a str,
    /// Shape in the file; empty for a scalar.
    pub shape: &'a [usize],
    /// What the bytes are.
    pub number: NumberType,
    /// The numbers, row-major.
    pub bytes: &'a [u8],
}

impl Raw<'_> {
    /// Counts of batches.
    ///
    /// # Errors
    /// One is no whole number, negative, or has more than 63 bits.
    pub fn counters(&self) -> Result<Vec<i64>, BadNumber> {
        use NumberType as T;
        match self.number {
            T::I64 => self.each(i64::from_le_bytes, natural),
            T::I32 => self.each(i32::from_le_bytes, |n| natural(n.into())),
            T::I16 => self.each(i16::from_le_bytes, |n| natural(n.into())),
            T::I8 => self.each(i8::from_le_bytes, |n| natural(n.into())),
            T::U64 => self.each(u64::from_le_bytes, |n| i64::try_from(n).map_err(|_| NO_COUNT)),
            T::U32 => self.each(u32::from_le_bytes, |n| natural(n.into())),
            T::U16 => self.each(u16::from_le_bytes, |n| natural(n.into())),
            T::U8 => self.each(u8::from_le_bytes, |n| natural(n.into())),
            T::Bool => self.each(u8::from_le_bytes, |n| Ok(i64::from(n != 0))),
            _ => self.each_float(whole),
        }
    }

    /// Numbers of another tensor of the network.
    ///
    /// # Errors
    /// One is not finite in the run's precision, or a variance below 0.
    pub fn floats(&self, spec: &TensorSpec, precision: Precision) -> Result<Vec<f64>, BadNumber> {
        let is_variance =
            spec.kind == TensorKind::Statistic && spec.name.ends_with(RUNNING_VARIANCE);
        self.each_float(|number| match number {
            _ if !number.is_finite() => Err(NOT_FINITE),
            _ if is_variance && number < 0.0 => Err(NEGATIVE_VARIANCE),
            _ if precision.is_stored_in_64_bits() || (number as f32).is_finite() => Ok(number),
            _ => Err(BEYOND_32_BITS),
        })
    }

    fn each_float<To>(
        &self,
        convert: impl Fn(f64) -> Result<To, &'static str>,
    ) -> Result<Vec<To>, BadNumber> {
        match self.number {
            NumberType::F64 => self.each(f64::from_le_bytes, convert),
            NumberType::F32 => self.each(|b| f64::from(f32::from_le_bytes(b)), convert),
            NumberType::F16 => self.each(|b| f16::from_le_bytes(b).to_f64(), convert),
            NumberType::Bf16 => self.each(|b| bf16::from_le_bytes(b).to_f64(), convert),
            _ => unreachable!("`fits` lets nothing else become floating point"),
        }
    }

    fn each<const SIZE: usize, From: Copy + fmt::Debug, To>(
        &self,
        read: impl Fn([u8; SIZE]) -> From,
        convert: impl Fn(From) -> Result<To, &'static str>,
    ) -> Result<Vec<To>, BadNumber> {
        let chunks = self.bytes.as_chunks().0.iter().enumerate();
        let converted = chunks.map(|(position, chunk)| {
            let number = read(*chunk);
            convert(number).map_err(|problem| BadNumber {
                tensor: self.name.to_string(),
                index: self.index(position),
                value: format!("{number:?}"),
                problem,
            })
        });
        converted.collect()
    }

    fn index(&self, mut position: usize) -> String {
        let mut index = vec![0; self.shape.len()];
        for (axis, &size) in self.shape.iter().enumerate().rev() {
            index[axis] = position % size;
            position /= size;
        }
        if index.is_empty() { String::new() } else { format!("{index:?}") }
    }
}

fn natural(number: i64) -> Result<i64, &'static str> {
    if number >= 0 { Ok(number) } else { Err(NO_COUNT) }
}

fn whole(number: f64) -> Result<i64, &'static str> {
    // −(i64::MIN as f64) is 2⁶³, the first number that is too large.
    let is_count = number >= 0.0 && number < -(i64::MIN as f64) && number.fract() == 0.0;
    if is_count { Ok(number as i64) } else { Err(NO_COUNT) }
}
