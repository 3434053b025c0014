//! Where the mark of each center goes: beside its dot, never onto another mark or dot. Called by `centers`.

use super::marks::Marks;
use super::style::Unit;

/// Sixteen directions, in 1/64.
pub(super) const DIRECTIONS: [(i32, i32); 16] = [
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

/// A mark's middle, and half of its width and height with the white around it, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub middle: (i32, i32),
    pub half: (i32, i32),
    /// Whether it lies so far from its dot that a line should join them.
    pub far: bool,
}

/// What marks must keep to.
pub(super) struct Board<'a> {
    /// The middles of the dots.
    pub dots: &'a [(i32, i32)],
    /// Left, top, right and bottom of the axes.
    pub sides: [i32; 4],
    /// For each dot half the pixels that its mark is wider than a digit.
    pub wider: &'a [i32],
    pub unit: Unit,
}

impl Board<'_> {
    /// Where each mark goes: away from the middle of all centers if it can. Without room there is none, or, where marks
    /// are written always, one over whatever is there.
    pub fn place(&self, marks: &Marks) -> Vec<Option<Place>> {
        let (setting, unit) = (marks.setting, self.unit);
        let (digit, radius) = (unit.px(setting.half), unit.px(setting.radius));
        let middle = self.middle();
        let mut placed: Vec<Option<Place>> = Vec::new();
        for (dot, &wider) in self.dots.iter().zip(self.wider) {
            let outward = (i64::from(dot.0 - middle.0), i64::from(dot.1 - middle.1));
            let mut directions = DIRECTIONS;
            directions.sort_by_key(|d| -(outward.0 * i64::from(d.0) + outward.1 * i64::from(d.1)));
            let at = |distance: usize, direction: (i32, i32)| {
                let reach = unit.px(setting.distances[distance]);
                let across = direction.0 * (reach + wider) / 64;
                let middle = (dot.0 + across, dot.1 + direction.1 * reach / 64);
                Place { middle, half: (digit + wider, digit), far: distance > 0 }
            };
            let mut candidates = (0..setting.distances.len())
                .flat_map(|distance| directions.map(|direction| at(distance, direction)));
            let free = |place: &Place| {
                (setting.always || place.within(self.sides))
                    && placed.iter().flatten().all(|other| !place.meets(other))
                    && self.dots.iter().all(|other| !place.covers(*other, radius - 1))
            };
            let first = setting.always.then(|| at(0, (0, -64)));
            placed.push(candidates.find(free).or(first));
        }
        placed
    }

    /// Of all centers.
    fn middle(&self) -> (i32, i32) {
        let count = self.dots.len().max(1) as i64;
        let add = |s: (i64, i64), d: &(i32, i32)| (s.0 + i64::from(d.0), s.1 + i64::from(d.1));
        let sum = self.dots.iter().fold((0, 0), add);
        ((sum.0 / count) as i32, (sum.1 / count) as i32)
    }
}

impl Place {
    fn meets(&self, other: &Self) -> bool {
        let reach = (self.half.0 + other.half.0, self.half.1 + other.half.1);
        near(self.middle, other.middle, reach)
    }

    fn covers(&self, dot: (i32, i32), radius: i32) -> bool {
        near(self.middle, dot, (self.half.0 + radius, self.half.1 + radius))
    }

    fn within(&self, [left, top, right, bottom]: [i32; 4]) -> bool {
        let ((x, y), (across, up)) = (self.middle, self.half);
        x - across >= left && x + across <= right && y - up >= top && y + up <= bottom
    }
}

fn near(a: (i32, i32), b: (i32, i32), reach: (i32, i32)) -> bool {
    (a.0 - b.0).abs() < reach.0 && (a.1 - b.1).abs() < reach.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::picture::names::Names;

    const SIDES: [i32; 4] = [0, 0, 628, 628];

    fn marks(classes: usize) -> Marks {
        let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        Marks::new(&Names::new(&names))
    }

    fn check(dots: &[(i32, i32)], wider: &[i32], least: usize) {
        let board = Board { dots, sides: SIDES, wider, unit: Unit(1.0) };
        let marks = marks(dots.len());
        let places = board.place(&marks);
        for (index, place) in places.iter().flatten().enumerate() {
            assert!(places.iter().flatten().take(index).all(|other| !place.meets(other)));
            assert!(dots.iter().all(|dot| !place.covers(*dot, marks.setting.radius - 1)));
            assert!(marks.setting.always || place.within(SIDES));
        }
        assert!(places.iter().flatten().count() >= least);
    }

    #[test]
    fn marks_of_crowded_centers_do_not_overlap() {
        let crowd = |n| (0..n).map(|i| (300 + 5 * (i % 3), 300 - 4 * (i / 3))).collect::<Vec<_>>();
        check(&crowd(10), &[0; 10], 10);
        check(&crowd(12), &[40; 12], 6);
        let spread: Vec<_> = (0..1000).map(|i| (20 * (i % 31), 20 * (i / 31))).collect();
        check(&spread, &[6; 1000], 100);
    }

    #[test]
    fn digits_are_never_left_out() {
        let dots: Vec<_> = (0..10).map(|i| (300 + i % 2, 300)).collect();
        let board = Board { dots: &dots, sides: SIDES, wider: &[200; 10], unit: Unit(1.0) };
        assert_eq!(board.place(&marks(10)).iter().flatten().count(), 10);
    }
}
