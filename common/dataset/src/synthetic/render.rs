//! Paints polylines into a 28×28 image: anti-aliased by distance, as a soft pen on paper.
//!
//! Called by [`super`] once per image. No randomness but what it is given, no platform-dependent arithmetic.

use super::handwriting::PenPoint;
use super::random::Random;
use super::{PIXELS, SIDE};

/// The look of the ink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    /// Pixels over which the edge of a line fades, at least 1.
    softness: f32,
    /// Brightness of a full line, 0…1.
    strength: f32,
    /// Standard deviation of the paper's and the ink's grain, 0…1.
    grain: f32,
}

impl Ink {
    /// Draws an ink from its stream.
    pub fn draw(random: &mut Random) -> Self {
        Self {
            softness: random.between(1.0, 1.9),
            strength: random.between(0.85, 1.15),
            grain: random.between(0.0, 0.1),
        }
    }
}

/// How far inside a line each pixel's centre lies, pixels: the largest of (radius − distance) over all pieces.
pub(super) struct Canvas {
    depth: [f32; PIXELS],
}

/// Farther than this from every line a pixel is black.
const REACH: f32 = 1.0;

impl Canvas {
    /// An empty sheet.
    pub fn new() -> Self {
        Self { depth: [-REACH; PIXELS] }
    }

    /// Adds a polyline; what lies outside the sheet is cut off.
    pub fn add(&mut self, line: &[PenPoint]) {
        for ends in line.windows(2) {
            self.add_piece(ends[0], ends[1]);
        }
    }

    fn add_piece(&mut self, from: PenPoint, to: PenPoint) {
        let reach = from.radius.max(to.radius) + REACH;
        let (left, right) = pixels(from.x.min(to.x) - reach, from.x.max(to.x) + reach);
        let (top, bottom) = pixels(from.y.min(to.y) - reach, from.y.max(to.y) + reach);
        let along = (to.x - from.x, to.y - from.y);
        let scale = 1.0 / (along.0 * along.0 + along.1 * along.1).max(1e-6);
        for row in top..bottom {
            let y = row as f32 + 0.5 - from.y;
            let depths = &mut self.depth[row * SIDE + left..row * SIDE + right];
            for (column, depth) in depths.iter_mut().enumerate() {
                let x = (left + column) as f32 + 0.5 - from.x;
                let t = ((x * along.0 + y * along.1) * scale).clamp(0.0, 1.0);
                let (dx, dy) = (x - t * along.0, y - t * along.1);
                let radius = from.radius + (to.radius - from.radius) * t;
                *depth = depth.max(radius - (dx * dx + dy * dy).sqrt());
            }
        }
    }

    /// Inks the sheet: pixels, row-major, 0 (paper) to 255.
    pub fn paint(&self, ink: Ink, random: &mut Random) -> [u8; PIXELS] {
        let mut image = [0; PIXELS];
        for (pixel, depth) in image.iter_mut().zip(self.depth) {
            let cover = (0.5 + depth / ink.softness).clamp(0.0, 1.0);
            if cover > 0.0 {
                let value = cover * (ink.strength + random.normal(ink.grain));
                *pixel = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
        image
    }
}

/// The range of pixels between two coordinates, within the sheet; empty where it lies outside.
fn pixels(low: f32, high: f32) -> (usize, usize) {
    let side = SIDE as f32;
    let (low, high) = (low.clamp(0.0, side) as usize, (high + 1.0).clamp(0.0, side) as usize);
    (low, high.max(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Ink = Ink { softness: 1.0, strength: 1.0, grain: 0.0 };

    fn paint(line: &[(f32, f32)]) -> [u8; PIXELS] {
        let mut canvas = Canvas::new();
        let line: Vec<_> = line.iter().map(|&(x, y)| PenPoint { x, y, radius: 1.0 }).collect();
        canvas.add(&line);
        canvas.paint(PLAIN, &mut Random::of_sample(0, 0, 0))
    }

    #[test]
    fn a_vertical_line_of_radius_one_is_two_pixels_wide() {
        let image = paint(&[(14.0, 4.0), (14.0, 24.0)]);
        let row = &image[14 * SIDE..15 * SIDE];
        assert_eq!(&row[11..17], &[0, 0, 255, 255, 0, 0]);
        assert!(image[..2 * SIDE].iter().all(|&pixel| pixel == 0));
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let outside = paint(&[(-40.0, -50.0), (-10.0, 90.0), (99.0, 40.0)]);
        assert!(outside.iter().all(|&pixel| pixel == 0));
        assert!(paint(&[(-5.0, 14.0), (40.0, 14.0)]).contains(&255));
    }
}
