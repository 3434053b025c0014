//! How the images of a folder become samples: their size, their colours, and what is done to those that do not fit.
//!
//! Given with the data; the crate `dataset` does what is said here.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::choices::choice;
use crate::data_shape::DataShape;

choice!(
    /// The colours of samples.
    ImageMode {
        /// One number for each pixel; colours are weighted as ITU-R BT.601 does.
        Grey = "grey",
        /// Red, green, blue; grey images have the same number thrice.
        Rgb = "rgb",
    }
);

choice!(
    /// What is done where an image has other proportions than a sample.
    #[derive(Default)]
    Resize {
        #[default]
        /// The image covers the sample; what stands out on two sides is cut off.
        Crop = "crop",
        /// The whole image lies in the middle of the sample, black beside it.
        Pad = "pad",
        /// The image takes on the sample's proportions.
        Stretch = "stretch",
    }
);

/// Height and width of samples, each from 1 to [`DataShape::LARGEST_SIDE`] pixels. Written `32` or `64x48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct ImageSize {
    height: usize,
    width: usize,
}

impl ImageSize {
    /// Such a size.
    ///
    /// # Errors
    /// A side is too short or too long; in the words a user should read.
    pub fn new(height: usize, width: usize) -> Result<Self, String> {
        let sides = 1..=DataShape::LARGEST_SIDE;
        if sides.contains(&height) && sides.contains(&width) {
            return Ok(Self { height, width });
        }
        let largest = DataShape::LARGEST_SIDE;
        Err(format!("{height} × {width} pixels: each side has 1 to {largest}"))
    }

    /// Pixels from top to bottom.
    pub fn height(self) -> usize {
        self.height
    }

    /// Pixels from left to right.
    pub fn width(self) -> usize {
        self.width
    }
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, width) = text.split_once(['x', 'X', '×']).unwrap_or((text, text));
        let side = |text: &str| text.trim().parse::<usize>();
        match (side(height), side(width)) {
            (Ok(height), Ok(width)) => Self::new(height, width),
            _ => Err("give one side of squares, 32, or height and width, 64x48".to_owned()),
        }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, width } = self;
        if height == width { write!(f, "{height}") } else { write!(f, "{height}x{width}") }
    }
}

/// As it may stand in a file: `32`, `"32"`, `"64x48"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Side(usize),
    Text(String),
}

impl TryFrom<Written> for ImageSize {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Side(side) => Self::new(side, side),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<ImageSize> for String {
    fn from(size: ImageSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_one_side_or_two() {
        for (text, height, width, again) in [
            ("32", 32, 32, "32"),
            ("64x48", 64, 48, "64x48"),
            ("1 X 1024", 1, 1024, "1x1024"),
            ("7×7", 7, 7, "7"),
        ] {
            let size: ImageSize = text.parse().unwrap();
            assert_eq!((size.height(), size.width()), (height, width), "{text}");
            assert_eq!(size.to_string(), again);
        }
        for (text, why) in [
            ("", "64x48"),
            ("32x", "64x48"),
            ("2x3x4", "64x48"),
            ("-1", "64x48"),
            ("0", "1 to 1024"),
            ("8x1025", "8 × 1025"),
        ] {
            let message = text.parse::<ImageSize>().unwrap_err();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn a_file_has_a_number_or_words() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            size: ImageSize,
            mode: ImageMode,
            resize: Resize,
        }
        let read = |size: &str| {
            toml::from_str::<File>(&format!("size = {size}\nmode = 'grey'\nresize = 'pad'"))
        };
        let square = ImageSize { height: 32, width: 32 };
        let expected = File { size: square, mode: ImageMode::Grey, resize: Resize::Pad };
        assert_eq!(read("32").unwrap(), expected);
        assert_eq!(read("'32'").unwrap(), expected);
        assert_eq!(toml::from_str::<File>(&toml::to_string(&expected).unwrap()).unwrap(), expected);
        assert!(read("5000").unwrap_err().to_string().contains("1 to 1024"));
        assert_eq!(ImageMode::from_str("RGB", true), Ok(ImageMode::Rgb));
        assert_eq!(Resize::Stretch.to_string(), "stretch");
    }
}
