//! Features for tests: ten clusters on rays, from integers alone; and as many as there are names.

use common::ids::Epoch;
use common::metrics::{EpochMetrics, TermsMetrics};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

use super::raster::{Raster, Rgb};
use crate::results::epoch_features::{EpochFeatures, FeatureSet, Points};
use crate::results::geometry::{accuracy, test_metrics};

/// Where the ten rays point, in two dimensions.
const RAYS: [[f64; 2]; 10] = [
    [10.0, 0.0],
    [8.1, 5.9],
    [3.1, 9.5],
    [-3.1, 9.5],
    [-8.1, 5.9],
    [-10.0, 0.0],
    [-8.1, -5.9],
    [-3.1, -9.5],
    [3.1, -9.5],
    [8.1, -5.9],
];

/// About normal, standard deviation 1, from a number.
fn noise(seed: u64) -> f64 {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        state ^= state >> 29;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 32;
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..12).map(|_| uniform()).sum()
}

/// `n` samples of `dim` features, class i mod 10, and a test set of a sixth of that.
pub(crate) fn ten_clusters(n: usize, dim: usize) -> EpochFeatures {
    spread_clusters(n, dim, 0.9, 12)
}

/// The same at some epoch, with `spread` around the rays.
pub(crate) fn spread_clusters(n: usize, dim: usize, spread: f64, epoch: u64) -> EpochFeatures {
    let (train, test) = (cluster_set(n, dim, spread, 1), cluster_set(n / 6, dim, spread * 1.1, 2));
    let centers = (0..10).flat_map(|class| (0..dim).map(move |k| ray(class, k))).collect();
    let centers = Points { dim, values: centers };
    let metrics = EpochMetrics {
        epoch: Epoch(epoch),
        loss: 0.38,
        softmax_loss: 0.29,
        center_loss: 0.09,
        terms: TermsMetrics::default(),
        train_accuracy: accuracy(&train).unwrap_or(0.0),
        lr: 1e-3,
        images_per_second: 0.0,
        test: test_metrics(&test, 10, Some(&centers)),
    };
    let (dataset, centers) = ("mnist".into(), Some(centers));
    let class_names = (0..10).map(|class| class.to_string()).collect();
    let (synthetic, test) = (false, Some(test));
    EpochFeatures { metrics, dataset, synthetic, class_names, train, test, centers }
}

/// `n` samples in the plane, a cluster for each name, and a test set of a sixth of that; every class is now and then
/// taken for the next.
pub(crate) fn named_clusters(class_names: &[String], n: usize) -> EpochFeatures {
    let mut features = ten_clusters(0, 2);
    let classes = class_names.len();
    features.class_names = class_names.into();
    features.dataset = "images".to_owned();
    // A sunflower's seeds: every center is about as far from its neighbours.
    let center = |class: usize| {
        let (angle, reach) =
            (2.399_963 * class as f64, ((class as f64 + 0.5) / classes as f64).sqrt());
        [reach * libm::cos(angle), reach * libm::sin(angle)]
    };
    let spread = 0.35 / (classes as f64).sqrt();
    let set = |n: usize, seed: u64| {
        let mut set =
            FeatureSet { features: Points { dim: 2, values: vec![] }, ..FeatureSet::default() };
        for i in 0..n {
            let class = i % classes;
            let base = seed * 1_000_003 + 4 * i as u64;
            let [x, y] = center(class);
            set.features.values.extend([x + spread * noise(base), y + spread * noise(base + 1)]);
            set.labels.push(class as u16);
            let taken = if noise(base + 2) > 1.3 { class + 1 + i / classes % 3 } else { class };
            set.predictions.push((taken % classes) as u16);
        }
        set
    };
    (features.train, features.test) = (set(n, 1), Some(set(n / 6, 2)));
    let centers = (0..classes).flat_map(center).collect();
    features.centers = Some(Points { dim: 2, values: centers });
    features.metrics.train_accuracy = accuracy(&features.train).unwrap_or(0.0);
    features
}

/// `0`, `1`, `2` and so on.
pub(crate) fn numbers(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

fn ray(class: usize, k: usize) -> f64 {
    10.0 * RAYS[class][k % 2] * if (class + k / 2).is_multiple_of(1 + k / 2) { 1.0 } else { -0.3 }
}

fn cluster_set(n: usize, dim: usize, spread: f64, seed: u64) -> FeatureSet {
    let mut set = FeatureSet { features: Points { dim, values: vec![] }, ..FeatureSet::default() };
    for i in 0..n {
        let class = i % 10;
        let base = seed * 1_000_003 + (i * (dim + 2)) as u64;
        let reach = 1.0 + 0.22 * spread * noise(base);
        let value = |k| reach * ray(class, k) + 5.0 * spread * noise(base + 1 + k as u64);
        set.features.values.extend((0..dim).map(value));
        set.labels.push(class as u16);
        let wrong = noise(base + 1 + dim as u64) > 2.1;
        set.predictions.push(if wrong {
            (class + 3 + i / 10 % 4) as u16 % 10
        } else {
            class as u16
        });
    }
    set
}

impl Raster {
    /// Width and height.
    pub fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The colour of a pixel.
    pub fn pixel(&self, x: u32, y: u32) -> Rgb {
        let start = 3 * (y * self.width + x) as usize;
        self.pixels[start..start + 3].try_into().unwrap()
    }
}

/// The pixels of a PNG.
pub(super) fn decode(bytes: &[u8]) -> Raster {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let png::OutputInfo { width, height, color_type, .. } = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(color_type, png::ColorType::Rgb);
    Raster { width, height, pixels }
}

/// The pixels of a JPEG.
pub(super) fn decode_jpeg(bytes: &[u8]) -> Raster {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    let pixels = decoder.decode().unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    Raster { width: width as u32, height: height as u32, pixels }
}
