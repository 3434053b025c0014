//! What a picture of features shows: every point on the plane, projected where features are not two numbers.

use std::borrow::Cow;

use super::error::PictureError;
use super::projection::Projection;
use super::style::percent;
use crate::results::epoch_features::{EpochFeatures, Points};

/// An epoch's points on the plane.
pub(super) struct Scene {
    /// One for each training sample.
    pub train: Vec<[f64; 2]>,
    /// One for each test sample.
    pub test: Option<Vec<[f64; 2]>>,
    /// One for each class.
    pub centers: Vec<[f64; 2]>,
    /// What runs along the two axes.
    pub axis_names: [Cow<'static, str>; 2],
    /// What to know about the plane, for the title.
    pub note: Option<String>,
}

impl Scene {
    /// Places everything, after a check of shapes and numbers. Features of other than two dimensions are projected
    /// onto the principal components of the training samples.
    pub fn new(features: &EpochFeatures) -> Result<Self, PictureError> {
        features.check_shapes()?;
        features.check_finite()?;
        let samples = &features.train.features;
        let projection = (samples.dim != 2).then(|| Projection::principal_components(samples));
        let place = |points: &Points| match &projection {
            None => points.rows().map(|row| [row[0], row[1]]).collect(),
            Some(projection) => projection.apply(points),
        };
        let name = |axis: usize| match &projection {
            None => Cow::from(["feature 1", "feature 2"][axis]),
            Some(projection) => Cow::from(format!(
                "principal component {} ({} of variance)",
                axis + 1,
                percent(projection.explained[axis])
            )),
        };
        let note = projection.as_ref().map(|_| match samples.dim {
            1 => "PCA of 1 feature".to_owned(),
            dim => format!("PCA of {dim} features"),
        });
        Ok(Self {
            train: place(samples),
            test: features.test.as_ref().map(|test| place(&test.features)),
            centers: features.centers.as_ref().map_or_else(Vec::new, place),
            axis_names: [name(0), name(1)],
            note,
        })
    }

    /// Every point of the picture.
    pub fn points(&self) -> impl Iterator<Item = &[f64; 2]> {
        self.train.iter().chain(self.test.iter().flatten()).chain(&self.centers)
    }
}
