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

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::results::picture::colors::class_colors;

    /// Features of what else is built choose the compressor: there is to be one, whose bytes are the same everywhere.
    #[test]
    fn a_bitmap_is_compressed_alike_whatever_is_built_with_it() {
        let mut raster = Raster::new(64, 48);
        for (class, color) in (0..).zip(class_colors(10)) {
            raster.disc((6.0 * class as f32, 24.0), 5.0, (color, 200));
        }
        let digest = Sha256::digest(png(&raster).unwrap());
        assert_eq!(common::hexadecimal(&digest[..8]), "48887a76a930387d");
    }
}
