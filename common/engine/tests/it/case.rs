//! Layers with numbers to compute, plainly by the definition or by the engine.

use proptest::prelude::*;

use engine::*;

/// Products of a pass that a test can afford to compute by the definition.
const PRODUCTS: usize = 1 << 21;

/// The calling thread and some more.
pub struct Crew(pub usize);

impl Threads for Crew {
    fn count(&self) -> usize {
        self.0
    }

    fn each(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for part in 0..parts {
                scope.spawn(move || work(part));
            }
        });
    }
}

/// A layer with its operands, which are float32 numbers.
#[derive(Clone, Debug)]
pub struct Case {
    pub shape: Shape,
    pub input: Vec<f64>,
    pub kernel: Vec<f64>,
    pub gradient: Vec<f64>,
}

/// Output, gradient of the input, gradient of the kernel.
pub type Results<T> = [Vec<T>; 3];

/// What they are.
pub const NAMES: [&str; 3] = ["output", "gradient of the input", "gradient of the kernel"];

/// Numbers in ±1 without a pattern that a mistake could share.
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 44) as f64 / f64::from(1 << 19) - 1.0
    };
    (0..count).map(|_| number()).collect()
}

impl Case {
    pub fn new(shape: Shape, images: usize) -> Self {
        Self {
            shape,
            input: numbers(images * shape.input_numbers(), 1),
            kernel: numbers(shape.weights(), 2),
            gradient: numbers(images * shape.output_numbers(), 3),
        }
    }

    /// Calls `product` with the places of an input, a kernel's number and an output that they contribute to, those of the
    /// channels from these on: `shape.outputs` outputs and as many kernels.
    fn each_product(&self, mut product: impl FnMut(usize, usize, usize)) {
        let Shape { height, width, inputs, outputs, kernel, stride, padding } = self.shape;
        let (rows, columns) = (self.shape.output_height(), self.shape.output_width());
        let positions = self.gradient.len() / outputs;
        for position in 0..positions {
            let (image, row, column) =
                (position / columns / rows, position / columns % rows, position % columns);
            for tap in 0..kernel * kernel {
                let y = (row * stride + tap / kernel).wrapping_sub(padding);
                let x = (column * stride + tap % kernel).wrapping_sub(padding);
                if y < height && x < width {
                    let input = ((image * height + y) * width + x) * inputs;
                    for i in 0..inputs {
                        product(input + i, tap * inputs + i, position * outputs);
                    }
                }
            }
        }
    }

    /// The passes as they are defined.
    pub fn definition(&self) -> Results<f64> {
        let Self { shape, input, kernel, gradient } = self;
        let of_output = shape.kernel * shape.kernel * shape.inputs;
        let mut results =
            [vec![0.0; gradient.len()], vec![0.0; input.len()], vec![0.0; kernel.len()]];
        let [output, to_input, to_kernel] = &mut results;
        self.each_product(|i, k, o| {
            for channel in 0..shape.outputs {
                let k = channel * of_output + k;
                output[o + channel] += input[i] * kernel[k];
                to_input[i] += gradient[o + channel] * kernel[k];
                to_kernel[k] += gradient[o + channel] * input[i];
            }
        });
        results
    }

    /// The same with every number's absolute value: what rounding errors are to be compared with.
    pub fn absolute(&self) -> Self {
        let absolute = |numbers: &[f64]| numbers.iter().map(|number| number.abs()).collect();
        Self {
            shape: self.shape,
            input: absolute(&self.input),
            kernel: absolute(&self.kernel),
            gradient: absolute(&self.gradient),
        }
    }

    /// The passes as the engine computes them.
    pub fn computed<T: Number>(&self, engine: Engine<'_>, layer: &Convolution) -> Results<T> {
        let convert = |numbers: &[f64]| numbers.iter().map(|number| T::of(*number)).collect();
        let [input, kernel, gradient]: [Vec<T>; 3] =
            [&self.input, &self.kernel, &self.gradient].map(|numbers| convert(numbers));
        // Numbers that are not there show what was not written.
        let missing = T::of(f64::NAN);
        let mut output = vec![missing; gradient.len()];
        let mut to_input = vec![missing; input.len()];
        let mut to_kernel = vec![missing; kernel.len()];
        let (mut lowered, mut workspace) = (Lowered::default(), Workspace::default());
        layer.prepare(engine, &kernel, Purpose::Training, &mut lowered);
        let input = Stored::new(&input, self.shape.input_numbers());
        let gradient = Stored::new(&gradient, self.shape.output_numbers());
        let forward = Forward {
            input: &input,
            lowered: &lowered,
            output: &mut output,
            observer: &unobserved,
        };
        layer.forward(engine, forward, &mut workspace);
        let backward = Backward {
            gradient: &gradient,
            input: &input,
            to_kernel: &mut to_kernel,
            to_input: Some(ToInput {
                lowered: &lowered,
                gradient: &mut to_input,
                observer: &unobserved,
            }),
        };
        layer.backward(engine, backward, &mut workspace);
        [output, to_input, to_kernel]
    }
}

/// Layers of all kinds, and few images where a layer has many products.
pub fn cases() -> impl Strategy<Value = Case> {
    let kernels =
        (prop_oneof![1_usize..8, Just(3), Just(5)], prop_oneof![Just(1_usize), 1_usize..4]);
    // Channels that tiles are for, and any.
    let channels = || prop_oneof![1_usize..20, 1_usize..131, 16_usize..48];
    let sides = || prop_oneof![1_usize..12, 1_usize..34];
    (kernels, 0_usize..5, (channels(), channels()), (sides(), sides()), 0_usize..10).prop_map(
        |((kernel, stride), padding, (inputs, outputs), (height, width), images)| {
            let mut shape = Shape { height, width, inputs, outputs, kernel, stride, padding };
            let short = kernel.saturating_sub(2 * padding);
            shape.height = height.max(short);
            shape.width = width.max(short);
            let products =
                |shape: &Shape| shape.output_numbers() * shape.kernel * shape.kernel * shape.inputs;
            while products(&shape) > PRODUCTS {
                let smaller = |side: usize| (side * 2 / 3).max(short).max(1);
                (shape.height, shape.width) = (smaller(shape.height), smaller(shape.width));
                shape.outputs = (shape.outputs * 3 / 4).max(1);
            }
            Case::new(shape, images.min(PRODUCTS / products(&shape)))
        },
    )
}

/// A square layer with stride 1 that keeps the side.
pub fn square(inputs: usize, outputs: usize, side: usize, kernel: usize) -> Shape {
    Shape { height: side, width: side, inputs, outputs, kernel, stride: 1, padding: kernel / 2 }
}
