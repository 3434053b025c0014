//! What a worker computes with, as it says when it joins and as the run remembers it.
//!
//! The worker makes it; the coordinator compares it with what the run was computed with before, writes it into the ledger and
//! says what differs. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hexadecimal;

/// What a small fixed computation came to, with exactly the kernels that the run uses: SHA-256 of the bits of its results.
/// Workers with equal ones compute a step alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proof {
    version: u32,
    digest: [u8; 32],
}

/// Which computation it is. Raised whenever that changes, so that results of two are not compared.
const VERSION: u32 = 1;

impl Proof {
    /// One of today's computation.
    pub fn new(digest: [u8; 32]) -> Self {
        Self { version: VERSION, digest }
    }

    /// Whether both come from the same computation.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

/// As `1-` and 64 hexadecimal digits, the version first.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, hexadecimal(&self.digest))
    }
}

impl From<Proof> for String {
    fn from(proof: Proof) -> Self {
        proof.to_string()
    }
}

/// A text that is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no digest of what is computed", .0.escape_default())]
pub struct NoProof(String);

impl FromStr for Proof {
    type Err = NoProof;

    fn from_str(text: &str) -> Result<Self, NoProof> {
        let parse = || {
            let (version, digits) = text.split_once('-')?;
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if digits.len() != 64 || !digits.bytes().all(is_digit) {
                return None;
            }
            let mut digest = [0; 32];
            for (index, byte) in digest.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
            }
            Some(Self { version: version.parse().ok()?, digest })
        };
        parse().ok_or_else(|| NoProof(text.to_string()))
    }
}

impl TryFrom<String> for Proof {
    type Error = NoProof;

    fn try_from(text: String) -> Result<Self, NoProof> {
        text.parse()
    }
}

/// What a worker computes with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computing {
    /// What it has proved to compute; none where nothing is compared, or it could not be computed.
    pub proof: Option<Proof>,
    /// Processor or GPU model, and whose kernels where they are not the usual ones.
    pub hardware: String,
    /// Version of the program's own kernels; 0 where every operation is libtorch's.
    pub kernels: u32,
    /// Version of its libtorch.
    pub libtorch: String,
    /// Variables of its environment that are known to choose kernels, as `NAME=VALUE`.
    pub variables: Vec<String>,
}

impl Computing {
    /// Whether two compute alike: as they have proved, or, where one has not, as far as their names tell.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self.proof, other.proof) {
            (Some(one), Some(other)) if one.is_comparable(&other) => one == other,
            _ => {
                let names = |of: &Self| (of.hardware.clone(), of.kernels, of.libtorch.clone());
                names(self) == names(other)
            }
        }
    }

    /// What is known to differ from another, in words: "processor A here, B there; …".
    pub fn differences(&self, other: &Self) -> String {
        if other.hardware.is_empty() {
            return "of what that was nothing but a digest is left".to_string();
        }
        let mut words = Vec::new();
        let mut differ = |what: &str, here: &str, there: &str| {
            if here != there && !here.is_empty() && !there.is_empty() {
                words.push(format!("{what}{here} here, {there} there"));
            }
        };
        differ("", &self.hardware, &other.hardware);
        differ("libtorch ", &self.libtorch, &other.libtorch);
        let kernels = |of: &Self| match of.kernels {
            0 => String::new(),
            version => version.to_string(),
        };
        differ("kernels of version ", &kernels(self), &kernels(other));
        for (own, others, place) in [
            (&self.variables, &other.variables, "here"),
            (&other.variables, &self.variables, "there"),
        ] {
            let alone = own.iter().filter(|variable| !others.contains(variable));
            words.extend(alone.map(|variable| format!("{variable} is set {place} alone")));
        }
        match words.is_empty() {
            true => {
                "nothing that is known to matter differs, so a processor or a memory may be faulty"
                    .to_string()
            }
            false => words.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computing(digest: u8) -> Computing {
        Computing {
            proof: Some(Proof::new([digest; 32])),
            hardware: "EPYC (avx512f)".to_string(),
            kernels: 2,
            libtorch: "2.11.0".to_string(),
            variables: Vec::new(),
        }
    }

    #[test]
    fn a_proof_is_a_text_and_back() {
        let proof = Proof::new(std::array::from_fn(|index| 7 * index as u8));
        assert_eq!(proof.to_string().parse(), Ok(proof));
        let json = serde_json::to_string(&proof).unwrap();
        assert_eq!(serde_json::from_str::<Proof>(&json).unwrap(), proof);
        let digits = "0".repeat(64);
        for wrong in [
            "",
            "1-",
            &digits,
            &format!("1-{digits}0"),
            &format!("x-{digits}"),
            &format!("1-é{}", "0".repeat(62)),
        ] {
            assert!(wrong.parse::<Proof>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_computed_counts_and_not_its_name() {
        let renamed = Computing { hardware: "Xeon".to_string(), ..computing(1) };
        assert!(renamed.is_like(&computing(1)));
        assert!(!computing(2).is_like(&computing(1)));
    }

    #[test]
    fn names_count_where_nothing_is_proved_or_comparable() {
        let without = |hardware: &str| Computing {
            proof: None,
            hardware: hardware.to_string(),
            ..computing(1)
        };
        assert!(without("EPYC (avx512f)").is_like(&computing(1)));
        assert!(!without("Xeon").is_like(&computing(1)));
        let mut earlier = computing(2);
        earlier.proof = Some(Proof { version: 0, digest: [2; 32] });
        assert!(earlier.is_like(&computing(1)));
    }

    #[test]
    fn differences_are_told_in_words() {
        let mut other = computing(2);
        assert!(computing(1).differences(&other).contains("may be faulty"));
        other.hardware = "Xeon".to_string();
        other.variables = vec!["MKL_CBWR=AVX2".to_string()];
        let told = computing(1).differences(&other);
        assert_eq!(told, "EPYC (avx512f) here, Xeon there; MKL_CBWR=AVX2 is set there alone");
        assert!(other.differences(&computing(1)).ends_with("MKL_CBWR=AVX2 is set here alone"));
    }
}
