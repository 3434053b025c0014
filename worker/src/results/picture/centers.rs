//! The class centers: white dots with a dark rim, each with its digit beside it, none over another.

use plotters::element::{Circle, PathElement};
use plotters::style::Color;

use super::axes::Axes;
use super::error::PictureError;
use super::style::{INK, MIDDLE, PAPER, Unit, bold, stroke};
use super::surface::Area;

/// Radius of a dot with its rim, of the full-size layout, as are all lengths here.
const RADIUS: i32 = 7;
const RIM: i32 = 2;
/// Half the width and height of a digit with the white around it.
const DIGIT: i32 = 11;
/// From a dot's middle to its digit's: the first where there is room is taken.
const DISTANCES: [i32; 5] = [20, 32, 46, 62, 80];
/// Sixteen directions, in 1/64.
const DIRECTIONS: [(i32, i32); 16] = [
    (64, 0),
    (59, 24),
    (45, 45),
    (24, 59),
    (0, 64),
    (-24, 59),
    (-45, 45),
    (-59, 24),
    (-64, 0),
    (-59, -24),
    (-45, -45),
    (-24, -59),
    (0, -64),
    (24, -59),
    (45, -45),
    (59, -24),
];

/// Draws the dots and digits of `centers`, one for each class, into `axes`.
pub(super) fn draw(
    area: &Area,
    axes: &Axes,
    centers: &[[f64; 2]],
    unit: Unit,
) -> Result<(), PictureError> {
    let dots: Vec<_> = centers.iter().map(|center| axes.pixel(*center)).collect();
    let digits = place_digits(&dots, unit);
    for (dot, digit) in dots.iter().zip(&digits) {
        let near = unit.px(DISTANCES[0]) + 1;
        if square(*dot, *digit) > near * near {
            area.draw(&PathElement::new([*dot, *digit], stroke(INK, unit.px(1))))?;
        }
    }
    for &place in &dots {
        dot(area, place, unit)?;
    }
    for (class, place) in digits.iter().enumerate() {
        haloed(area, &class.to_string(), *place, unit)?;
    }
    Ok(())
}

/// The mark of a center.
pub(super) fn dot(area: &Area, place: (i32, i32), unit: Unit) -> Result<(), PictureError> {
    let radius = unit.px(RADIUS);
    area.draw(&Circle::new(place, radius, INK.filled()))?;
    area.draw(&Circle::new(place, radius - unit.px(RIM).max(1), PAPER.filled()))?;
    Ok(())
}

/// A bold digit, readable on any colour by the white around it.
fn haloed(area: &Area, digit: &str, (x, y): (i32, i32), unit: Unit) -> Result<(), PictureError> {
    let size = f64::from(unit.px(20).max(11));
    let halo = bold(size, PAPER, MIDDLE);
    for (dx, dy) in DIRECTIONS {
        let reach = unit.px(3).max(1);
        area.draw_text(digit, &halo, (x + dx * reach / 64, y + dy * reach / 64))?;
    }
    area.draw_text(digit, &bold(size, INK, MIDDLE), (x, y))?;
    Ok(())
}

/// Where each digit goes: away from the middle of all centers if it can, never onto another digit or a dot unless
/// there is no room at all.
fn place_digits(dots: &[(i32, i32)], unit: Unit) -> Vec<(i32, i32)> {
    let count = dots.len().max(1) as i64;
    let sum = dots.iter().fold((0, 0), |s, d| (s.0 + i64::from(d.0), s.1 + i64::from(d.1)));
    let middle = ((sum.0 / count) as i32, (sum.1 / count) as i32);
    let (digit, radius) = (unit.px(DIGIT), unit.px(RADIUS));
    let mut placed: Vec<(i32, i32)> = Vec::new();
    for dot in dots {
        let outward = (i64::from(dot.0 - middle.0), i64::from(dot.1 - middle.1));
        let mut directions = DIRECTIONS;
        directions.sort_by_key(|d| -(outward.0 * i64::from(d.0) + outward.1 * i64::from(d.1)));
        let candidates = DISTANCES.iter().flat_map(|distance| {
            let reach = unit.px(*distance);
            directions.iter().map(move |d| (dot.0 + d.0 * reach / 64, dot.1 + d.1 * reach / 64))
        });
        let free = |place: &(i32, i32)| {
            placed.iter().all(|other| !overlap(*place, *other, 2 * digit))
                && dots.iter().all(|other| !overlap(*place, *other, digit + radius - 1))
        };
        let first = (dot.0, dot.1 - unit.px(DISTANCES[0]));
        placed.push(candidates.clone().find(free).unwrap_or(first));
    }
    placed
}

fn overlap(a: (i32, i32), b: (i32, i32), reach: i32) -> bool {
    (a.0 - b.0).abs() < reach && (a.1 - b.1).abs() < reach
}

fn square(a: (i32, i32), b: (i32, i32)) -> i32 {
    (a.0 - b.0).pow(2) + (a.1 - b.1).pow(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_crowded_centers_do_not_overlap() {
        let dots: Vec<_> = (0..10).map(|i| (300 + 5 * (i % 3), 300 - 4 * (i / 3))).collect();
        let digits = place_digits(&dots, Unit(1.0));
        for (index, digit) in digits.iter().enumerate() {
            assert!(digits[..index].iter().all(|other| !overlap(*digit, *other, 2 * DIGIT)));
            assert!(dots.iter().all(|dot| !overlap(*digit, *dot, RADIUS)));
        }
    }
}
