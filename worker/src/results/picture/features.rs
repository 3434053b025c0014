//! `epoch=K.png`: the features of the training samples and of the test set, side by side.

use common::config::PictureFormat;
use plotters::element::{Circle, Rectangle};
use plotters::style::{Color, TextStyle};

use super::axes::{Axes, Labels, Scale};
use super::encode::render;
use super::error::PictureError;
use super::extent::{Extent, Window};
use super::scene::Scene;
use super::style::{
    AXES_BACKGROUND, CENTERED, CLASS_COLORS, FAINT_INK, INK, LEFT, LEFT_MIDDLE, RIGHT, Unit, bold,
    class_color, count, percent, stroke, text,
};
use super::surface::{Area, Surface};
use super::{badge, centers};
use crate::results::epoch_features::{EpochFeatures, FeatureSet};

/// Left of an axes, for its scale; of the full-size layout, as are all lengths here.
const MARGIN: i32 = 96;
/// Width and height of an axes: square, so that equal scales waste nothing.
const SIDE: i32 = 628;
const TOP: i32 = 100;
const HEIGHT: i32 = 800;
/// Right of the last axes.
const LEGEND: i32 = 152;
const DOT_RADIUS: f64 = 1.6;
/// Between two parts of the title.
const BETWEEN: &str = "   ·   ";

/// Draws one epoch: training samples as they were trained on, test set, centers. 1600 × 800 pixels; without a test set
/// one panel, 876 × 800. For features that are not two numbers, their first two principal components.
pub fn draw_features(
    features: &EpochFeatures,
    format: PictureFormat,
) -> Result<Vec<u8>, PictureError> {
    let scene = Scene::new(features)?;
    let extent = Extent::around(&scene)?;
    let layout = Layout::new(&scene, Unit(1.0));
    render(format, layout.size(), |surface| layout.paint(surface, features, &scene, &extent))
}

/// Where the parts of the picture lie.
pub(super) struct Layout {
    unit: Unit,
    panels: i32,
}

/// One axes and what belongs into it.
struct Panel<'a> {
    axes: Axes,
    heading: String,
    set: &'a FeatureSet,
    points: &'a [[f64; 2]],
}

impl Layout {
    pub fn new(scene: &Scene, unit: Unit) -> Self {
        Self { unit, panels: if scene.test.is_some() { 2 } else { 1 } }
    }

    /// Width and height of the picture, in pixels.
    pub fn size(&self) -> (u32, u32) {
        let width = self.panels * (MARGIN + SIDE) + LEGEND;
        (self.unit.px(width) as u32, self.unit.px(HEIGHT) as u32)
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
        self.legend(&area, !scene.centers.is_empty())?;
        for panel in &panels {
            self.frame(&area, panel, scene)?;
        }
        drop(area);
        for panel in &panels {
            let places = panel.points.iter().map(|point| panel.axes.place(*point));
            let colors = panel.set.labels.iter().map(|label| CLASS_COLORS[usize::from(*label)]);
            surface.dots(places.zip(colors), self.dot_radius());
        }
        let area = surface.area();
        panels
            .iter()
            .try_for_each(|panel| centers::draw(&area, &panel.axes, &scene.centers, self.unit))
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
        let (_, mut end) = self.legend_sides();
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

    fn legend_sides(&self) -> (i32, i32) {
        let left = self.unit.px(self.panels * (MARGIN + SIDE) + 32);
        (left, left + self.unit.px(88))
    }

    /// The column right of the axes: every class's colour on the axes' background, and the centers' mark.
    fn legend(&self, area: &Area, centers: bool) -> Result<(), PictureError> {
        let unit = self.unit;
        let ((left, right), top) = (self.legend_sides(), unit.px(TOP));
        let row = |index: usize| top + unit.px(30 + 42 * index as i32);
        let rows = CLASS_COLORS.len();
        let bottom = row(rows - 1) + unit.px(30);
        let heading = text(unit.text(19.0), INK, CENTERED);
        area.draw_text("class", &heading, ((left + right) / 2, top - unit.px(11)))?;
        area.draw(&Rectangle::new([(left, top), (right, bottom)], AXES_BACKGROUND.filled()))?;
        area.draw(&Rectangle::new([(left, top), (right, bottom)], stroke(INK, unit.px(1))))?;
        let label = text(unit.text(21.0), INK, LEFT_MIDDLE);
        for class in 0..rows {
            let y = row(class);
            let color = class_color(class).filled();
            area.draw(&Circle::new((left + unit.px(28), y), unit.px(10), color))?;
            area.draw_text(&class.to_string(), &label, (left + unit.px(52), y))?;
        }
        if centers {
            let y = bottom + unit.px(36);
            centers::dot(area, (left + unit.px(10), y), unit)?;
            let label = text(unit.text(19.0), INK, LEFT_MIDDLE);
            area.draw_text("center", &label, (left + unit.px(26), y))?;
        }
        Ok(())
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
