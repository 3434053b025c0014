//! The one palette of an animation: fixed by the number of classes, so that its bytes depend on nothing but the pixels.
//!
//! A GIF has 256 colours. Ten classes leave room for every blend that matters. For more, each of the classes' colours
//! (no more than [`DISTINCT`]) is there as it is, then greys for the text; what is left goes to the colours' blends with
//! the background and with each other, first those of the first classes. Any other pixel takes the nearest.

use std::collections::HashMap;

use super::colors::{DISTINCT, class_colors};
use super::raster::{Rgb, mix};
use super::style::AXES_BACKGROUND;

/// As many as a GIF has.
const MOST: usize = 256;
/// Of so many classes every colour and every blend has room.
const FEW: usize = 10;
const BACKGROUND: Rgb = [AXES_BACKGROUND.0, AXES_BACKGROUND.1, AXES_BACKGROUND.2];

/// At most 256 colours, and where each colour that was met falls among them.
pub(super) struct Palette {
    colors: Vec<Rgb>,
    nearest: HashMap<Rgb, u8>,
}

impl Palette {
    /// What a picture of so many classes needs.
    pub fn new(classes: usize) -> Self {
        let colors = if classes <= FEW { of_few(classes) } else { of_many(classes) };
        debug_assert!(colors.len() <= MOST);
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

/// The class colours; each half over each other and in three steps over the background; greys.
fn of_few(classes: usize) -> Vec<Rgb> {
    let of_classes = class_colors(classes);
    let mut colors = vec![BACKGROUND];
    colors.extend(&of_classes);
    for (index, color) in of_classes.iter().enumerate() {
        colors.extend([64, 128, 192].map(|alpha| over(BACKGROUND, *color, alpha)));
        colors.extend(of_classes[..index].iter().map(|other| over(*other, *color, 128)));
    }
    colors.extend((0..64u8).map(|step| [step * 4 + step / 16; 3]));
    colors.extend(reds());
    colors
}

/// Half the greys, and as many blends as there is room for.
fn of_many(classes: usize) -> Vec<Rgb> {
    let of_classes = class_colors(classes.min(DISTINCT));
    let mut colors = vec![BACKGROUND];
    colors.extend(&of_classes);
    colors.extend((0..32u8).map(|step| [step * 8 + step / 4; 3]));
    colors.extend(reds());
    for alpha in [128, 192, 64] {
        colors.extend(of_classes.iter().map(|color| over(BACKGROUND, *color, alpha)));
    }
    for (index, color) in of_classes.iter().enumerate() {
        colors.extend(of_classes[..index].iter().map(|other| over(*other, *color, 128)));
    }
    colors.truncate(MOST);
    colors
}

/// What the badge blends into.
fn reds() -> [Rgb; 3] {
    [1, 2, 3].map(|step| over([255; 3], [0xc6, 0x1a, 0x1a], 85 * step))
}

fn over(below: Rgb, above: Rgb, alpha: u8) -> Rgb {
    [0, 1, 2].map(|channel| mix(below[channel], above[channel], alpha))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_keeps_its_colour() {
        for classes in [2, 10, 11, 30, 62, 100, 1000] {
            let mut palette = Palette::new(classes);
            assert!(palette.colors.len() <= MOST);
            let expected = class_colors(classes);
            let indices = palette.index(&expected.concat());
            let found: Vec<Rgb> = indices.iter().map(|&i| palette.colors[usize::from(i)]).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn text_and_badge_stay_near_their_colours() {
        for classes in [10, 100, 1000] {
            let mut palette = Palette::new(classes);
            for color in [[0x20, 0x22, 0x28], [0x5c, 0x60, 0x6a], [0xc6, 0x1a, 0x1a], [255; 3]] {
                let index = palette.index(&color)[0];
                let found = palette.colors[usize::from(index)];
                let off = found.iter().zip(color).map(|(a, b)| a.abs_diff(b)).max().unwrap();
                assert!(off <= 12, "{found:?} for {color:?} of {classes} classes");
            }
        }
    }
}
