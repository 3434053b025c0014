//! `curves.png`: losses, accuracy and learning rate over the epochs.

use common::config::PictureFormat;
use common::metrics::{EpochMetrics, TermMetrics};
use plotters::element::{Circle, PathElement};
use plotters::style::{Color, RGBColor};

use super::axes::{Axes, Labels, Scale};
use super::badge;
use super::encode::render;
use super::error::PictureError;
use super::extent::Window;
use super::style::{INK, LEFT, LEFT_MIDDLE, Unit, bold, percent, stroke, text};
use super::surface::{Area, Surface};
use super::ticks::{self, Tick};

const UNIT: Unit = Unit(1.0);
const SIZE: (u32, u32) = (1600, 560);
/// Left of each axes, for its scale.
const MARGIN: i32 = 86;
/// From one axes to the next.
const PANEL: i32 = 514;
/// Between two axes.
const GAP: i32 = 94;
const TOP: i32 = 96;
const BOTTOM: i32 = 486;
/// With more epochs than this a line alone is clearer.
const MOST_MARKS: usize = 40;

const BLACK: RGBColor = RGBColor(0x30, 0x30, 0x30);
const BLUE: RGBColor = RGBColor(0x1f, 0x5f, 0xc4);
const RED: RGBColor = RGBColor(0xd6, 0x27, 0x28);
const GREEN: RGBColor = RGBColor(0x1a, 0x85, 0x3a);
/// Of the loss's terms over the whole batch.
const TERMS: [RGBColor; 4] = [
    RGBColor(0x8a, 0x4f, 0xb8),
    RGBColor(0xe0, 0x7b, 0x00),
    RGBColor(0x00, 0x8c, 0x95),
    RGBColor(0x8c, 0x56, 0x4b),
];

/// One line of a panel.
struct Curve {
    name: String,
    color: RGBColor,
    /// Epoch and value; epochs without a finite value are left out.
    points: Vec<[f64; 2]>,
}

/// One axes with its curves.
struct Panel {
    heading: &'static str,
    unit: Measure,
    curves: Vec<Curve>,
}

/// What a panel's numbers are, which decides their axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Loss,
    Share,
    Rate,
}

/// What is drawn of a run.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// In any order; some may be missing.
    pub epochs: &'a [EpochMetrics],
    /// Whether the images were drawn by the program itself.
    pub synthetic: bool,
}

/// Draws the run so far, 1600 × 560 pixels. Losses stand on a logarithmic axis where they span
/// more than a factor of eight.
pub fn draw_curves(history: History, format: PictureFormat) -> Result<Vec<u8>, PictureError> {
    let mut epochs = history.epochs.to_vec();
    epochs.sort_by_key(|metrics| metrics.epoch);
    let (Some(first), Some(last)) = (epochs.first(), epochs.last()) else {
        return Err(PictureError::NoEpoch);
    };
    let span = [first.epoch.0 as f64, last.epoch.0 as f64];
    render(format, SIZE, |surface| {
        paint(surface, &panels(&epochs), span)?;
        let right = MARGIN + 3 * PANEL - GAP;
        if history.synthetic {
            badge::synthetic(&surface.area(), right, UNIT)?;
        }
        Ok(())
    })
}

fn panels(epochs: &[EpochMetrics]) -> [Panel; 3] {
    let curve = |name: &str, color, value: &dyn Fn(&EpochMetrics) -> Option<f64>| {
        let point = |metrics: &EpochMetrics| {
            let value = value(metrics).filter(|value| value.abs() < 1e100);
            value.map(|value| [metrics.epoch.0 as f64, value])
        };
        let points = epochs.iter().filter_map(point).collect();
        Curve { name: name.to_string(), color, points }
    };
    let names = epochs.first().map_or(&[][..], |metrics| &metrics.terms.0).iter();
    let names: Vec<&str> = names.map(|term| term.name.as_str()).collect();
    let mut losses = Vec::new();
    if names.is_empty() || epochs.iter().any(|metrics| metrics.softmax_loss != 0.0) {
        losses.push(curve("softmax", BLUE, &|m| Some(m.softmax_loss)));
    }
    if epochs.iter().any(|metrics| metrics.center_loss != 0.0) {
        losses.push(curve("center", RED, &|m| Some(m.center_loss)));
    }
    for (name, color) in names.into_iter().zip(TERMS.into_iter().cycle()) {
        let is_it = |term: &&TermMetrics| term.name == name;
        losses.push(curve(name, color, &|m| m.terms.0.iter().find(is_it).map(|term| term.loss)));
    }
    if losses.len() > 1 {
        losses.insert(0, curve("total", BLACK, &|m| Some(m.loss)));
    }
    let mut shares = vec![curve("train", BLUE, &|m| Some(m.train_accuracy))];
    if epochs.iter().any(|metrics| metrics.test.test_accuracy.is_some()) {
        shares.push(curve("test", RED, &|m| m.test.test_accuracy));
    }
    let rates = vec![curve("network", GREEN, &|m| Some(m.lr))];
    [
        Panel { heading: "loss", unit: Measure::Loss, curves: losses },
        Panel { heading: "accuracy", unit: Measure::Share, curves: shares },
        Panel { heading: "learning rate", unit: Measure::Rate, curves: rates },
    ]
}

fn paint(surface: &mut Surface, panels: &[Panel], epochs: [f64; 2]) -> Result<(), PictureError> {
    let area = surface.area();
    for (index, panel) in panels.iter().enumerate() {
        let left = MARGIN + PANEL * index as i32;
        let (window, y_scale) = panel.window(epochs);
        let right = left + PANEL - GAP;
        let axes = Axes { left, top: TOP, right, bottom: BOTTOM, window, y_scale };
        panel.frame(&area, &axes, epochs)?;
        panel.legend(&area, left)?;
        panel.curves.iter().try_for_each(|curve| curve.draw(&area, &axes))?;
    }
    Ok(())
}

impl Panel {
    /// The values' range with some room around it, and how it is spread.
    fn window(&self, epochs: [f64; 2]) -> (Window, Scale) {
        let values = || self.curves.iter().flat_map(|curve| &curve.points).map(|point| point[1]);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let side = ((epochs[1] - epochs[0]) * 0.03).max(0.5);
        let x = [epochs[0] - side, epochs[1] + side];
        let (y, scale) = match self.unit {
            _ if low > high => ([0.0, 1.0], Scale::Linear),
            Measure::Loss if low > 1e-100 && high > 8.0 * low => {
                ([low / 1.25, high * 1.25], Scale::Logarithmic)
            }
            Measure::Share => {
                let room = ((high - low) * 0.06).max(0.005);
                ([low - room, (high + room).min(1.0 + room)], Scale::Linear)
            }
            // From 0, so that heights compare.
            _ => {
                let top = high.max(0.0) * 1.08;
                ([low.min(0.0) * 1.08, if top > 1e-12 { top } else { 1.0 }], Scale::Linear)
            }
        };
        (Window { x, y }, scale)
    }

    fn frame(&self, area: &Area, axes: &Axes, epochs: [f64; 2]) -> Result<(), PictureError> {
        // Never more marks than epochs, so that none falls between two.
        let most = (axes.window.x[1] - axes.window.x[0]).min(7.0) as usize;
        let mut x_ticks = ticks::linear(axes.window.x[0], axes.window.x[1], most);
        x_ticks.retain(|tick| tick.value >= epochs[0] && tick.value <= epochs[1]);
        let mut y_ticks = axes.y_ticks(60);
        if self.unit == Measure::Share {
            y_ticks.retain(|tick| tick.value <= 1.0);
            as_percent(&mut y_ticks);
        }
        let labels = Labels { x_ticks: &x_ticks, y_ticks: &y_ticks, x_name: "epoch", y_name: "" };
        axes.draw(area, &labels, UNIT)
    }

    /// Heading, and what each curve is with its last value, in two lines above the axes.
    fn legend(&self, area: &Area, left: i32) -> Result<(), PictureError> {
        area.draw_text(self.heading, &bold(22.0, INK, LEFT), (left, 40))?;
        let style = text(16.0, INK, LEFT_MIDDLE);
        let (mut x, y) = (left, 70);
        for curve in &self.curves {
            area.draw(&PathElement::new([(x, y), (x + 18, y)], stroke(curve.color, 4)))?;
            let value = curve.points.last().map_or_else(String::new, |p| self.unit.written(p[1]));
            let label = format!("{} {value}", curve.name);
            area.draw_text(&label, &style, (x + 25, y))?;
            x += 25 + area.estimate_text_size(&label, &style)?.0 as i32 + 14;
        }
        Ok(())
    }
}

impl Curve {
    fn draw(&self, area: &Area, axes: &Axes) -> Result<(), PictureError> {
        let path: Vec<_> = self.points.iter().map(|point| axes.pixel(*point)).collect();
        if path.len() <= MOST_MARKS {
            for &place in &path {
                area.draw(&Circle::new(place, 5, self.color.filled()))?;
            }
        }
        area.draw(&PathElement::new(path, stroke(self.color, 3)))?;
        Ok(())
    }
}

impl Measure {
    fn written(self, value: f64) -> String {
        match self {
            Self::Share => percent(value),
            _ if value != 0.0 && value.abs() < 1e-3 => format!("{value:.2e}").replace('-', "−"),
            Self::Loss if value.abs() >= 0.01 => format!("{value:.3}"),
            Self::Loss => format!("{value:.4}"),
            Self::Rate => format!("{value:.6}").trim_end_matches('0').to_owned(),
        }
    }
}

/// Rewrites shares as percents, with as many places as tell them apart.
fn as_percent(ticks: &mut [Tick]) {
    let places = [0, 1, 2, 3].into_iter().find(|&places| {
        let exact = |tick: &Tick| {
            let text = format!("{:.places$}", 100.0 * tick.value);
            text.parse().is_ok_and(|value: f64| (value - 100.0 * tick.value).abs() < 1e-6)
        };
        ticks.iter().all(exact)
    });
    let places = places.unwrap_or(4);
    for tick in ticks {
        tick.label = format!("{:.places$} %", 100.0 * tick.value);
    }
}

#[cfg(test)]
#[path = "curves/tests.rs"]
mod tests;
