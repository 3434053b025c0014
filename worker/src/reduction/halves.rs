//! Whole numbers of 64 bits as they travel with sums: two below 2³², which floating-point numbers of 64 bits hold exactly.

/// Numbers that one travels as.
pub const HALVES: usize = 2;

/// The upper half and the lower.
pub fn of(number: u64) -> [f64; HALVES] {
    [(number >> 32) as f64, (number & 0xffff_ffff) as f64]
}

/// The number of these halves.
pub fn joined([upper, lower]: [f64; HALVES]) -> u64 {
    ((upper as u64) << 32) | lower as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_arrives() {
        for number in (0..64).map(|bit| 1 << bit).chain([0, u64::MAX, u64::MAX - 1]) {
            assert_eq!(joined(of(number)), number);
        }
    }
}
