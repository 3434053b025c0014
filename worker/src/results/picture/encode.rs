//! From a painted surface to the bytes of a file.

use common::config::PictureFormat;
use jpeg_encoder::{ColorType, SamplingFactor};

use super::error::PictureError;
use super::raster::Raster;
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
    if format == PictureFormat::Jpg { jpeg(&raster) } else { png(&raster) }
}

fn png(raster: &Raster) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, raster.width, raster.height);
    encoder.set_color(png::ColorType::Rgb);
    // Few colours and long runs of them: unfiltered rows compress best and fastest.
    encoder.set_deflate_compression(png::DeflateCompression::Level(4));
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&raster.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn jpeg(raster: &Raster) -> Result<Vec<u8>, PictureError> {
    let side = |pixels: u32| u16::try_from(pixels).expect("pictures have far fewer than 65,536");
    let (width, height) = (side(raster.width), side(raster.height));
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, JPEG_QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder.encode(&raster.pixels, width, height, ColorType::Rgb)?;
    Ok(bytes)
}
