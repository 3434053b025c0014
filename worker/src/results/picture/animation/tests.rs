//! The animation, read back frame by frame.

use super::*;
use crate::results::picture::testing::{named_clusters, numbers, spread_clusters};

fn animate(epochs: &[EpochFeatures]) -> Vec<u8> {
    let extents = epochs.iter().map(|features| Extent::of(features).unwrap());
    let mut animation = Animation::new(extents.reduce(Extent::union).unwrap());
    epochs.iter().for_each(|features| animation.push(features).unwrap());
    animation.finish().unwrap()
}

fn three_epochs() -> Vec<EpochFeatures> {
    (0..3).map(|k| spread_clusters(300, 2, 2.0 / (k + 1) as f64, k)).collect()
}

#[test]
fn there_is_a_frame_for_each_epoch_and_the_last_one_stays() {
    let bytes = animate(&three_epochs());
    assert_eq!(bytes, animate(&three_epochs()));
    let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (800, 400));
    assert_eq!(decoder.repeat(), Repeat::Infinite);
    let mut delays = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        delays.push(frame.delay);
    }
    assert_eq!(delays, [DELAY, DELAY, LAST_DELAY]);
}

#[test]
fn the_axes_stay_where_they_are() {
    let epochs = three_epochs();
    let bytes = animate(&epochs);
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes.as_slice()).unwrap();
    let mut scales = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        // Below the axes there is nothing but their scales and names.
        scales.push(frame.buffer[4 * 800 * 366..].to_vec());
    }
    assert_eq!(scales[0], scales[1]);
    assert_eq!(scales[0], scales[2]);
    assert!(scales[0].iter().any(|value| *value < 100));
}

#[test]
fn no_epoch_is_an_error() {
    let extent = Extent::of(&spread_clusters(10, 2, 1.0, 0)).unwrap();
    assert!(matches!(Animation::new(extent).finish(), Err(PictureError::NoEpoch)));
}

#[test]
fn any_number_of_classes_is_animated() {
    for classes in [2, 11, 100, 1000] {
        let epochs = vec![named_clusters(&numbers(classes), 4 * classes)];
        let bytes = animate(&epochs);
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes.as_slice()).unwrap();
        let frame = decoder.read_next_frame().unwrap().unwrap();
        for color in crate::results::picture::colors::class_colors(classes.min(100)) {
            let found = frame.buffer.as_chunks::<4>().0.iter().any(|pixel| pixel[..3] == color);
            assert!(found, "{color:?} of {classes} classes");
        }
    }
}
