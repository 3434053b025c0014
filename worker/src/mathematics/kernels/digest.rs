//! Sixty-four bits that tell numbers from others, to the bit: Σ word·key over their words of 32 bits, modulo 2⁶⁴, with an odd
//! key for each place (multilinear hashing). A change within one word always shows; of changes of several at most one in about
//! 2³¹ does not.

use pulp::Arch;

use super::Float;

/// Numbers that keys are kept for; blocks of so many have a factor of their own.
const BLOCK: usize = 1024;
/// For the lower and the upper half of each number of a block.
const KEYS: [[u32; BLOCK]; 2] = keys();

const fn keys() -> [[u32; BLOCK]; 2] {
    let mut keys = [[0; BLOCK]; 2];
    let mut index = 0;
    while index < 2 * BLOCK {
        keys[index / BLOCK][index % BLOCK] = (mixed(index as u64) >> 32) as u32 | 1;
        index += 1;
    }
    keys
}

/// One number of the sequence that SplitMix64 draws (Steele, Lea and Flood, 2014).
const fn mixed(index: u64) -> u64 {
    let z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// That of numbers and of how many they are.
pub fn digest<T: Float>(numbers: &[T]) -> u64 {
    let blocks = numbers.chunks(BLOCK).enumerate();
    let sum = blocks.fold(0_u64, |sum, (index, block)| {
        // Odd, so that it loses nothing.
        let factor = mixed(index as u64) | 1;
        sum.wrapping_add(factor.wrapping_mul(sum_of(block)))
    });
    mixed(sum ^ mixed(numbers.len() as u64))
}

fn sum_of<T: Float>(block: &[T]) -> u64 {
    let [lower, upper] = &KEYS;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let keys = lower.iter().zip(upper);
            block.iter().zip(keys).fold(0_u64, |sum, (number, (lower, upper))| {
                let bits = number.bits();
                let half =
                    |bits: u64, key: &u32| (bits & 0xffff_ffff).wrapping_mul(u64::from(*key));
                sum.wrapping_add(half(bits, lower)).wrapping_add(half(bits >> 32, upper))
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_at_every_place_shows() {
        let numbers: Vec<f32> = (0..2500).map(|number| libm::sinf(number as f32)).collect();
        let expected = digest(&numbers);
        for place in [0, 1, 1023, 1024, 2047, 2048, 2499] {
            for bit in 0..32 {
                let mut flipped = numbers.clone();
                flipped[place] = f32::from_bits(flipped[place].to_bits() ^ (1 << bit));
                assert_ne!(digest(&flipped), expected, "bit {bit} at {place}");
            }
        }
        let long: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
        for bit in 0..64 {
            let mut flipped = long.clone();
            flipped[1500] = f64::from_bits(flipped[1500].to_bits() ^ (1 << bit));
            assert_ne!(digest(&flipped), digest(&long), "bit {bit}");
        }
    }

    #[test]
    fn order_and_length_show() {
        assert_ne!(digest(&[1.0_f32, 2.0]), digest(&[2.0_f32, 1.0]));
        assert_ne!(digest(&[0.0_f32; 3]), digest(&[0.0_f32; 4]));
        assert_ne!(digest(&[0.0_f32]), digest(&[-0.0_f32]));
        let mut blocks = vec![0.0_f32; 2048];
        blocks[0] = 1.0;
        let first = digest(&blocks);
        blocks.swap(0, 1024);
        assert_ne!(digest(&blocks), first);
    }
}
