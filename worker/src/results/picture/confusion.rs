//! `confusion.png`: which class was taken for which.
//!
//! Up to [`grid::MOST_NUMBERED`] classes every cell has its number. Of more classes the matrix is an image of one square
//! for each cell, of a single pixel at the least: cells are never put together, so that a single mistake shows. Beside
//! it stands which classes were most often taken for which (`pairs`). `grid` says what lies where, `cells` paints the
//! matrix and the accuracies, `labels` what is written around it.

use common::config::PictureFormat;

use super::badge;
use super::encode::render;
use super::error::PictureError;
use super::fit::{shortened, width};
use super::font::Weight;
use super::names::Names;
use super::style::{INK, LEFT, Unit, bold, percent, text};
use super::surface::{Area, Surface};
use crate::results::epoch_features::{EpochFeatures, FeatureSet};
use crate::results::geometry::{accuracy, confusion};

mod cells;
mod grid;
mod labels;
mod pairs;

use grid::Grid;

/// Draws the confusion matrix of the test set, or of the training samples where there is none: 1000 × 950 pixels for ten
/// digits, larger for more classes or longer names.
pub fn draw_confusion(
    features: &EpochFeatures,
    format: PictureFormat,
) -> Result<Vec<u8>, PictureError> {
    features.check_shapes()?;
    let names = Names::new(&features.class_names);
    let grid = Grid::new(&names);
    render(format, grid.size(), |surface| paint(surface, features, (&grid, &names)))
}

fn paint(
    surface: &mut Surface,
    features: &EpochFeatures,
    (grid, names): (&Grid, &Names),
) -> Result<(), PictureError> {
    let (name, set) = match &features.test {
        Some(test) => ("test set", test),
        None => ("training set, as trained on", &features.train),
    };
    let area = surface.area();
    title(&area, features, (name, set), grid)?;
    let confusion = confusion(set, names.count());
    cells::draw(&area, &confusion, grid)?;
    cells::accuracies(&area, &confusion, grid)?;
    labels::draw(&area, grid)?;
    if !grid.numbered() {
        pairs::draw(&area, &confusion, names, grid)?;
    }
    Ok(())
}

fn title(
    area: &Area,
    features: &EpochFeatures,
    (name, set): (&str, &FeatureSet),
    grid: &Grid,
) -> Result<(), PictureError> {
    let epoch = format!("confusion, epoch={}", features.epoch());
    area.draw_text(&epoch, &bold(30.0, INK, LEFT), (grid.left, 46))?;
    let share = accuracy(set).map_or_else(|| "no samples".to_owned(), percent);
    let details = format!(" {name}   ·   accuracy {share}");
    let room = grid.right_end() - grid.left - width(&details, 20.0, Weight::Regular);
    let dataset = shortened(&features.dataset, 20.0, Weight::Regular, room);
    let details = format!("{dataset}{details}");
    area.draw_text(&details, &text(20.0, INK, LEFT), (grid.left, 80))?;
    if features.synthetic {
        badge::synthetic(area, grid.right_end(), Unit(1.0))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "confusion/tests.rs"]
mod tests;
