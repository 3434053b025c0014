//! The engine against the definition, for layers of all kinds.

use proptest::prelude::*;

use super::case::{Case, NAMES, cases, numbers};
use engine::*;

/// Largest error, as a part of the largest sum of products' absolute values: in 64 bits, and in 32. Of 3,000 random layers the
/// worst was that of the kernel's gradient over a single image of 3 × 4 pixels, 6e-6: a part of one tile.
const BOUNDS: [f64; 2] = [4e-14, 2e-5];

fn largest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(
        0.0,
        |largest, number| if number > largest || number.is_nan() { number } else { largest },
    )
}

/// The largest error of each result.
fn errors<T: Number>(case: &Case, engine: Engine<'_>) -> [f64; 3] {
    let layer = Convolution::new(case.shape).unwrap();
    let (expected, scale) = (case.definition(), case.absolute().definition());
    let found = case.computed::<T>(engine, &layer);
    std::array::from_fn(|result| {
        let pairs = found[result].iter().zip(&expected[result]);
        let error = largest(pairs.map(|(found, expected)| (found.to_f64() - expected).abs()));
        // Where nothing is summed, nothing may be wrong.
        error / largest(scale[result].iter().copied()).max(f64::MIN_POSITIVE)
    })
}

fn check<T: Number>(case: &Case, engine: Engine<'_>, bound: f64) {
    for (error, name) in errors::<T>(case, engine).iter().zip(NAMES) {
        let images = case.input.len() / case.shape.input_numbers();
        assert!(*error <= bound, "{name} of {images} × {:?}: error {error:e}", case.shape);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pass_of_any_layer_is_that_of_the_definition(case in cases()) {
        check::<f64>(&case, Engine::alone(), BOUNDS[0]);
        check::<f32>(&case, Engine::alone(), BOUNDS[1]);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for shape in [
        Shape { height: 9, width: 6, padding: 2, kernel: 5, ..Shape::linear(16, 17) },
        Shape { height: 7, width: 8, padding: 1, kernel: 4, stride: 2, ..Shape::linear(3, 5) },
        Shape::linear(33, 9),
    ] {
        let case = Case::new(shape, 2);
        let layer = Convolution::new(shape).unwrap();
        let loss = |case: &Case| -> f64 {
            let [output, ..] = case.computed::<f64>(Engine::alone(), &layer);
            output.iter().zip(&case.gradient).map(|(a, b)| a * b).sum()
        };
        let [_, to_input, to_kernel] = case.computed::<f64>(Engine::alone(), &layer);
        let along = |direction: &[f64], gradient: &[f64]| -> f64 {
            direction.iter().zip(gradient).map(|(a, b)| a * b).sum()
        };
        let moved = |numbers: &[f64], direction: &[f64], far: f64| -> Vec<f64> {
            numbers.iter().zip(direction).map(|(a, b)| a + far * b).collect()
        };
        // The loss is linear in either, so that a step may be long.
        let direction = numbers(case.input.len(), 4);
        let at = |far| loss(&Case { input: moved(&case.input, &direction, far), ..case.clone() });
        let (found, expected) = ((at(1.0) - at(-1.0)) / 2.0, along(&direction, &to_input));
        assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "{shape:?}");
        let direction = numbers(case.kernel.len(), 5);
        let at = |far| loss(&Case { kernel: moved(&case.kernel, &direction, far), ..case.clone() });
        let (found, expected) = ((at(1.0) - at(-1.0)) / 2.0, along(&direction, &to_kernel));
        assert!((found - expected).abs() < 1e-10 * expected.abs().max(1.0), "{shape:?}");
    }
}

#[test]
fn a_workspace_serves_one_layer_after_another() {
    let (mut lowered, mut workspace) = (Lowered::default(), Workspace::default());
    for shape in [
        Shape { height: 8, width: 8, kernel: 5, padding: 2, ..Shape::linear(32, 16) },
        Shape::linear(5, 3),
        Shape { height: 12, width: 4, kernel: 3, padding: 1, ..Shape::linear(16, 40) },
    ] {
        let case = Case::new(shape, 2);
        let layer = Convolution::new(shape).unwrap();
        let mut output = vec![0.0; case.gradient.len()];
        layer.prepare(Engine::alone(), &case.kernel, Purpose::Forward, &mut lowered);
        let forward = Forward {
            input: &Stored::new(&case.input, shape.input_numbers()),
            lowered: &lowered,
            output: &mut output,
            observer: &unobserved,
        };
        layer.forward(Engine::alone(), forward, &mut workspace);
        assert_eq!(output, case.computed::<f64>(Engine::alone(), &layer)[0]);
    }
}
