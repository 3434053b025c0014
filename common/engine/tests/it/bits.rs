//! The same bits from every instruction set, any number of threads, and for shards computed alone or together.

use proptest::prelude::*;

use super::case::{Case, Crew, NAMES, Results, cases, square};
use engine::*;

/// Bits, as numbers that can be compared.
fn bits<T: Number>(results: &Results<T>) -> [Vec<u64>; 3] {
    results
        .each_ref()
        .map(|numbers| numbers.iter().map(|number| number.to_f64().to_bits()).collect())
}

fn check<T: Number>(case: &Case) {
    let layer = Convolution::new(case.shape).unwrap();
    let plain: Instructions = "plain".parse().unwrap();
    let expected = bits(&case.computed::<T>(Engine::new(plain, &OneThread), &layer));
    for instructions in Instructions::available() {
        for threads in 1..=4 {
            let crew = Crew(threads);
            let found = bits(&case.computed::<T>(Engine::new(instructions, &crew), &layer));
            for result in 0..3 {
                assert!(
                    found[result] == expected[result],
                    "{} of {:?} by {threads} threads with {instructions}",
                    NAMES[result],
                    case.shape
                );
            }
        }
    }
}

/// Says which of the promised instruction sets could not be compared here.
#[test]
fn layers_of_the_network_have_the_same_bits_from_everyone() {
    for name in ["avx512", "avx2", "plain"] {
        if let Err(error) = name.parse::<Instructions>() {
            println!("not compared: {error}");
        }
    }
    // More images than a block of sums has room for.
    for (shape, images) in [
        (square(1, 32, 28, 5), 2),
        (square(32, 32, 28, 5), 2),
        (square(64, 64, 14, 5), 5),
        (square(64, 32, 7, 5), 25),
        (square(32, 48, 14, 3), 5),
        (Shape::linear(300, 65), 200),
        (Shape { stride: 2, ..square(16, 16, 28, 3) }, 2),
    ] {
        let case = Case::new(shape, images);
        check::<f32>(&case);
        check::<f64>(&case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layer_has_the_same_bits_from_everyone(case in cases()) {
        check::<f32>(&case);
        check::<f64>(&case);
    }

    /// Output and the input's gradient of an image do not depend on which others are computed with it.
    #[test]
    fn images_alone_have_the_same_bits(case in cases()) {
        let layer = Convolution::new(case.shape).unwrap();
        let [output, to_input, _] = bits(&case.computed::<f32>(Engine::alone(), &layer));
        let (inputs, outputs) = (case.shape.input_numbers(), case.shape.output_numbers());
        for image in 0..case.input.len() / inputs {
            let (seen, made) = (image * inputs..(image + 1) * inputs, image * outputs..(image + 1) * outputs);
            let alone = Case {
                input: case.input[seen.clone()].to_vec(),
                gradient: case.gradient[made.clone()].to_vec(),
                ..case.clone()
            };
            let found = bits(&alone.computed::<f32>(Engine::alone(), &layer));
            prop_assert_eq!(&found[0], &output[made]);
            prop_assert_eq!(&found[1], &to_input[seen]);
        }
    }
}

#[test]
fn numbers_below_the_smallest_normal_one_have_the_same_bits_from_everyone() {
    for shape in [square(16, 16, 9, 5), square(3, 5, 9, 5)] {
        let mut case = Case::new(shape, 2);
        case.input.iter_mut().for_each(|number| *number *= f64::from(f32::MIN_POSITIVE));
        check::<f32>(&case);
    }
}
