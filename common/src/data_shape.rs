//! What a network is given, and what it has to tell apart.
//!
//! A fact of a run's data: the coordinator finds it in the data set and tells the workers.

use std::fmt;

/// The shape of every image, and how many classes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// Numbers of a pixel: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Of an image, pixels.
    pub height: usize,
    /// Of an image, pixels.
    pub width: usize,
    /// Classes that there are.
    pub classes: usize,
}

impl DataShape {
    /// Handwritten digits.
    pub const MNIST: Self = Self { channels: 1, height: 28, width: 28, classes: 10 };
    /// Height and width of the largest images, pixels.
    pub const LARGEST_SIDE: usize = 1024;
    /// Most classes.
    pub const MOST_CLASSES: usize = 1000;

    /// Numbers of an image, `[height, width, channels]`.
    pub const fn numbers(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Checks it.
    ///
    /// # Errors
    /// Why there is no such data, in the words a user should read.
    pub fn check(self) -> Result<Self, String> {
        let Self { channels, height, width, classes } = self;
        let sides = 1..=Self::LARGEST_SIDE;
        if !matches!(channels, 1 | 3) {
            return Err(format!(
                "images of {channels} channels: they have 1 (grey) or 3 (red, green, blue)"
            ));
        }
        if !sides.contains(&height) || !sides.contains(&width) {
            let largest = Self::LARGEST_SIDE;
            return Err(format!(
                "images of {height} × {width} pixels: each side has 1 to {largest}"
            ));
        }
        if !(2..=Self::MOST_CLASSES).contains(&classes) {
            let most = Self::MOST_CLASSES;
            return Err(format!(
                "there are {classes} classes to tell apart: from 2 to {most} can be"
            ));
        }
        Ok(self)
    }
}

impl fmt::Display for DataShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, height, width, classes } = self;
        write!(f, "{channels} × {height} × {width}, {classes} classes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_computed_passes() {
        let digits = DataShape::MNIST;
        for good in [
            digits,
            DataShape { channels: 3, height: 1, width: 1024, ..digits },
            DataShape { classes: 2, ..digits },
            DataShape { classes: 1000, ..digits },
        ] {
            assert_eq!(good.check(), Ok(good));
        }
        for (bad, why) in [
            (DataShape { channels: 4, ..digits }, "4 channels"),
            (DataShape { height: 0, ..digits }, "0 × 28"),
            (DataShape { width: 1025, ..digits }, "28 × 1025"),
            (DataShape { classes: 1, ..digits }, "1 classes"),
            (DataShape { classes: 1001, ..digits }, "1001 classes"),
        ] {
            let error = bad.check().unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
