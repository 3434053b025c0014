//! `epoch=K.png`: the features of the training samples and of the test set, side by side; right of them the `legend`.

use common::config::PictureFormat;
use plotters::style::TextStyle;

use super::axes::{Axes, Labels, Scale};
use super::colors::class_colors;
use super::encode::render;
use super::error::PictureError;
use super::extent::{Extent, Window};
use super::legend::Legend;
use super::marks::Marks;
use super::names::Names;
use super::scene::Scene;
use super::style::{FAINT_INK, INK, LEFT, RIGHT, Unit, bold, count, percent, text};
use super::surface::{Area, Surface};
use super::{badge, centers};
use crate::results::epoch_features::{EpochFeatures, FeatureSet};

/// Left of an axes, for its scale; of the full-size layout, as are all lengths here.
const MARGIN: i32 = 96;
/// Width and height of an axes: square, so that equal scales waste nothing.
const SIDE: i32 = 628;
const TOP: i32 = 100;
const HEIGHT: i32 = 800;
/// On either side of the legend.
const BESIDE_LEGEND: i32 = 32;
const DOT_RADIUS: f64 = 1.6;
/// Between two parts of the title.
const BETWEEN: &str = "   ·   ";

/// Draws one epoch: training samples as they were trained on, test set, centers. 1600 × 800 pixels; without a test set
/// one panel, 876 × 800; wider where the classes' names need it. For features that are not two numbers, their first two
/// principal components.
pub fn draw_features(
    features: &EpochFeatures,
    format: PictureFormat,
) -> Result<Vec<u8>, PictureError> {
    let scene = Scene::new(features)?;
    let extent = Extent::around(&scene)?;
    let layout = Layout::new(&scene, &features.class_names, Unit(1.0));
    render(format, layout.size(), |surface| layout.paint(surface, features, &scene, &extent))
}

/// Where the parts of the picture lie.
pub(super) struct Layout {
    unit: Unit,
    panels: i32,
    legend: Legend,
    marks: Marks,
}

/// One axes and what belongs into it.
struct Panel<'a> {
    axes: Axes,
    heading: String,
    set: &'a FeatureSet,
    points: &'a [[f64; 2]],
}

impl Layout {
    pub fn new(scene: &Scene, class_names: &[String], unit: Unit) -> Self {
        let names = Names::new(class_names);
        let marks = Marks::new(&names);
        let numbered = marks.are_numbers && !scene.centers.is_empty();
        let legend = Legend::new(&names, numbered, unit);
        Self { unit, panels: if scene.test.is_some() { 2 } else { 1 }, legend, marks }
    }

    /// Width and height of the picture, in pixels.
    pub fn size(&self) -> (u32, u32) {
        let unit = self.unit;
        let panels = unit.px(self.panels * (MARGIN + SIDE) + 2 * BESIDE_LEGEND);
        ((panels + self.legend.width) as u32, unit.px(HEIGHT) as u32)
    }

    /// Paints the whole picture, its axes holding `extent`.
    pub fn paint(
        &self,
        surface: &mut Surface,
        features: &EpochFeatures,
        scene: &Scene,
        extent: &Extent,
    ) -> Result<(), PictureError> {
        let window = extent.window(self.unit.px(SIDE), self.unit.px(SIDE));
        let panels = self.fill_panels(features, scene, window);
        let area = surface.area();
        self.title(&area, features, scene)?;
        let place = (self.legend_left(), self.unit.px(TOP));
        self.legend.draw(&area, place)?;
        if !scene.centers.is_empty() {
            centers::explain(&area, self.legend.below(place), (&self.marks, self.unit))?;
        }
        for panel in &panels {
            self.frame(&area, panel, scene)?;
        }
        drop(area);
        let class_colors = class_colors(features.class_names.len());
        for panel in &panels {
            let places = panel.points.iter().map(|point| panel.axes.place(*point));
            let colors = panel.set.labels.iter().map(|label| class_colors[usize::from(*label)]);
            surface.dots(places.zip(colors), self.dot_radius());
        }
        let area = surface.area();
        let marks = (&self.marks, self.unit);
        panels.iter().try_for_each(|panel| centers::draw(&area, &panel.axes, &scene.centers, marks))
    }

    /// Dots shrink less than the rest, to stay visible.
    fn dot_radius(&self) -> f32 {
        self.unit.text(DOT_RADIUS) as f32
    }

    fn axes(&self, panel: i32, window: Window) -> Axes {
        let left = self.unit.px(MARGIN + panel * (MARGIN + SIDE));
        let (top, side) = (self.unit.px(TOP), self.unit.px(SIDE));
        let (right, bottom) = (left + side, top + side);
        Axes { left, top, right, bottom, window, y_scale: Scale::Linear }
    }

    fn fill_panels<'a>(
        &self,
        features: &'a EpochFeatures,
        scene: &'a Scene,
        window: Window,
    ) -> Vec<Panel<'a>> {
        let dataset = shortened(&features.dataset);
        let mut panels = vec![Panel {
            axes: self.axes(0, window),
            heading: format!("{dataset} training set, as trained on"),
            set: &features.train,
            points: &scene.train,
        }];
        if let Some((set, points)) = features.test.as_ref().zip(scene.test.as_deref()) {
            let heading = format!("{dataset} test set");
            panels.push(Panel { axes: self.axes(1, window), heading, set, points });
        }
        panels
    }

    fn title(
        &self,
        area: &Area,
        features: &EpochFeatures,
        scene: &Scene,
    ) -> Result<(), PictureError> {
        let (unit, metrics) = (self.unit, &features.metrics);
        let (left, baseline) = (unit.px(MARGIN), unit.px(46));
        let mut end = self.legend_left() + self.legend.width;
        if features.synthetic {
            end = badge::synthetic(area, end, unit)? - unit.px(20);
        }
        let style = bold(unit.text(30.0), INK, LEFT);
        let epoch = format!("epoch={}", metrics.epoch);
        area.draw_text(&epoch, &style, (left, baseline))?;
        let start = left + width(area, &epoch, &style)? + unit.px(28);
        let style = text(unit.text(22.0), INK, LEFT);
        let test = metrics.test.test_accuracy;
        let parts = [
            Some(format!("train accuracy {}", percent(metrics.train_accuracy))),
            test.map(|test| format!("test accuracy {}", percent(test))),
            scene.note.clone(),
        ];
        let mut parts: Vec<String> = parts.into_iter().flatten().collect();
        // Where there is no room, the axes still say what they show.
        while start + width(area, &parts.join(BETWEEN), &style)? > end && !parts.is_empty() {
            parts.pop();
        }
        area.draw_text(&parts.join(BETWEEN), &style, (start, baseline))?;
        Ok(())
    }

    fn frame(&self, area: &Area, panel: &Panel, scene: &Scene) -> Result<(), PictureError> {
        let (axes, unit) = (&panel.axes, self.unit);
        let [x_name, y_name] = &scene.axis_names;
        let (x_ticks, y_ticks) = (axes.x_ticks(unit.px(75)), axes.y_ticks(unit.px(75)));
        axes.draw(area, &Labels { x_ticks: &x_ticks, y_ticks: &y_ticks, x_name, y_name }, unit)?;
        let baseline = axes.top - unit.px(11);
        let style = text(unit.text(19.0), INK, LEFT);
        area.draw_text(&panel.heading, &style, (axes.left, baseline))?;
        let end = axes.left + width(area, &panel.heading, &style)? + unit.px(20);
        let samples = format!("{} samples", count(panel.set.len()));
        let style = text(unit.text(17.0), FAINT_INK, RIGHT);
        if end + width(area, &samples, &style)? <= axes.right {
            area.draw_text(&samples, &style, (axes.right, baseline))?;
        }
        Ok(())
    }

    fn legend_left(&self) -> i32 {
        self.unit.px(self.panels * (MARGIN + SIDE) + BESIDE_LEGEND)
    }
}

fn width(area: &Area, words: &str, style: &TextStyle) -> Result<i32, PictureError> {
    Ok(area.estimate_text_size(words, style)?.0 as i32)
}

/// A dataset's name, or the end of it where it is a long path.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 16;
    let letters = name.chars().count();
    match letters {
        0..=LONGEST => name.to_owned(),
        _ => std::iter::once('…').chain(name.chars().skip(letters - LONGEST + 1)).collect(),
    }
}

#[cfg(test)]
#[path = "features/tests.rs"]
mod tests;
