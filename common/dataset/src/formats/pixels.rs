//! Which arrays are images, and from them to pixels.
//!
//! Called for whatever IDX or NumPy file is to hold images. Numbers are never rounded or scaled: what is no whole number
//! from 0 to 255 is refused.

use common::data_shape::DataShape;

use super::array::{self, Array, Element, Header};
use super::content::Content;
use super::problem::Problem;
use super::{Reading, Role};

/// Images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Numbers of a pixel: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Of an image, pixels.
    pub height: usize,
    /// Of an image, pixels.
    pub width: usize,
    /// `[n, height, width, channels]`, 0 (black) to 255.
    pub pixels: Vec<u8>,
}

impl Images {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.pixels.len() / (self.channels * self.height * self.width)
    }

    /// Channels, height and width.
    pub(crate) fn size(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Of images that are channel planes, `[n, channels, height, width]`.
    pub(crate) fn interleaved(self) -> Self {
        let (channels, plane) = (self.channels, self.height * self.width);
        self.reordered(|index| index % channels * plane + index / channels)
    }

    /// Rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let Self { channels, height, width, .. } = self;
        let turned = self.reordered(|index| {
            let (pixel, channel) = (index / channels, index % channels);
            (pixel % height * width + pixel / height) * channels + channel
        });
        Self { height: width, width: height, ..turned }
    }

    /// Each number of an image from another place in it.
    fn reordered(mut self, from: impl Fn(usize) -> usize) -> Self {
        let size = self.channels * self.height * self.width;
        let from: Vec<usize> = (0..size).map(from).collect();
        let mut before = vec![0; size];
        for image in self.pixels.chunks_exact_mut(size) {
            before.copy_from_slice(image);
            image.iter_mut().zip(&from).for_each(|(number, &from)| *number = before[from]);
        }
        self
    }
}

/// Where an array's images have what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    channels: u64,
    height: u64,
    width: u64,
    /// Whether each channel is a plane of its own.
    planes: bool,
}

/// Reads images; refuses an array that holds none before its numbers are read.
pub fn read(content: &mut Content<'_>, reading: &Reading) -> Result<Images, Problem> {
    let header = array::read_header(content, Role::Images)?;
    let layout = layout_of(&header, reading)?;
    let array = array::read_data(content, header, reading)?;
    let [channels, height, width] =
        [layout.channels, layout.height, layout.width].map(|size| size as usize);
    let images = Images { channels, height, width, pixels: pixels_of(array)? };
    Ok(if layout.planes { images.interleaved() } else { images })
}

fn layout_of(header: &Header, reading: &Reading) -> Result<Layout, Problem> {
    let grey = |height, width| Layout { channels: 1, height, width, planes: false };
    let is_channels = |size: u64| matches!(size, 1 | 3);
    let layout = match header.sizes[..] {
        [_] => return Err(Problem::Exchanged { expected: Role::Images, found: Role::Labels }),
        // QMNIST's labels.
        [_, 8] if header.element == Element::I32 => {
            return Err(Problem::Exchanged { expected: Role::Images, found: Role::Labels });
        }
        [_, numbers] => {
            let (height, width) = flat(numbers, reading)?;
            grey(height, width)
        }
        [_, height, width] => grey(height, width),
        [_, first, second, last] => match (is_channels(first), is_channels(last)) {
            (false, true) => Layout { channels: last, height: first, width: second, planes: false },
            (true, false) => Layout { channels: first, height: second, width: last, planes: true },
            (true, true) => return Err(Problem::Channels(header.sizes.clone())),
            (false, false) => return Err(dimensions(header)),
        },
        _ => return Err(dimensions(header)),
    };
    check_size(layout)?;
    if header.sizes[0] == 0 { Err(Problem::Empty(Role::Images)) } else { Ok(layout) }
}

fn check_size(layout: Layout) -> Result<(), Problem> {
    let Layout { height: rows, width: columns, .. } = layout;
    let sides = 1..=DataShape::LARGEST_SIDE as u64;
    if sides.contains(&rows) && sides.contains(&columns) {
        Ok(())
    } else {
        Err(Problem::ImageSize { rows, columns })
    }
}

fn dimensions(header: &Header) -> Problem {
    let Header { element, ref sizes, .. } = *header;
    Problem::Dimensions { role: Role::Images, element, sizes: sizes.clone() }
}

/// Height and width of images that lie in rows.
fn flat(numbers: u64, reading: &Reading) -> Result<(u64, u64), Problem> {
    let Some((height, width)) = reading.image_size else { return Err(Problem::Flat { numbers }) };
    if height as u64 * width as u64 == numbers {
        Ok((height as u64, width as u64))
    } else {
        Err(Problem::FlatSize { numbers, height, width })
    }
}

fn pixels_of(array: Array) -> Result<Vec<u8>, Problem> {
    if array.header.element == Element::U8 {
        return Ok(array.data);
    }
    let largest = array.numbers().fold(0.0, f64::max);
    let is_fraction = |value: f64| (0.0..=1.0).contains(&value);
    if array.header.element.is_float()
        && (0.0..=1.0).contains(&largest)
        && largest > 0.0
        && array.numbers().all(is_fraction)
    {
        return Err(Problem::Scaled);
    }
    let whole = |(index, value): (usize, f64)| {
        let fits = value.fract() == 0.0 && (0.0..=255.0).contains(&value);
        if fits { Ok(value as u8) } else { Err(Problem::Pixel { index, value }) }
    };
    array.numbers().enumerate().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(sizes: &[u64]) -> Result<[u64; 4], String> {
        let header =
            Header { element: Element::U8, big_endian: true, sizes: sizes.to_vec(), length: 0 };
        layout_of(&header, &Reading::default())
            .map(|found| [found.channels, found.height, found.width, found.planes.into()])
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn channels_are_found_where_they_can_only_be_at_one_place() {
        assert_eq!(layout(&[5, 8, 9]), Ok([1, 8, 9, 0]));
        assert_eq!(layout(&[5, 8, 9, 1]), Ok([1, 8, 9, 0]));
        assert_eq!(layout(&[5, 8, 9, 3]), Ok([3, 8, 9, 0]));
        assert_eq!(layout(&[5, 1, 8, 9]), Ok([1, 8, 9, 1]));
        assert_eq!(layout(&[5, 3, 32, 32]), Ok([3, 32, 32, 1]));
        for (sizes, words) in [
            (&[5, 3, 9, 3][..], "cannot be told"),
            (&[5, 8, 9, 4], "of 4 dimensions [5, 8, 9, 4]"),
            (&[5, 8, 9, 1, 1], "of 5 dimensions"),
            (&[5], "holds labels where images"),
            (&[5, 64], "--image-size 8x8, if"),
            (&[5, 63], "--image-size HEIGHTxWIDTH"),
            (&[5, 8, 1025], "8×1025 pixels"),
            (&[5, 0, 8], "0×8 pixels"),
            (&[0, 8, 8], "holds no images"),
        ] {
            let message = layout(sizes).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn planes_and_transposed_images_are_turned() {
        let images = |pixels: &[u8], [channels, height, width]: [usize; 3]| Images {
            channels,
            height,
            width,
            pixels: pixels.to_vec(),
        };
        let planes = images(&[1, 2, 11, 12, 21, 22, 5, 6, 15, 16, 25, 26], [3, 1, 2]);
        let pixels = [1, 11, 21, 2, 12, 22, 5, 15, 25, 6, 16, 26];
        assert_eq!(planes.interleaved(), images(&pixels, [3, 1, 2]));
        let lying = images(&[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16], [1, 2, 3]);
        let upright = images(&[1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16], [1, 3, 2]);
        assert_eq!(lying.clone().transposed(), upright);
        assert_eq!(upright.transposed(), lying);
    }
}
