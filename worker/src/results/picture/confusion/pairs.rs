//! Which classes were most often taken for which: the list beside a matrix whose cells have no numbers.

use super::grid::{Grid, PAIRS_LETTERS, PAIRS_NAME, TOP_SIDE};
use crate::results::geometry::Confusion;
use crate::results::picture::error::PictureError;
use crate::results::picture::fit::shortened;
use crate::results::picture::font::Weight;
use crate::results::picture::names::Names;
use crate::results::picture::style::{
    FAINT_INK, INK, LEFT, LEFT_MIDDLE, RIGHT_MIDDLE, count, text,
};
use crate::results::picture::surface::Area;

/// Between two rows, and the most rows.
const ROW: i32 = 29;
const MOST: usize = 30;
/// Room for the share.
const SHARE: i32 = 56;

/// Samples of one class that were taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    right: usize,
    taken: usize,
    number: u64,
    /// Of the right class.
    samples: u64,
}

/// Draws the pairs, those of the most samples first.
pub fn draw(
    area: &Area,
    confusion: &Confusion,
    names: &Names,
    grid: &Grid,
) -> Result<(), PictureError> {
    let (left, right) = (grid.pairs(), grid.pairs() + grid.pairs_width);
    let heading = text(17.0, FAINT_INK, LEFT);
    let room = ((grid.side() / ROW) as usize).min(MOST);
    let (pairs, all) = worst(confusion, room);
    let words = match all {
        0 => "no mistakes".to_owned(),
        _ => format!("most frequent mistakes, of {} kinds", count(all)),
    };
    area.draw_text(&words, &heading, (left, TOP_SIDE - 12))?;
    let name = |class| shortened(&names.label(class), PAIRS_LETTERS, Weight::Regular, PAIRS_NAME);
    for (index, pair) in pairs.iter().enumerate() {
        let y = TOP_SIDE + ROW * index as i32 + ROW / 2;
        let words = format!("{} → {}", name(pair.right), name(pair.taken));
        area.draw_text(&words, &text(PAIRS_LETTERS, INK, LEFT_MIDDLE), (left, y))?;
        let percent = (200 * pair.number + pair.samples) / (2 * pair.samples);
        let share = if percent == 0 { "< 1 %".to_owned() } else { format!("{percent} %") };
        area.draw_text(&share, &text(PAIRS_LETTERS, INK, RIGHT_MIDDLE), (right, y))?;
        let of = format!("{} of {}", count(pair.number as usize), count(pair.samples as usize));
        area.draw_text(&of, &text(14.0, FAINT_INK, RIGHT_MIDDLE), (right - SHARE, y))?;
    }
    Ok(())
}

/// The pairs of the most samples, among as many samples those of the larger share, then in the order of the classes;
/// and how many pairs there are in all.
fn worst(confusion: &Confusion, most: usize) -> (Vec<Pair>, usize) {
    let mut pairs = Vec::new();
    for (right, row) in confusion.iter().enumerate() {
        let samples = row.iter().sum();
        let wrong = row.iter().enumerate().filter(|&(taken, &number)| taken != right && number > 0);
        pairs.extend(wrong.map(|(taken, &number)| Pair { right, taken, number, samples }));
    }
    // Of equal numbers the share of fewer samples is the larger one.
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.number), pair.samples));
    let all = pairs.len();
    pairs.truncate(most);
    (pairs, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_mistakes_come_first() {
        let confusion = vec![vec![90, 7, 3], vec![3, 7, 0], vec![1, 0, 0]];
        let (pairs, all) = worst(&confusion, 3);
        let found: Vec<_> =
            pairs.iter().map(|pair| (pair.right, pair.taken, pair.number)).collect();
        assert_eq!((found, all), (vec![(0, 1, 7), (1, 0, 3), (0, 2, 3)], 4));
        assert_eq!(worst(&vec![vec![5, 0], vec![0, 5]], 3), (vec![], 0));
    }
}
