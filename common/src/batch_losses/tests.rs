//! What every loss of the table must hold, and the random batches it is tried on. A new loss is tested by being listed.

use super::*;

/// Features, labels and own parameters.
#[derive(Clone, Debug)]
pub struct Sample {
    pub features: Vec<f64>,
    pub labels: Vec<u16>,
    pub own: Vec<f64>,
}

const DIM: usize = 4;
const CLASSES: usize = 5;

/// The loss of a batch whose dimension follows from its length, of as many classes as `own` has rows.
pub fn evaluate(loss: &dyn Criterion, features: &[f64], labels: &[u16], own: &[f64]) -> BatchLoss {
    let dim = features.len() / labels.len();
    let classes = labels.iter().map(|&label| usize::from(label) + 1).max().unwrap_or(0);
    let classes = classes.max(own.len() / dim);
    loss.evaluate(&Batch::new(features, labels, dim, classes).unwrap(), own)
}

/// Normal numbers, the same on every machine: SplitMix64 and Box & Muller.
pub fn normal(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    move || {
        let radius = (-2.0 * libm::log(1.0 - uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * uniform())
    }
}

/// Samples scattered by 1 in every dimension around class means that are; own parameters: the means.
pub fn scattered(seed: u64, samples: usize, dim: usize, classes: usize) -> Sample {
    let mut normal = normal(seed);
    let own: Vec<f64> = (0..classes * dim).map(|_| normal()).collect();
    let mut draw = move || (libm::fabs(normal()) * 1e6) as usize % classes;
    let labels: Vec<u16> = (0..samples).map(|_| draw() as u16).collect();
    let mut normal = self::normal(!seed);
    let mean = |label: &u16| &own[usize::from(*label) * dim..(usize::from(*label) + 1) * dim];
    let features = labels.iter().flat_map(mean).map(|mean| mean + normal()).collect();
    Sample { features, labels, own }
}

/// The sample, with the own parameters that the loss wants.
fn evaluate_sample(loss: &dyn Criterion, sample: &Sample) -> BatchLoss {
    let batch = Batch::new(&sample.features, &sample.labels, DIM, CLASSES).unwrap();
    loss.evaluate(&batch, own(loss, sample))
}

fn own<'a>(loss: &dyn Criterion, sample: &'a Sample) -> &'a [f64] {
    &sample.own[..loss.own().len(CLASSES, DIM)]
}

fn losses() -> impl Iterator<Item = (&'static str, Box<dyn Criterion>)> {
    LOSSES.iter().map(|entry| (entry.name, entry.with(&[]).unwrap()))
}

/// Largest difference of the gradient from central differences of step 2·10⁻⁶, over its largest number.
pub fn gradient_error(gradient: &[f64], loss: impl Fn(usize, f64) -> f64) -> f64 {
    let largest = gradient.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
    let step = 2e-6;
    let difference = |i| (loss(i, step) - loss(i, -step)) / (2.0 * step);
    let errors = gradient.iter().enumerate().map(|(i, g)| (difference(i) - g).abs());
    errors.fold(0.0, f64::max) / largest
}

#[test]
fn gradients_are_the_central_differences() {
    for (name, loss) in losses() {
        for seed in 0..5 {
            let sample = scattered(seed, 12, DIM, CLASSES);
            let found = evaluate_sample(&*loss, &sample);
            let to_features = gradient_error(&found.to_features, |i, step| {
                let mut moved = sample.clone();
                moved.features[i] += step;
                evaluate_sample(&*loss, &moved).loss
            });
            assert!(to_features < 1e-6, "{name}, features: {to_features:e}");
            if loss.own() != Own::Nothing {
                let to_own = gradient_error(&found.to_own, |i, step| {
                    let mut moved = sample.clone();
                    moved.own[i] += step;
                    evaluate_sample(&*loss, &moved).loss
                });
                assert!(to_own < 1e-6, "{name}, own: {to_own:e}");
            }
        }
    }
}

#[test]
fn the_order_of_the_samples_changes_rounding_alone() {
    for (name, loss) in losses() {
        let sample = scattered(7, 20, DIM, CLASSES);
        let order: Vec<usize> = (0..20).map(|i| (i * 7 + 3) % 20).collect();
        let row = |i: &usize| sample.features[i * DIM..(i + 1) * DIM].to_vec();
        let shuffled = Sample {
            features: order.iter().flat_map(row).collect(),
            labels: order.iter().map(|&i| sample.labels[i]).collect(),
            own: sample.own.clone(),
        };
        let (a, b) = (evaluate_sample(&*loss, &sample), evaluate_sample(&*loss, &shuffled));
        assert_eq!(a.anchors, b.anchors);
        let moved = order.iter().flat_map(|i| a.to_features[i * DIM..(i + 1) * DIM].to_vec());
        let a = [vec![a.loss], moved.collect(), a.to_own].concat();
        let b = [vec![b.loss], b.to_features, b.to_own].concat();
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-13), "{name}");
        assert!(a.iter().any(|number| *number != 0.0), "{name}");
    }
}

#[test]
fn numbers_that_are_not_finite_make_everything_nan() {
    for (name, loss) in losses() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut sample = scattered(1, 6, DIM, CLASSES);
            sample.features[5] = bad;
            let found = evaluate_sample(&*loss, &sample);
            assert!(found.loss.is_nan() && found.to_features.iter().all(|g| g.is_nan()), "{name}");
            let mut sample = scattered(1, 6, DIM, CLASSES);
            sample.own[3] = bad;
            let found = evaluate_sample(&*loss, &sample);
            assert_eq!(found.loss.is_nan(), loss.own() != Own::Nothing, "{name}");
        }
    }
}

#[test]
fn huge_numbers_do_not_panic() {
    for (name, loss) in losses() {
        let mut sample = scattered(1, 6, DIM, CLASSES);
        sample.features.iter_mut().for_each(|f| *f *= 1e200);
        assert!(!evaluate_sample(&*loss, &sample).loss.is_finite(), "{name}");
    }
}

#[test]
fn small_and_uniform_batches_are_finite() {
    for (name, loss) in losses() {
        for (samples, label, equal) in
            [(0, None, false), (1, None, false), (6, Some(2), false), (6, None, true)]
        {
            let mut sample = scattered(3, samples, DIM, CLASSES);
            sample.labels.iter_mut().for_each(|l| *l = label.unwrap_or(*l));
            if equal {
                sample.features.fill(0.5);
            }
            let found = evaluate_sample(&*loss, &sample);
            let numbers = found.to_features.iter().chain(&found.to_own);
            assert!(found.loss.is_finite() && numbers.clone().all(|g| g.is_finite()), "{name}");
            assert_eq!(found.to_features.len(), samples * DIM);
            if found.anchors == 0 {
                assert!(found.loss == 0.0 && numbers.clone().all(|g| *g == 0.0), "{name}");
            }
        }
    }
}

#[test]
fn a_batch_without_a_positive_pair_is_nothing_to_the_losses_of_pairs() {
    for name in ["supcon", "triplet", "triplet-soft"] {
        let features = scattered(1, 5, DIM, CLASSES).features;
        let found = evaluate(&*find(name, &[]).unwrap(), &features, &[0, 1, 2, 3, 4], &[]);
        assert_eq!((found.loss, found.anchors), (0.0, 0));
        assert!(found.to_features.iter().all(|g| *g == 0.0));
    }
}

#[test]
fn what_is_not_a_batch_is_refused() {
    assert!(Batch::new(&[1.0; 5], &[0, 1], 2, 2).is_err());
    assert!(Batch::new(&[], &[], 0, 2).is_err());
    let error = Batch::new(&[1.0; 4], &[0, 2], 2, 2).unwrap_err();
    assert_eq!(error, BatchError::Label { sample: 1, label: 2, classes: 2 });
}
