//! From whatever colours an image has to one or three numbers of 8 bits for each pixel.
//!
//! Called by [`super::decode`]. Every rule is of whole numbers: 16 bits are rounded to 8; what is transparent lies over black;
//! grey is `(19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶`, which is ITU-R BT.601 as Pillow's `convert("L")` rounds it.

use common::config::ImageMode;
use image::{ColorType, DynamicImage};

use super::decode::Picture;

/// The pixels of an image, in so many colours.
pub(super) fn picture(image: DynamicImage, mode: ImageMode) -> Picture {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (colours, alpha) = (image.color().has_color(), image.color().has_alpha());
    let mut pixels = eight_bits(image);
    if alpha {
        pixels = if colours { over_black::<4, 3>(&pixels) } else { over_black::<2, 1>(&pixels) };
    }
    let (channels, pixels) = match (mode, colours) {
        (ImageMode::Grey, true) => (1, pixels.as_chunks().0.iter().map(grey).collect()),
        (ImageMode::Rgb, false) => (3, pixels.into_iter().flat_map(|it| [it; 3]).collect()),
        (_, true) => (3, pixels),
        (_, false) => (1, pixels),
    };
    Picture { height, width, channels, pixels }
}

/// The numbers of all pixels, alpha among them.
fn eight_bits(image: DynamicImage) -> Vec<u8> {
    let round = |numbers: Vec<u16>| numbers.into_iter().map(rounded).collect();
    match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image.into_bytes(),
        ColorType::L16 => round(image.into_luma16().into_raw()),
        ColorType::La16 => round(image.into_luma_alpha16().into_raw()),
        ColorType::Rgb16 => round(image.into_rgb16().into_raw()),
        _ if image.color().has_alpha() => round(image.into_rgba16().into_raw()),
        _ => round(image.into_rgb16().into_raw()),
    }
}

/// The nearest of 256 levels.
fn rounded(number: u16) -> u8 {
    ((u32::from(number) + 128) / 257) as u8
}

/// Each colour times alpha, which comes last, rounded.
fn over_black<const FROM: usize, const TO: usize>(pixels: &[u8]) -> Vec<u8> {
    let pixels = pixels.as_chunks::<FROM>().0.iter();
    let times = |colour: u8, alpha: u8| ((u16::from(colour) * u16::from(alpha) + 127) / 255) as u8;
    pixels
        .flat_map(|pixel| -> [u8; TO] { std::array::from_fn(|i| times(pixel[i], pixel[TO])) })
        .collect()
}

fn grey([red, green, blue]: &[u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(*red) + 38_470 * u32::from(*green) + 7_471 * u32::from(*blue);
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, LumaA, Rgb, Rgba};

    use super::*;

    fn pixels(image: impl Into<DynamicImage>, mode: ImageMode) -> Vec<u8> {
        picture(image.into(), mode).pixels
    }

    #[test]
    fn colours_become_grey_as_in_pillow() {
        // Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        for (colour, expected) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([1, 2, 3], 2),
            ([255; 3], 255),
        ] {
            let image = ImageBuffer::from_pixel(1, 1, Rgb::<u8>(colour));
            assert_eq!(pixels(image.clone(), ImageMode::Grey), [expected], "{colour:?}");
            assert_eq!(pixels(image, ImageMode::Rgb), colour);
        }
        let image = image::GrayImage::from_raw(2, 1, vec![7, 9]).unwrap();
        let rgb = picture(image.into(), ImageMode::Rgb);
        assert_eq!((rgb.height, rgb.width, rgb.channels), (1, 2, 3));
        assert_eq!(rgb.pixels, [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn what_is_transparent_lies_over_black() {
        let image = ImageBuffer::from_pixel(1, 1, Rgba([255_u8, 100, 3, 128]));
        assert_eq!(pixels(image, ImageMode::Rgb), [128, 50, 2]);
        let image = ImageBuffer::from_pixel(1, 1, LumaA([200_u8, 0]));
        assert_eq!(pixels(image, ImageMode::Grey), [0]);
    }

    #[test]
    fn sixteen_bits_are_rounded() {
        for level in 0..=255_u16 {
            for (number, expected) in [
                (level * 257, level),
                ((level * 257).saturating_add(128), level),
                ((level * 257).saturating_sub(128), level),
            ] {
                assert_eq!(u16::from(rounded(number)), expected, "{number}");
            }
        }
        let image = ImageBuffer::from_pixel(1, 1, Rgba([65_535_u16, 257 * 100 + 129, 0, 65_535]));
        assert_eq!(pixels(image, ImageMode::Rgb), [255, 101, 0]);
    }
}
