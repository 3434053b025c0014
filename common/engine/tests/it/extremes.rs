//! Infinity and NaN in what a layer is given.

use super::case::{Case, square};
use engine::*;

/// Wherever the definition has no finite number there is none, so that a loss cannot miss it.
#[test]
fn what_is_not_finite_stays_so() {
    for poison in [f64::INFINITY, f64::NAN] {
        for shape in [square(16, 16, 9, 5), square(16, 16, 9, 3), square(3, 5, 9, 5)] {
            let clean = Case::new(shape, 2);
            let layer = Convolution::new(shape).unwrap();
            let poisoned = |place: fn(&mut Case) -> &mut Vec<f64>| {
                let mut case = clean.clone();
                let numbers = place(&mut case);
                let middle = numbers.len() / 2;
                numbers[middle] = poison;
                case
            };
            for case in [
                poisoned(|case| &mut case.input),
                poisoned(|case| &mut case.kernel),
                poisoned(|case| &mut case.gradient),
            ] {
                let found = case.computed::<f32>(Engine::alone(), &layer);
                for (found, expected) in found.iter().zip(case.definition()) {
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(expected.is_finite() || !found.is_finite(), "{shape:?}");
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "are not images of")]
fn slices_of_another_layer_are_refused() {
    let mut case = Case::new(square(2, 2, 4, 3), 1);
    case.input.pop();
    case.computed::<f32>(Engine::alone(), &Convolution::new(case.shape).unwrap());
}

#[test]
#[should_panic(expected = "was not lowered for this pass of this layer")]
fn kernels_of_another_layer_are_refused() {
    let [other, shape] = [square(16, 16, 9, 3), square(16, 16, 9, 5)];
    let (mut lowered, mut workspace) = (Lowered::default(), Workspace::default());
    let kernel = vec![0.5_f32; other.weights()];
    let layer = Convolution::new(other).unwrap();
    layer.prepare(Engine::alone(), &kernel, Purpose::Training, &mut lowered);
    let (input, mut output) = (vec![0.0; shape.input_numbers()], vec![0.0; shape.output_numbers()]);
    let pass = Forward {
        input: &Stored::new(&input, shape.input_numbers()),
        lowered: &lowered,
        output: &mut output,
        observer: &unobserved,
    };
    Convolution::new(shape).unwrap().forward(Engine::alone(), pass, &mut workspace);
}
