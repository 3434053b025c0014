//! What differs from one writer to the next: slant, size, place, trembling of the hand, pen and ink.
//!
//! Turns a glyph into a polyline in pixels, which [`super::render`] paints. A pure function of its random stream; only
//! additions, products, quotients and square roots, so its bits are the same on every machine.

use super::glyphs::{ControlPoint, Stroke};
use super::random::Random;

/// A point in pixels, from the image's upper left corner, with the pen's radius there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PenPoint {
    /// Pixels to the right.
    pub x: f32,
    /// Pixels down.
    pub y: f32,
    /// Half the width of the line, pixels.
    pub radius: f32,
}

/// One digit's handwriting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hand {
    /// Unit box to pixels, rows (xx, xy), (yx, yy).
    matrix: [f32; 4],
    /// Where the box's centre comes to lie, pixels.
    centre: (f32, f32),
    /// Standard deviation of a control point's place, in unit boxes.
    tremor: f32,
    /// Mean radius of the pen, pixels, and how much it changes along a stroke.
    radius: f32,
    pressure: f32,
}

/// Straight pieces that stand for the curve between two control points.
const PIECES: usize = 5;
const MIDDLE: f32 = 14.0;

impl Hand {
    /// Draws a handwriting from its stream.
    pub fn draw(random: &mut Random) -> Self {
        let height = random.between(15.5, 21.0);
        let width = height * random.between(0.55, 1.1);
        // Half-angle t gives an exact rotation without sine or cosine.
        let t = random.normal(0.085);
        let (cosine, sine) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let slant = random.normal(0.22) - 0.12;
        let centre = (MIDDLE + random.normal(1.2), MIDDLE + random.normal(1.2));
        let careless = random.unit();
        Self {
            matrix: [
                cosine * width,
                (cosine * slant - sine) * height,
                sine * width,
                (sine * slant + cosine) * height,
            ],
            centre,
            tremor: 0.024 + 0.064 * careless * careless,
            radius: random.between(0.75, 1.75),
            pressure: random.between(0.0, 0.3),
        }
    }

    /// Writes a stroke as a polyline in pixels.
    pub fn write(&self, stroke: Stroke, random: &mut Random) -> Vec<PenPoint> {
        let knots: Vec<(PenPoint, bool)> =
            stroke.iter().map(|point| (self.place(point, random), point.corner)).collect();
        let mut line = Vec::with_capacity((knots.len() - 1) * PIECES + 1);
        line.push(knots[0].0);
        for span in 0..knots.len() - 1 {
            let (from, to) = (knots[span].0, knots[span + 1].0);
            let before = (span > 0 && !knots[span].1).then(|| knots[span - 1].0);
            let after = (span + 2 < knots.len() && !knots[span + 1].1).then(|| knots[span + 2].0);
            let (leave, arrive) = tangents(before, from, to, after);
            for piece in 1..=PIECES {
                line.push(hermite(from, leave, to, arrive, piece as f32 / PIECES as f32));
            }
        }
        line
    }

    fn place(&self, point: &ControlPoint, random: &mut Random) -> PenPoint {
        let x = point.x - 0.5 + random.normal(self.tremor);
        let y = point.y - 0.5 + random.normal(self.tremor);
        let [xx, xy, yx, yy] = self.matrix;
        PenPoint {
            x: self.centre.0 + xx * x + xy * y,
            y: self.centre.1 + yx * x + yy * y,
            radius: self.radius * (1.0 + random.normal(self.pressure)).clamp(0.5, 1.6),
        }
    }
}

/// Catmull–Rom tangents of the curve between two knots; without a neighbour, that of a parabola through the rest.
fn tangents(
    before: Option<PenPoint>,
    from: PenPoint,
    to: PenPoint,
    after: Option<PenPoint>,
) -> ((f32, f32), (f32, f32)) {
    let chord = (to.x - from.x, to.y - from.y);
    let leave = before.map(|p| ((to.x - p.x) / 2.0, (to.y - p.y) / 2.0));
    let arrive = after.map(|p| ((p.x - from.x) / 2.0, (p.y - from.y) / 2.0));
    let opposite = |tangent: (f32, f32)| (2.0 * chord.0 - tangent.0, 2.0 * chord.1 - tangent.1);
    match (leave, arrive) {
        (Some(leave), Some(arrive)) => (leave, arrive),
        (Some(leave), None) => (leave, opposite(leave)),
        (None, Some(arrive)) => (opposite(arrive), arrive),
        (None, None) => (chord, chord),
    }
}

/// The point at `t` of the cubic with these ends and tangents.
fn hermite(
    from: PenPoint,
    leave: (f32, f32),
    to: PenPoint,
    arrive: (f32, f32),
    t: f32,
) -> PenPoint {
    let (t2, t3) = (t * t, t * t * t);
    let weights = [2.0 * t3 - 3.0 * t2 + 1.0, t3 - 2.0 * t2 + t, 3.0 * t2 - 2.0 * t3, t3 - t2];
    let blend = |parts: [f32; 4]| -> f32 { parts.iter().zip(weights).map(|(p, w)| p * w).sum() };
    PenPoint {
        x: blend([from.x, leave.0, to.x, arrive.0]),
        y: blend([from.y, leave.1, to.y, arrive.1]),
        radius: from.radius + (to.radius - from.radius) * t,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::glyphs::DIGITS;

    const STEADY: Hand = Hand {
        matrix: [20.0, 0.0, 0.0, 20.0],
        centre: (14.0, 14.0),
        tremor: 0.0,
        radius: 1.0,
        pressure: 0.0,
    };

    #[test]
    fn a_line_passes_through_its_control_points() {
        let mut random = Random::of_sample(0, 0, 0);
        for stroke in DIGITS.iter().flat_map(|ways| ways.iter()).flat_map(|glyph| glyph.iter()) {
            let line = STEADY.write(stroke, &mut random);
            assert_eq!(line.len(), (stroke.len() - 1) * PIECES + 1);
            for (knot, point) in stroke.iter().zip(line.iter().step_by(PIECES)) {
                assert!((point.x - (4.0 + 20.0 * knot.x)).abs() < 1e-4);
                assert!((point.y - (4.0 + 20.0 * knot.y)).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn straight_spans_stay_straight() {
        let ends = [
            ControlPoint { x: 0.5, y: 0.0, corner: true },
            ControlPoint { x: 0.5, y: 1.0, corner: true },
        ];
        let stroke: Stroke = Box::leak(Box::new(ends));
        let line = STEADY.write(stroke, &mut Random::of_sample(0, 0, 0));
        assert!(line.iter().all(|point| (point.x - 14.0).abs() < 1e-4));
    }
}
