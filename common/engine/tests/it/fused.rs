//! Images that are computed when a pass needs them, and observers of those that it has computed.

use std::sync::Mutex;

use proptest::prelude::*;

use super::case::{Case, Crew, cases};
use engine::*;

/// Images of half the numbers, twice which are those of `stored`.
struct Doubled<'a> {
    halves: Vec<f64>,
    size: usize,
    stored: &'a [f64],
}

impl<'a> Doubled<'a> {
    fn new(stored: &'a [f64], size: usize) -> Self {
        Self { halves: stored.iter().map(|number| number / 2.0).collect(), size, stored }
    }
}

impl Images<f64> for Doubled<'_> {
    fn count(&self) -> usize {
        self.stored.len() / self.size
    }

    fn image<'a>(&'a self, index: usize, room: &'a mut [f64]) -> &'a [f64] {
        let halves = &self.halves[index * self.size..(index + 1) * self.size];
        room.iter_mut().zip(halves).for_each(|(number, half)| *number = 2.0 * half);
        room
    }
}

/// Keeps what it is told, which has to be each image once.
#[derive(Default)]
struct Told(Mutex<Vec<Option<Vec<f64>>>>);

impl Told {
    fn tell(&self, image: usize, numbers: &[f64]) {
        let mut told = self.0.lock().unwrap();
        if told.len() <= image {
            told.resize(image + 1, None);
        }
        assert_eq!(told[image].replace(numbers.to_vec()), None, "image {image} twice");
    }

    fn all(self) -> Vec<f64> {
        let told = self.0.into_inner().unwrap().into_iter();
        told.flat_map(|numbers| numbers.expect("an image is missing")).collect()
    }
}

fn check(case: &Case, engine: Engine<'_>) {
    let layer = Convolution::new(case.shape).unwrap();
    let [output, to_input, to_kernel] = case.computed::<f64>(Engine::alone(), &layer);
    let (mut lowered, mut workspace) = (Lowered::default(), Workspace::default());
    layer.prepare(engine, &case.kernel, Purpose::Training, &mut lowered);
    let input = Doubled::new(&case.input, case.shape.input_numbers());
    let gradient = Doubled::new(&case.gradient, case.shape.output_numbers());
    let [mut found_output, mut found_to_input, mut found_to_kernel] =
        [vec![0.0; output.len()], vec![0.0; to_input.len()], vec![0.0; to_kernel.len()]];
    let [outputs, inputs] = [Told::default(), Told::default()];
    let observer: Observer<'_, f64> = &|image, numbers| outputs.tell(image, numbers);
    let forward = Forward { input: &input, lowered: &lowered, output: &mut found_output, observer };
    layer.forward(engine, forward, &mut workspace);
    let to_input_of = ToInput {
        lowered: &lowered,
        gradient: &mut found_to_input,
        observer: &|image, numbers| inputs.tell(image, numbers),
    };
    let backward = Backward {
        gradient: &gradient,
        input: &input,
        to_kernel: &mut found_to_kernel,
        to_input: Some(to_input_of),
    };
    layer.backward(engine, backward, &mut workspace);
    assert!(found_output == output && outputs.all() == output, "output of {:?}", case.shape);
    assert!(found_to_input == to_input && inputs.all() == to_input, "∂X of {:?}", case.shape);
    assert!(found_to_kernel == to_kernel, "∂W of {:?}", case.shape);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn images_made_when_they_are_needed_are_like_stored_ones(case in cases(), threads in 1_usize..4) {
        check(&case, Engine::new(Instructions::detect(), &Crew(threads)));
    }
}
