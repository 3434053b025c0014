//! Which arrays are labels, and from them to classes.
//!
//! Called for whatever IDX or NumPy file is to hold labels.

use common::data_shape::DataShape;

use super::array::{self, Array, Element, Header};
use super::content::Content;
use super::problem::Problem;
use super::{Reading, Role};

/// Reads labels; refuses an array that holds none before its numbers are read.
pub fn read(content: &mut Content<'_>, reading: &Reading) -> Result<Vec<u16>, Problem> {
    let header = array::read_header(content, Role::Labels)?;
    let columns = columns_of(&header)?;
    classes_of(&array::read_data(content, header, reading)?, columns)
}

/// How many numbers there are to a sample, the first of which is its class.
fn columns_of(header: &Header) -> Result<usize, Problem> {
    let columns = match header.sizes[..] {
        [_] | [_, 1] => 1,
        // QMNIST has the writer and five other facts beside the class.
        [_, 8] if header.element == Element::I32 => 8,
        [_, _, _, ..] => {
            return Err(Problem::Exchanged { expected: Role::Labels, found: Role::Images });
        }
        _ => {
            let Header { element, ref sizes, .. } = *header;
            return Err(Problem::Dimensions { role: Role::Labels, element, sizes: sizes.clone() });
        }
    };
    if header.sizes[0] == 0 { Err(Problem::Empty(Role::Labels)) } else { Ok(columns) }
}

fn classes_of(array: &Array, columns: usize) -> Result<Vec<u16>, Problem> {
    let class = |label: f64| {
        let fits = label.fract() == 0.0 && (0.0..DataShape::MOST_CLASSES as f64).contains(&label);
        fits.then_some(label as u16)
    };
    let labels = || array.numbers().step_by(columns);
    labels()
        .map(class)
        .collect::<Option<_>>()
        .ok_or_else(|| out_of_range(labels().collect(), class))
}

fn out_of_range(mut labels: Vec<f64>, class: impl Fn(f64) -> Option<u16>) -> Problem {
    let found = labels.iter().position(|&label| class(label).is_none());
    let index = found.expect("is only asked where one is");
    let label = labels[index];
    labels.sort_unstable_by(f64::total_cmp);
    labels.dedup();
    let (first, last) = (labels[0], labels[labels.len() - 1]);
    Problem::Label { index, label, first, last, classes: labels.len() }
}
