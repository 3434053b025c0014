//! Legends fit: each name within its column, all within the picture, and what is missing is counted.

use super::*;
use crate::results::picture::surface::Surface;
use crate::results::picture::testing::numbers;

const UNITS: [Unit; 2] = [Unit(1.0), Unit(0.5)];

fn long_names(classes: usize) -> Vec<String> {
    (0..classes).map(|class| format!("{class} of many long names, {}", "W".repeat(60))).collect()
}

fn check(class_names: &[String], numbered: bool, unit: Unit) -> Legend {
    let names = Names::new(class_names);
    let legend = Legend::new(&names, numbered, unit);
    let classes = class_names.len();
    assert!(legend.width <= unit.px(WIDEST) + 1, "{classes} classes: {}", legend.width);
    let top = unit.px(100);
    assert!(legend.bottom(top) <= top + unit.px(HEIGHT), "{classes} classes");
    let size = unit.text(legend.density.letters);
    for name in &legend.names {
        let before = unit.px(legend.density.text) + legend.numbers;
        let end = before + width(name, size, Weight::Regular);
        assert!(end <= legend.pitch.min(legend.width), "{name} of {classes}");
    }
    // Rows do not touch.
    assert!(legend.row(top, 1) - legend.row(top, 0) >= (size * 0.95) as i32);
    assert!(legend.rows * legend.columns() >= legend.names.len());
    legend
}

impl Legend {
    fn columns(&self) -> usize {
        self.width as usize / self.pitch.max(1) as usize
    }
}

#[test]
fn every_number_of_classes_fits() {
    for unit in UNITS {
        for classes in [2, 11, 49, 100, 1000] {
            for numbered in [false, true] {
                let legend = check(&numbers(classes), numbered, unit);
                assert!(legend.names.len() == classes || classes == 1000);
                let legend = check(&long_names(classes), numbered, unit);
                assert!(legend.names.len() == classes || classes >= 100);
                assert!(legend.names[1].starts_with("1 of") && legend.names[1].ends_with('…'));
            }
        }
    }
}

#[test]
fn ten_digits_stand_as_they_always_did() {
    let legend = check(&numbers(10), false, Unit(1.0));
    assert_eq!((legend.width, legend.rows, legend.density.row), (NARROWEST, 10, 42));
}

#[test]
fn what_is_left_out_is_counted() {
    let said = |class_names: &[String]| {
        let legend = Legend::new(&Names::new(class_names), false, Unit(1.0));
        let mut surface = Surface::vector((600, 800));
        legend.draw(&surface.area(), (32, 100)).unwrap();
        let Surface::Vector { svg, .. } = surface else { unreachable!("it stays one") };
        (legend.names.len(), svg.finish())
    };
    for class_names in [numbers(1000), long_names(1000), long_names(150)] {
        let (listed, svg) = said(&class_names);
        assert!(listed < class_names.len());
        let words = format!("and {} more", class_names.len() - listed);
        assert!(svg.contains(&words), "{words}");
        assert_eq!(svg.matches("<circle").count(), listed);
    }
    assert!(!said(&numbers(100)).1.contains(" more"));
}
