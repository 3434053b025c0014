//! From a painted surface to the bytes of a file.

use common::config::PictureFormat;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::PictureError;
use super::surface::Surface;

/// Keeps the dots' edges clean.
const JPEG_QUALITY: u8 = 92;

/// Paints a picture of `size` pixels and encodes it.
pub(super) fn render(
    format: PictureFormat,
    size: (u32, u32),
    paint: impl FnOnce(&mut Surface) -> Result<(), PictureError>,
) -> Result<Vec<u8>, PictureError> {
    let mut surface = match format {
        PictureFormat::Svg => Surface::vector(size),
        PictureFormat::Png | PictureFormat::Jpg => Surface::bitmap(size),
    };
    paint(&mut surface)?;
    let raster = match surface {
        Surface::Vector { svg, .. } => return Ok(svg.finish().into_bytes()),
        Surface::Bitmap(raster) => raster,
    };
    let mut bytes = Vec::new();
    let (pixels, rgb) = (&raster.pixels, ExtendedColorType::Rgb8);
    if format == PictureFormat::Jpg {
        JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
            .write_image(pixels, size.0, size.1, rgb)?;
    } else {
        // Few colours and long runs of them: unfiltered rows compress best and fastest.
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Level(4), FilterType::NoFilter)
            .write_image(pixels, size.0, size.1, rgb)?;
    }
    Ok(bytes)
}
