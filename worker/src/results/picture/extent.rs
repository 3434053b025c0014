//! How far the points of a picture reach, and the part of the plane that its axes show.

use super::error::PictureError;
use super::scene::Scene;
use crate::results::epoch_features::EpochFeatures;

/// Beyond this nothing is drawn: room for squares and differences in double precision.
const LARGEST: f64 = 1e100;
/// Room left around the outermost points, as a share of the range.
const PADDING: f64 = 0.06;

/// The smallest rectangle around all points of one or several pictures, in units of what is drawn: of the features,
/// or of their projection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    low: [f64; 2],
    high: [f64; 2],
}

/// The rectangle of the plane that fills an axes' pixels, one unit being as long across as up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Left and right end.
    pub x: [f64; 2],
    /// Lower and upper end.
    pub y: [f64; 2],
}

impl Extent {
    /// How far one epoch's training samples, test samples and centers reach.
    pub fn of(features: &EpochFeatures) -> Result<Self, PictureError> {
        Self::around(&Scene::new(features)?)
    }

    /// The extent of both.
    pub fn union(self, other: Self) -> Self {
        Self {
            low: [self.low[0].min(other.low[0]), self.low[1].min(other.low[1])],
            high: [self.high[0].max(other.high[0]), self.high[1].max(other.high[1])],
        }
    }

    pub(super) fn around(scene: &Scene) -> Result<Self, PictureError> {
        let mut extent = Self { low: [f64::INFINITY; 2], high: [f64::NEG_INFINITY; 2] };
        for point in scene.points() {
            extent = extent.union(Self { low: *point, high: *point });
            if let Some(value) = point.iter().find(|value| value.is_nan() || value.abs() > LARGEST)
            {
                return Err(PictureError::TooLarge(value.abs()));
            }
        }
        let empty = extent.low[0] > extent.high[0];
        Ok(if empty { Self { low: [-1.0; 2], high: [1.0; 2] } } else { extent })
    }

    /// The window of `width` × `height` pixels that holds this extent in its middle.
    pub(super) fn window(&self, width: i32, height: i32) -> Window {
        let [x_middle, y_middle] = [0, 1].map(|axis| (self.low[axis] + self.high[axis]) / 2.0);
        let [x_range, y_range] = [0, 1].map(|axis| self.high[axis] - self.low[axis]);
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let farthest = x_middle.abs().max(y_middle.abs());
        // A unit's share of a pixel: never 0, nor so small that rounding would show.
        let per_pixel = (x_range / width).max(y_range / height) * (1.0 + 2.0 * PADDING);
        let per_pixel = per_pixel.max(farthest * 1e-9).max(1e-9);
        let around = |middle: f64, pixels: f64| {
            [middle - per_pixel * pixels / 2.0, middle + per_pixel * pixels / 2.0]
        };
        Window { x: around(x_middle, width), y: around(y_middle, height) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_equal_scales_and_holds_the_extent() {
        let extent = Extent { low: [-10.0, 2.0], high: [30.0, 5.0] };
        let window = extent.window(400, 200);
        let per_pixel = (window.x[1] - window.x[0]) / 400.0;
        assert!((per_pixel - (window.y[1] - window.y[0]) / 200.0).abs() < 1e-12);
        assert!(window.x[0] < -10.0 && window.x[1] > 30.0 && window.y[0] < 2.0);
        assert!(((window.x[0] + window.x[1]) / 2.0 - 10.0).abs() < 1e-12);
    }

    #[test]
    fn a_tall_extent_fits_as_well() {
        let window = Extent { low: [0.0, -50.0], high: [1.0, 50.0] }.window(400, 200);
        assert!(window.y[0] < -50.0 && window.y[1] > 50.0);
        assert!((window.x[1] - window.x[0] - 2.0 * (window.y[1] - window.y[0])).abs() < 1e-9);
    }

    #[test]
    fn a_single_point_has_a_window_too() {
        for place in [0.0, 1e8, -1e99] {
            let window = Extent { low: [place; 2], high: [place; 2] }.window(100, 100);
            assert!(window.x[0] < place && window.x[1] > place);
        }
    }
}
