//! Every picture of a run, drawn from feature files and metrics alone.
//!
//! Rank 0 calls this on a thread of its own and sends the bytes to the coordinator. Pure: the same input gives the
//! same bytes on any machine, as fonts are embedded and arithmetic keeps to what IEEE 754 fixes (no logarithms or
//! trigonometry of the C library). Never touches torch, files, system fonts or a display.
//!
//! From the top: `features`, `curves` and `confusion` lay a picture out, `animation` strings the first together;
//! they share `scene` (what to draw), `extent`, `axes`, `ticks`, `centers`, `badge` and `style`. All draw through
//! plotters on a `surface`, which is either a `raster` or an `svg` file, with text from `font`.

mod animation;
mod axes;
mod badge;
mod centers;
mod confusion;
mod curves;
mod encode;
mod extent;
mod features;
mod font;
mod palette;
mod projection;
mod raster;
mod scene;
mod style;
mod surface;
mod svg;
#[cfg(test)]
mod testing;
mod ticks;

use plotters::drawing::DrawingAreaErrorKind;

use crate::epoch_features::FeatureError;

pub use animation::Animation;
pub use confusion::draw_confusion;
pub use curves::{History, draw_curves};
pub use extent::Extent;
pub use features::draw_features;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Features that contradict each other or are not finite.
    #[error("cannot draw the features: {0}")]
    Features(#[from] FeatureError),
    /// Coordinates too large to be placed on axes.
    #[error("cannot draw the features: they reach ±{0:e}, beyond any axis")]
    TooLarge(f64),
    /// Curves or an animation of no epoch at all.
    #[error("there is no epoch to draw")]
    NoEpoch,
    /// A PNG could not be encoded.
    #[error("cannot encode the picture: {0}")]
    Png(#[from] png::EncodingError),
    /// A JPEG could not be encoded.
    #[error("cannot encode the picture: {0}")]
    Jpeg(#[from] jpeg_encoder::EncodingError),
    /// An animation could not be encoded.
    #[error("cannot encode the animation: {0}")]
    Gif(#[from] gif::EncodingError),
    /// plotters refused.
    #[error("cannot draw: {0}")]
    Drawing(#[from] DrawingAreaErrorKind<std::convert::Infallible>),
}
