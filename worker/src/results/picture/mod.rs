//! Every picture of a run, drawn from feature files and metrics alone.
//!
//! The `artist` calls this on a thread of its own and sends the bytes to the coordinator. Pure: the same input gives the
//! same bytes on any machine, as fonts are embedded and arithmetic keeps to what IEEE 754 fixes (no logarithms or
//! trigonometry of the C library). Never touches torch, files, system fonts or a display.
//!
//! From the top: `features`, `curves` and `confusion` lay a picture out, `animation` strings the first together in the
//! colours of its `palette`; they share `scene` (what to draw), `extent`, `axes`, `ticks`, `badge` and `style`. From two
//! classes to a thousand: `names` says what they are called, `colors` which colour each has, `legend` lists both, and
//! `centers` draws those of the features with `marks` (a name or a number) at `places` where there is room. All draw
//! through plotters on a `surface`, which is either a `raster` or an `svg` file, with text from `font`, shortened to its
//! room by `fit`.

mod animation;
mod axes;
mod badge;
mod centers;
mod colors;
mod confusion;
mod curves;
mod encode;
mod error;
mod extent;
mod features;
mod fit;
mod font;
mod legend;
mod marks;
mod names;
mod palette;
mod places;
mod projection;
mod raster;
mod scene;
mod style;
mod surface;
mod svg;
#[cfg(test)]
mod testing;
mod ticks;
#[cfg(test)]
mod unchanged;

pub use animation::Animation;
pub use confusion::draw_confusion;
pub use curves::{History, draw_curves};
pub use error::PictureError;
pub use extent::Extent;
pub use features::draw_features;
