//! Why a picture cannot be drawn.

use plotters::drawing::DrawingAreaErrorKind;

use crate::results::epoch_features::FeatureError;

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
