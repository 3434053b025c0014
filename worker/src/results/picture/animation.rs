//! `features.gif`: how the clusters form, one frame for each epoch, on axes that stay where they are.

use gif::{Encoder, Frame, Repeat};

use super::error::PictureError;
use super::extent::Extent;
use super::features::Layout;
use super::palette::Palette;
use super::scene::Scene;
use super::style::Unit;
use super::surface::Surface;
use crate::results::epoch_features::EpochFeatures;

/// Half the size of a picture: 800 × 400 pixels for ten digits, wider where the legend is.
const UNIT: Unit = Unit(0.5);
/// How long a frame stays, in hundredths of a second.
const DELAY: u16 = 30;
/// How long the last one does.
const LAST_DELAY: u16 = 200;

/// An animation in the making. It takes two passes over the epochs' files, holding one at a time: first
/// [`Extent::of`] each, united; then [`Self::push`] each in order.
///
/// Every sample is drawn, as in the pictures. For features that are not two numbers each frame has its own principal
/// components, so that clusters may turn from one to the next.
pub struct Animation {
    extent: Extent,
    started: Option<Started>,
}

/// What the first frame fixes, and the frame that waits to know whether it is the last.
struct Started {
    encoder: Encoder<Vec<u8>>,
    palette: Palette,
    size: (u32, u32),
    waiting: Vec<u8>,
}

impl Animation {
    /// An animation whose axes hold `extent` in every frame. It repeats for ever.
    pub fn new(extent: Extent) -> Self {
        Self { extent, started: None }
    }

    /// Adds an epoch's frame.
    pub fn push(&mut self, features: &EpochFeatures) -> Result<(), PictureError> {
        let scene = Scene::new(features)?;
        // Also the check that this epoch can be drawn.
        Extent::around(&scene)?;
        let layout = Layout::new(&scene, &features.class_names, UNIT);
        let size = self.started.as_ref().map_or(layout.size(), |started| started.size);
        let mut surface = Surface::bitmap(size);
        layout.paint(&mut surface, features, &scene, &self.extent)?;
        let Surface::Bitmap(raster) = surface else { unreachable!("a bitmap stays one") };
        match &mut self.started {
            Some(started) => {
                started.write(DELAY)?;
                started.waiting = started.palette.index(&raster.pixels);
            }
            None => {
                let palette = Palette::new(features.class_names.len());
                self.started = Some(Started::new(size, &raster.pixels, palette)?);
            }
        }
        Ok(())
    }

    /// The file.
    pub fn finish(self) -> Result<Vec<u8>, PictureError> {
        let mut started = self.started.ok_or(PictureError::NoEpoch)?;
        started.write(LAST_DELAY)?;
        Ok(started.encoder.into_inner()?)
    }
}

impl Started {
    fn new(size: (u32, u32), pixels: &[u8], mut palette: Palette) -> Result<Self, PictureError> {
        let waiting = palette.index(pixels);
        let (width, height) = (size.0 as u16, size.1 as u16);
        let mut encoder = Encoder::new(Vec::new(), width, height, &palette.bytes())?;
        encoder.set_repeat(Repeat::Infinite)?;
        Ok(Self { encoder, palette, size, waiting })
    }

    fn write(&mut self, delay: u16) -> Result<(), PictureError> {
        let (width, height) = (self.size.0 as u16, self.size.1 as u16);
        let buffer = self.waiting.as_slice().into();
        self.encoder.write_frame(&Frame { width, height, buffer, delay, ..Frame::default() })?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "animation/tests.rs"]
mod tests;
