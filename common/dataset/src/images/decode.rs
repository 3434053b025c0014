//! From an image's file to pixels of 8 bits: PNG, JPEG, WebP or BMP, whatever the file is called.
//!
//! Called by [`super::survey`] and [`super::make`], on many threads at once. What a file claims is held against [`Limits`]
//! before memory is taken for it.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::config::ImageMode;
use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits as Memory};

use super::colours;
use super::jpeg;

/// The largest image that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its longer side, pixels.
    pub side: u32,
    /// What decoding it may take, and the file itself, bytes.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { side: 16_384, bytes: 512 << 20 }
    }
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Numbers of a pixel: 1 or 3.
    pub channels: usize,
    /// `[height, width, channels]`.
    pub pixels: Vec<u8>,
}

/// What a file says of its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Height and width as it is to be seen.
    pub size: [usize; 2],
    /// Whether it has no colours.
    pub is_grey: bool,
}

/// Looks at the beginning of a file.
///
/// # Errors
/// Why it is no image, in words.
pub(super) fn look(path: &Path, limits: &Limits) -> Result<Look, String> {
    guarded(|| {
        let mut decoder = open(BufReader::new(file(path, limits)?), limits)?.1;
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().map_err(in_words)?;
        let is_turned = orientation.to_exif() >= 5;
        let size = [height as usize, width as usize];
        let size = if is_turned { [size[1], size[0]] } else { size };
        let is_grey = !decoder.color_type().has_color();
        Ok(Look { size, is_grey })
    })
}

/// Decodes a file, turned as it is to be seen.
///
/// # Errors
/// Why it cannot be, in words.
pub(super) fn decode(path: &Path, mode: ImageMode, limits: &Limits) -> Result<Picture, String> {
    guarded(|| {
        let mut bytes = Vec::new();
        let file = file(path, limits)?;
        file.take(limits.bytes + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let (format, mut decoder) = open(Cursor::new(&bytes[..]), limits)?;
        if format == ImageFormat::Jpeg && !jpeg::has_end(&bytes) {
            return Err("its end is missing".to_owned());
        }
        let orientation = decoder.orientation().map_err(in_words)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(in_words)?;
        image.apply_orientation(orientation);
        Ok(colours::picture(image, mode))
    })
}

/// The file, if it is not too long.
fn file(path: &Path, limits: &Limits) -> Result<File, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    match length {
        0 => Err("the file is empty".to_owned()),
        _ if length > limits.bytes => {
            Err(format!("the file has {length} bytes, more than {}", limits.bytes))
        }
        _ => Ok(file),
    }
}

/// What reads it, nothing decoded yet.
fn open<'a>(
    source: impl BufRead + Seek + 'a,
    limits: &Limits,
) -> Result<(ImageFormat, impl ImageDecoder + 'a), String> {
    let mut reader = ImageReader::new(source).with_guessed_format().map_err(|it| it.to_string())?;
    let format = match reader.format() {
        Some(
            it @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Bmp),
        ) => it,
        Some(other) => {
            return Err(format!("it is {other:?}, which is not read: convert it to PNG"));
        }
        None => {
            return Err(
                "it is neither PNG nor JPEG, WebP or BMP, whatever its name says".to_owned()
            );
        }
    };
    let mut memory = Memory::no_limits();
    memory.max_alloc = Some(limits.bytes);
    reader.limits(memory);
    let decoder = reader.into_decoder().map_err(in_words)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > limits.side {
        let side = limits.side;
        return Err(format!(
            "it claims {height} × {width} pixels: no side may have more than {side}"
        ));
    }
    let bytes = decoder.total_bytes();
    if bytes > limits.bytes {
        return Err(format!(
            "it claims {height} × {width} pixels: they take {bytes} bytes, more than {}",
            limits.bytes
        ));
    }
    Ok((format, decoder))
}

/// A decoder's error in words, without its own preface.
fn in_words(error: ImageError) -> String {
    match &error {
        ImageError::Limits(limit) if matches!(limit.kind(), LimitErrorKind::InsufficientMemory) => {
            "it takes too much memory to decode".to_owned()
        }
        ImageError::IoError(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            "its end is missing".to_owned()
        }
        _ => common::causes::in_words(&error).trim_end().to_owned(),
    }
}

/// What `work` gives; a decoder that panics over a file has found it broken.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the decoder cannot make anything of it".to_owned()))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
