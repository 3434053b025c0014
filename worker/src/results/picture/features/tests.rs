//! The pictures themselves: what is where, in which colour, and the same every time.

use super::*;
use crate::results::epoch_features::Points;
use crate::results::picture::style;
use crate::results::picture::testing::{
    decode, decode_jpeg, named_clusters, numbers, ten_clusters,
};

/// The axes of the full-size picture, as painted.
fn axes_of(features: &EpochFeatures, panel: i32) -> Axes {
    let scene = Scene::new(features).unwrap();
    let window = Extent::around(&scene).unwrap().window(SIDE, SIDE);
    Layout::new(&scene, &features.class_names, Unit(1.0)).axes(panel, window)
}

#[test]
fn every_class_appears_in_its_colour_where_its_samples_lie() {
    let mut features = ten_clusters(3_000, 2);
    features.centers = None;
    let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
    let colors = class_colors(10);
    assert_eq!(image.dimensions(), (1600, 800));
    for (panel, set) in [(0, &features.train), (1, features.test.as_ref().unwrap())] {
        let axes = axes_of(&features, panel);
        let mut right = [0; 10];
        for (row, label) in set.features.rows().zip(&set.labels) {
            let (x, y) = axes.pixel([row[0], row[1]]);
            let class = usize::from(*label);
            right[class] += i32::from(image.pixel(x as u32, y as u32) == colors[class]);
        }
        // Some dots lie under others.
        let least = set.len() as i32 / 10 * 8 / 10;
        assert!(right.iter().all(|count| *count >= least), "{right:?} of {least}");
    }
}

#[test]
fn a_center_is_a_white_dot_with_a_dark_rim() {
    let features = ten_clusters(600, 2);
    let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
    for panel in 0..2 {
        let axes = axes_of(&features, panel);
        for row in features.centers.as_ref().unwrap().rows() {
            let (x, y) = axes.pixel([row[0], row[1]]);
            let at = |dx: i32, dy: i32| image.pixel((x + dx) as u32, (y + dy) as u32);
            for (dx, dy) in [(0, 0), (3, 0), (0, -3)] {
                assert_eq!(at(dx, dy), [255; 3]);
            }
            let rim = [(6, 0), (-6, 0), (0, 6), (0, -6)].map(|(dx, dy)| at(dx, dy));
            assert!(rim.iter().filter(|[r, ..]| *r < 0x40).count() >= 3, "{rim:?}");
        }
    }
}

#[test]
fn the_legend_lies_outside_the_axes() {
    let mut features = ten_clusters(60, 2);
    let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
    let right = axes_of(&features, 1).right as u32;
    for color in class_colors(10) {
        let column = |x: u32| (0..800).any(|y| image.pixel(x, y) == color);
        assert!((right + 1..1600).any(column), "{color:?} is not in the legend");
    }
    // Within the axes there is nothing but background and grid where there are no samples.
    features.train =
        FeatureSet { features: Points { dim: 2, values: vec![] }, ..Default::default() };
    features.centers = None;
    let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
    let axes = axes_of(&features, 0);
    let [background, grid] = [style::AXES_BACKGROUND, style::GRID].map(|c| [c.0, c.1, c.2]);
    for y in axes.top + 1..axes.bottom {
        for x in axes.left + 1..axes.right {
            let pixel = image.pixel(x as u32, y as u32);
            let between =
                pixel.iter().zip(background).zip(grid).all(|((p, b), g)| *p >= b && *p <= g);
            assert!(between, "{pixel:?} at {x}, {y}");
        }
    }
}

#[test]
fn scales_are_equal_and_both_panels_show_the_same_range() {
    let features = ten_clusters(60, 2);
    let (left, right) = (axes_of(&features, 0), axes_of(&features, 1));
    assert_eq!(left.window, right.window);
    let [origin, across, up] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]].map(|p| left.place(p));
    assert!((across.0 - origin.0 - (origin.1 - up.1)).abs() < 1e-3);
}

#[test]
fn equal_features_give_equal_bytes() {
    for features in [ten_clusters(500, 2), ten_clusters(500, 5)] {
        for format in [PictureFormat::Png, PictureFormat::Jpg, PictureFormat::Svg] {
            let bytes = draw_features(&features, format).unwrap();
            assert_eq!(bytes, draw_features(&features, format).unwrap());
        }
    }
}

#[test]
fn jpeg_and_svg_are_what_they_say() {
    let features = ten_clusters(500, 2);
    let jpeg = draw_features(&features, PictureFormat::Jpg).unwrap();
    let (jpeg, png) =
        (decode_jpeg(&jpeg), decode(&draw_features(&features, PictureFormat::Png).unwrap()));
    assert_eq!(jpeg.dimensions(), png.dimensions());
    let distance =
        jpeg.pixels.iter().zip(&png.pixels).map(|(one, other)| f64::from(one.abs_diff(*other)));
    assert!(distance.sum::<f64>() / (png.pixels.len() as f64) < 2.0);
    let svg = String::from_utf8(draw_features(&features, PictureFormat::Svg).unwrap()).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    for color in ["#ff0000", "#ffff00", "#009999"] {
        assert!(svg.contains(&format!("<path stroke=\"{color}\" d=\"m")), "{color}");
    }
    assert!(svg.contains("aria-label=\"epoch=12\""));
}

#[test]
fn every_dimension_is_drawn_and_a_projection_says_so() {
    let svg = |dim| {
        let bytes = draw_features(&ten_clusters(200, dim), PictureFormat::Svg).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert!(!svg(2).contains("PCA"));
    for dim in [1, 3, 16, 64] {
        assert!(svg(dim).contains(&format!("PCA of {dim} feature")), "{dim}");
    }
    assert!(svg(3).contains("principal component 2 ("));
}

#[test]
fn long_names_and_numbers_stay_within_the_picture() {
    let mut features = ten_clusters(200, 64);
    features.synthetic = true;
    features.dataset = "/somewhere/far/away/with/a/very/long/name".into();
    features.metrics.epoch = common::ids::Epoch(99_999);
    features.train.features.values.iter_mut().for_each(|value| *value *= -1e5);
    for _ in 0..2 {
        let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
        let (width, height) = image.dimensions();
        let at_edge = |x, y| x < 4 || y < 4 || x + 4 >= width || y + 4 >= height;
        let mut pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let ink = pixels.find(|&(x, y)| at_edge(x, y) && image.pixel(x, y) != [255; 3]);
        assert_eq!(ink, None);
        // Between title and badge there is white.
        let badge = (0..width).find(|x| image.pixel(*x, 20) == [0xc6, 0x1a, 0x1a]).unwrap();
        let column_is_white = |x| (0..60).all(|y| image.pixel(x, y) == [255; 3]);
        assert!((badge - 10..badge).all(column_is_white));
        features.test = None;
        features.metrics.test = Default::default();
    }
}

#[test]
fn synthetic_digits_are_called_so() {
    let mut features = ten_clusters(50, 2);
    let drawn = |features: &EpochFeatures| draw_features(features, PictureFormat::Svg).unwrap();
    let says_so = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().contains("SYNTHETIC DIGITS");
    assert!(!says_so(drawn(&features)));
    features.synthetic = true;
    assert!(says_so(drawn(&features)));
}

#[test]
fn odd_features_are_drawn_or_refused_but_never_hang() {
    let mut features = ten_clusters(50, 2);
    features.test = None;
    let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
    assert_eq!(image.dimensions(), (876, 800));
    for same in [0.0, 7.0, -1e30, 1e-30] {
        features.train.features.values.fill(same);
        features.centers = None;
        draw_features(&features, PictureFormat::Png).unwrap();
    }
    for bad in [f64::NAN, f64::INFINITY, 1e200] {
        features.train.features.values[3] = bad;
        draw_features(&features, PictureFormat::Png).unwrap_err();
    }
}

#[test]
fn two_classes_to_a_thousand_are_drawn_within_the_picture() {
    let long = |classes: usize| -> Vec<String> {
        (0..classes).map(|class| format!("{class} is a rather long name")).collect()
    };
    for classes in [2, 10, 11, 49, 100, 1000] {
        for names in [numbers(classes), long(classes)] {
            let features = named_clusters(&names, 3 * classes);
            let image = decode(&draw_features(&features, PictureFormat::Png).unwrap());
            let (width, height) = image.dimensions();
            assert!((1600..=2012).contains(&width) && height == 800, "{width} × {height}");
            let at_edge = |x, y| x < 4 || y < 4 || x + 4 >= width || y + 4 >= height;
            let mut pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let ink = pixels.find(|&(x, y)| at_edge(x, y) && image.pixel(x, y) != [255; 3]);
            assert_eq!(ink, None, "{classes}");
        }
    }
}

#[test]
fn numbers_at_centers_are_explained_by_the_legend() {
    let names: Vec<String> = (0..20).map(|class| format!("kind of bird {class}")).collect();
    let mut features = named_clusters(&names, 200);
    let svg = |features: &EpochFeatures| {
        String::from_utf8(draw_features(features, PictureFormat::Svg).unwrap()).unwrap()
    };
    let with_centers = svg(&features);
    assert!(with_centers.matches("aria-label=\"19\"").count() > 1);
    assert!(with_centers.contains("aria-label=\"kind of bird 19\""));
    features.centers = None;
    assert!(!svg(&features).contains("aria-label=\"19\""));
}

#[test]
fn odd_names_are_shown_harmlessly() {
    let odd = ["", " \t ", "שלום עולם", "\u{202e}evil\u{0}\u{1b}[31m", "<&\">'", "猫", "a\nb"];
    let mut names: Vec<String> = odd.iter().map(|name| (*name).to_owned()).collect();
    names.push("x".repeat(200));
    names.push("0".to_owned());
    let mut features = named_clusters(&names, 90);
    features.dataset = "a <strange> \u{7} \"name\" & more".to_owned();
    for draw in [draw_features, crate::results::picture::draw_confusion] {
        draw(&features, PictureFormat::Png).unwrap();
        let svg = String::from_utf8(draw(&features, PictureFormat::Svg).unwrap()).unwrap();
        assert!(svg.chars().all(|sign| sign == '\n' || !sign.is_control()));
        assert!(!svg.contains('\u{202e}') && !svg.contains("<&"));
        for shown in ["#0", "#2", "evil[31m", "&lt;&amp;&quot;&gt;'", "#5", "a b", "xxxx"] {
            let shown = shown.replace("&gt;", ">");
            assert!(svg.contains(&format!("aria-label=\"{shown}")), "{shown}");
        }
    }
}
