//! What size and colours samples have where nobody said: the size that all images have, grey if all are.
//!
//! Called by [`super::load`] before anything is decoded. Reads the beginnings of files.

use std::path::Path;

use common::config::{ImageMode, ImageSize};
use common::data_shape::DataShape;

use super::decode::{self, Look};
use super::error::ImagesError;
use super::in_order::{in_order, threads};
use super::walk::Source;
use super::{ImageOptions, progress};

/// What samples are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Their size.
    pub size: ImageSize,
    /// Their colours.
    pub mode: ImageMode,
}

impl Form {
    /// Numbers of a pixel.
    pub fn channels(self) -> usize {
        match self.mode {
            ImageMode::Grey => 1,
            ImageMode::Rgb => 3,
        }
    }
}

/// Why no more files are looked at.
enum End {
    /// All is known.
    Known,
    Failed(ImagesError),
}

/// Finds out what was not said. Files that are no images say nothing here; they are found when they are decoded.
///
/// # Errors
/// Images have several sizes, or one that samples cannot have.
pub(super) fn form(
    folder: &Path,
    sources: &[&Source],
    options: &ImageOptions,
) -> Result<Form, ImagesError> {
    if let (Some(size), Some(mode)) = (options.size, options.mode) {
        return Ok(Form { size, mode });
    }
    let bar = progress(sources.len(), "looked at");
    let mut seen = Seen { first: None, is_grey: true };
    let look = |index: usize| decode::look(&sources[index].path, &options.limits);
    let ended = in_order(sources.len(), threads(), 256, look, |index, look| {
        bar.inc(1);
        look.map_or(Ok(()), |look| seen.add(sources[index], look, options))
    });
    bar.finish_and_clear();
    if let Err(End::Failed(error)) = ended {
        return Err(error);
    }
    let [height, width] = seen.first.map_or([1, 1], |(_, size)| size);
    let shape = |reason| ImagesError::Shape { folder: folder.to_owned(), reason };
    let size = match options.size {
        Some(size) => size,
        None => ImageSize::new(height, width).map_err(shape)?,
    };
    let found = if seen.is_grey { ImageMode::Grey } else { ImageMode::Rgb };
    Ok(Form { size, mode: options.mode.unwrap_or(found) })
}

/// What was seen so far.
struct Seen<'a> {
    /// The first image, and its size.
    first: Option<(&'a Source, [usize; 2])>,
    is_grey: bool,
}

impl<'a> Seen<'a> {
    fn add(&mut self, source: &'a Source, look: Look, options: &ImageOptions) -> Result<(), End> {
        self.is_grey &= look.is_grey;
        let (first, first_size) = *self.first.get_or_insert((source, look.size));
        if options.size.is_some() {
            return if self.is_grey { Ok(()) } else { Err(End::Known) };
        }
        if look.size == first_size {
            return Ok(());
        }
        Err(End::Failed(ImagesError::Sizes {
            first: first.path.clone(),
            first_size,
            other: source.path.clone(),
            other_size: look.size,
        }))
    }
}

/// The shape of such samples.
///
/// # Errors
/// Nothing can be computed with it.
pub(super) fn shape(folder: &Path, form: Form, classes: usize) -> Result<DataShape, ImagesError> {
    let (height, width) = (form.size.height(), form.size.width());
    let shape = DataShape { channels: form.channels(), height, width, classes };
    shape.check().map_err(|reason| ImagesError::Shape { folder: folder.to_owned(), reason })
}
