//! How a picture becomes as large as a sample.
//!
//! Called by [`super::make`]. Where it is that large already, nothing is done to it.

use common::config::{ImageSize, Resize};

use super::decode::Picture;
use super::resize::{Side, resize};

/// A picture of the size that samples have.
pub(super) fn fit(picture: Picture, size: ImageSize, how: Resize) -> Picture {
    let (height, width) = (size.height(), size.width());
    if (picture.height, picture.width) == (height, width) {
        return picture;
    }
    match how {
        Resize::Stretch => resize(&picture, Side::all(height), Side::all(width)),
        Resize::Crop => crop(&picture, height, width),
        Resize::Pad => pad(&picture, height, width),
    }
}

/// Scaled until it covers the sample, the middle of the side that is too long. The other side is rounded down, and the place
/// of the middle to the nearest even number where it lies between two pixels: for a square, `Resize(side)` and
/// `CenterCrop(side)` of torchvision.
fn crop(picture: &Picture, height: usize, width: usize) -> Picture {
    let (old_height, old_width) = (picture.height, picture.width);
    let (new_height, new_width) = if height * old_width >= width * old_height {
        (height, old_width * height / old_height)
    } else {
        (old_height * width / old_width, width)
    };
    let middle = |whole: usize, length: usize| {
        let half = (whole - length) / 2;
        let is_odd = (whole - length) % 2;
        Side { whole, start: half + is_odd * (half % 2), length }
    };
    resize(picture, middle(new_height, height), middle(new_width, width))
}

/// Scaled until one side is as long as the sample's, in the middle; the rest is black. The other side is rounded down, to one
/// pixel at least; where one pixel more of black is needed on one side it is at the right or below.
fn pad(picture: &Picture, height: usize, width: usize) -> Picture {
    let (old_height, old_width) = (picture.height, picture.width);
    let (new_height, new_width) = if height * old_width <= width * old_height {
        (height, (old_width * height / old_height).max(1))
    } else {
        ((old_height * width / old_width).max(1), width)
    };
    let inner = resize(picture, Side::all(new_height), Side::all(new_width));
    let channels = picture.channels;
    let mut pixels = vec![0; height * width * channels];
    let (top, left) = ((height - new_height) / 2, (width - new_width) / 2);
    let row_length = new_width * channels;
    for (row, from) in inner.pixels.chunks_exact(row_length).enumerate() {
        let start = ((top + row) * width + left) * channels;
        pixels[start..start + row_length].copy_from_slice(from);
    }
    Picture { height, width, channels, pixels }
}

#[cfg(test)]
mod tests {
    use common::hexadecimal;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::images::fixtures::pattern;

    fn fitted([height, width]: [usize; 2], size: [usize; 2], how: Resize) -> Picture {
        let pixels = pattern(height, width, 3);
        let picture = Picture { height, width, channels: 3, pixels };
        let fitted = fit(picture, ImageSize::new(size[0], size[1]).unwrap(), how);
        assert_eq!([fitted.height, fitted.width], size);
        fitted
    }

    #[test]
    fn cropped_and_padded_as_with_pillow() {
        let digest = |picture: Picture| hexadecimal(&Sha256::digest(picture.pixels)[..8]);
        // torchvision's rules for Resize and CenterCrop with Pillow 12.3.0; the same with Image.paste on black.
        for (from, to, crop, pad) in [
            ([5, 7], [3, 3], "8c25b48aae260924", "a5600de467135238"),
            ([5, 7], [8, 11], "0fa1fe1b4e8a236d", "1ba10640fd000c28"),
            ([5, 7], [28, 28], "e1c748a998b7419a", "3fac549b571e3127"),
            ([5, 7], [64, 20], "65b347401641a421", "1339de00e226a1ca"),
            ([40, 31], [3, 3], "ee1999583131d0d5", "cfbd88940d3e58e2"),
            ([40, 31], [8, 11], "11389edec9e920e7", "2fc799c8221a2d19"),
            ([40, 31], [28, 28], "efabcb8240436ca8", "7403dd2dba0a7d3b"),
            ([40, 31], [64, 20], "4acad208afa9c807", "9d566c69f94d39a0"),
            ([64, 64], [3, 3], "f4c885c4e2338ac5", "f4c885c4e2338ac5"),
            ([64, 64], [8, 11], "19e6dcb38ea1e4e7", "e32e8f2bb3a0aa8a"),
            ([64, 64], [28, 28], "ee16e0ac86f12323", "ee16e0ac86f12323"),
            ([64, 64], [64, 20], "09b41b70a8b881d2", "9b6909b0039bd439"),
            ([1, 9], [3, 3], "ca731e67e6307823", "cd94129cc4ebc184"),
            ([1, 9], [8, 11], "a40e36262c8dbbf7", "cac72419a842fda4"),
            ([1, 9], [28, 28], "1f5c62ee60b51cbc", "7085d63b0bfa9891"),
            ([1, 9], [64, 20], "b4de46fa809ad7b5", "ba9e17f80b00da67"),
            ([33, 100], [3, 3], "11ac2615ca4837e1", "78c39a9ef7dd718a"),
            ([33, 100], [8, 11], "215e2db11034ce0d", "eb9adc9e9fb9e338"),
            ([33, 100], [28, 28], "5501e2c70b3940b3", "8adb23cea8569770"),
            ([33, 100], [64, 20], "6cc705a236d67c42", "e9ef013794014d04"),
        ] {
            assert_eq!(digest(fitted(from, to, Resize::Crop)), crop, "{from:?} to {to:?}");
            assert_eq!(digest(fitted(from, to, Resize::Pad)), pad, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn each_way_has_its_own_place() {
        let picture =
            |pixels: [u8; 4]| Picture { height: 1, width: 4, channels: 1, pixels: pixels.to_vec() };
        let square = ImageSize::new(2, 2).unwrap();
        let fit = |how| fit(picture([40, 80, 120, 160]), square, how).pixels;
        assert_eq!(fit(Resize::Pad), [69, 131, 0, 0]);
        assert_eq!(fit(Resize::Stretch), [69, 131, 69, 131]);
        assert_eq!(fit(Resize::Crop), [90, 110, 90, 110]);
    }

    #[test]
    fn what_fits_stays() {
        for how in [Resize::Crop, Resize::Pad, Resize::Stretch] {
            assert_eq!(fitted([9, 7], [9, 7], how).pixels, pattern(9, 7, 3));
        }
    }
}
