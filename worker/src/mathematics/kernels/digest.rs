//! Sixty-four bits that tell numbers from others, to the bit: Σ word·key over their words of 32 bits, modulo 2⁶⁴, with an odd
//! key for each place (multilinear hashing). A change within one word always shows; of changes of several at most one in about
//! 2³¹ does not.

use pulp::Arch;

/// Numbers that keys are kept for; blocks of so many have a factor of their own.
const BLOCK: usize = 1024;
/// For the lower and the upper half of each number of a block.
const KEYS: [[u32; BLOCK]; 2] = keys();

const fn keys() -> [[u32; BLOCK]; 2] {
    let mut keys = [[0; BLOCK]; 2];
    let mut index = 0;
    while index < 2 * BLOCK {
        keys[index / BLOCK][index % BLOCK] = key(index as u64);
        index += 1;
    }
    keys
}

/// The odd key of a place.
pub const fn key(place: u64) -> u32 {
    (mixed(place) >> 32) as u32 | 1
}

/// One number of the sequence that SplitMix64 draws (Steele, Lea and Flood, 2014).
const fn mixed(index: u64) -> u64 {
    let z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number as it is stored.
pub trait Word: Copy {
    /// Its bits, in the lower ones of these.
    fn bits(self) -> u64;

    /// Whether it is not a number.
    fn is_nan(self) -> bool;
}

macro_rules! word {
    ($($number:ty => $bits:expr, $is_nan:expr);*) => {$(
        impl Word for $number {
            #[inline(always)]
            fn bits(self) -> u64 {
                $bits(self)
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                $is_nan(self)
            }
        }
    )*};
}

word!(
    f32 => |number: f32| u64::from(number.to_bits()), f32::is_nan;
    f64 => f64::to_bits, f64::is_nan;
    u8 => u64::from, |_| false;
    u16 => u64::from, |_| false;
    u64 => |number| number, |_| false
);

/// That of numbers which come one after the other, and of how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    sum: u64,
    numbers: usize,
}

impl Digest {
    /// For those of numbers that so many precede, to be appended to theirs.
    pub fn after(numbers: usize) -> Self {
        Self { sum: 0, numbers }
    }

    /// What comes next, from [`Digest::after`].
    pub fn append(&mut self, next: Self) {
        self.sum = self.sum.wrapping_add(next.sum);
        self.numbers = next.numbers;
    }

    /// What comes next.
    pub fn extend<W: Word>(&mut self, numbers: &[W]) {
        Arch::new().dispatch(
            #[inline(always)]
            || self.extend_here(numbers),
        );
    }

    /// As [`Digest::extend`], with the vectors of whoever calls it.
    #[inline(always)]
    pub(super) fn extend_here<W: Word>(&mut self, mut numbers: &[W]) {
        while !numbers.is_empty() {
            let (block, begun) = (self.numbers / BLOCK, self.numbers % BLOCK);
            let (part, rest) = numbers.split_at(numbers.len().min(BLOCK - begun));
            // Odd, so that it loses nothing.
            let factor = mixed(block as u64) | 1;
            self.sum = self.sum.wrapping_add(factor.wrapping_mul(sum_of(part, begun)));
            self.numbers += part.len();
            numbers = rest;
        }
    }

    /// Bytes that come next, eight at a time; the last are filled up with zeros.
    pub fn extend_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut buffer = [0; BLOCK];
        for words in words.chunks(BLOCK) {
            let buffer = &mut buffer[..words.len()];
            buffer.iter_mut().zip(words).for_each(|(to, word)| *to = u64::from_le_bytes(*word));
            self.extend(buffer);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.extend(&[u64::from_le_bytes(last), bytes.len() as u64]);
    }

    /// Of all so far.
    pub fn value(self) -> u64 {
        mixed(self.sum ^ mixed(self.numbers as u64))
    }
}

/// That of numbers and of how many they are.
pub fn digest<W: Word>(numbers: &[W]) -> u64 {
    let mut digest = Digest::default();
    digest.extend(numbers);
    digest.value()
}

/// Σ word·key of a part of a block that `begun` numbers of it precede.
#[inline(always)]
fn sum_of<W: Word>(part: &[W], begun: usize) -> u64 {
    let [lower, upper] = &KEYS;
    let keys = lower[begun..].iter().zip(&upper[begun..]);
    part.iter().zip(keys).fold(0_u64, |sum, (number, (lower, upper))| {
        let bits = number.bits();
        let half = |bits: u64, key: &u32| (bits & 0xffff_ffff).wrapping_mul(u64::from(*key));
        sum.wrapping_add(half(bits, lower)).wrapping_add(half(bits >> 32, upper))
    })
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

    #[test]
    fn parts_make_the_whole() {
        let numbers: Vec<f64> = (0..3000).map(|number| libm::cos(f64::from(number))).collect();
        let mut grown = Digest::default();
        for cut in [&numbers[..5], &numbers[5..5], &numbers[5..1024], &numbers[1024..2999]] {
            grown.extend(cut);
            assert_ne!(grown.value(), digest(&numbers));
        }
        grown.extend(&numbers[2999..]);
        assert_eq!(grown.value(), digest(&numbers));
        let mut joined = Digest::default();
        for cut in [0..700, 700..2048, 2048..3000] {
            let mut part = Digest::after(cut.start);
            part.extend(&numbers[cut]);
            joined.append(part);
        }
        assert_eq!(joined, grown);
    }

    #[test]
    fn every_byte_shows() {
        let of = |bytes: &[u8]| {
            let mut digest = Digest::default();
            digest.extend_bytes(bytes);
            digest.value()
        };
        let bytes: Vec<u8> = (0..20_011_u32).map(|place| (place % 251) as u8).collect();
        for place in [0, 7, 8, 8191, 8192, 20_007, 20_010] {
            let mut changed = bytes.clone();
            changed[place] ^= 0x40;
            assert_ne!(of(&changed), of(&bytes), "{place}");
        }
        assert_ne!(of(&[0; 3]), of(&[0; 4]));
        assert_ne!(of(&[]), of(&[0]));
    }
}
