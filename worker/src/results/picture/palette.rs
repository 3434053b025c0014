//! The one palette of the animation: fixed, so that its bytes depend on nothing but the pixels.

use std::collections::HashMap;

use super::raster::{Rgb, mix};
use super::style::{AXES_BACKGROUND, CLASS_COLORS};

/// At most 256 colours, and where each colour that was met falls among them.
pub(super) struct Palette {
    colors: Vec<Rgb>,
    nearest: HashMap<Rgb, u8>,
}

impl Palette {
    /// The ten class colours; each half over each other and in three steps over the background; greys.
    pub fn new() -> Self {
        let background = [AXES_BACKGROUND.0, AXES_BACKGROUND.1, AXES_BACKGROUND.2];
        let mut colors = vec![background];
        colors.extend(CLASS_COLORS);
        for (index, color) in CLASS_COLORS.iter().enumerate() {
            colors.extend([64, 128, 192].map(|alpha| over(background, *color, alpha)));
            colors.extend(CLASS_COLORS[..index].iter().map(|other| over(*other, *color, 128)));
        }
        colors.extend((0..64u8).map(|step| [step * 4 + step / 16; 3]));
        colors.extend((1..4).map(|step| over([255; 3], [0xc6, 0x1a, 0x1a], 85 * step)));
        debug_assert!(colors.len() <= 256);
        Self { colors, nearest: HashMap::new() }
    }

    /// Red, green and blue of every colour.
    pub fn bytes(&self) -> Vec<u8> {
        self.colors.concat()
    }

    /// The palette's index for every pixel of an RGB image.
    pub fn index(&mut self, pixels: &[u8]) -> Vec<u8> {
        let mut last = ([255; 3], self.find([255; 3]));
        let mut index = |pixel: &Rgb| {
            if *pixel != last.0 {
                last = (*pixel, self.find(*pixel));
            }
            last.1
        };
        pixels.as_chunks::<3>().0.iter().map(&mut index).collect()
    }

    fn find(&mut self, color: Rgb) -> u8 {
        let colors = &self.colors;
        *self.nearest.entry(color).or_insert_with(|| {
            let distance = |other: &Rgb| -> i32 {
                color.iter().zip(other).map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2)).sum()
            };
            let best = (0..colors.len()).min_by_key(|&index| distance(&colors[index]));
            best.unwrap_or(0) as u8
        })
    }
}

fn over(below: Rgb, above: Rgb, alpha: u8) -> Rgb {
    [0, 1, 2].map(|channel| mix(below[channel], above[channel], alpha))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_keeps_its_colour() {
        let mut palette = Palette::new();
        assert!(palette.colors.len() <= 256);
        let indices = palette.index(&CLASS_COLORS.concat());
        let found: Vec<Rgb> = indices.iter().map(|&i| palette.colors[usize::from(i)]).collect();
        assert_eq!(found, CLASS_COLORS);
    }
}
