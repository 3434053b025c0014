//! How fast the engine is with the layers of the convolutional network, at the sizes of a logical shard:
//!
//! ```text
//! cargo bench -p engine                 # shards of 25, 50 and 13 images
//! cargo bench -p engine -- avx2 25      # one instruction set, one size
//! ```
//!
//! Prints the least time of several and the direct convolution's operations per second: of each layer alone, then of all
//! forward and backward as in a step, by one thread, by two that share a shard, and by two with a shard each; first, as what
//! the machine can do at most, of a product of matrices that fit a cache, which nothing is lowered for; and how much longer
//! a layer takes whose numbers are smaller than the smallest normal one, which some processors have no fast way for.

use std::time::Instant;

use engine::{
    Backward, Convolution, Engine, Forward, Instructions, Lowered, OneThread, Purpose, Shape,
    Stored, Threads, ToInput, Workspace, unobserved,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

const SIZES: [usize; 3] = [25, 50, 13];
/// Channels of input and output, and the side of the images, of the network's convolutions of 5 × 5.
const LAYERS: [(usize, usize, usize); 6] =
    [(1, 32, 28), (32, 32, 28), (32, 64, 14), (64, 64, 14), (64, 128, 7), (128, 128, 7)];
/// Makes numbers in ±1 smaller than the smallest normal one.
const BELOW_NORMAL: f32 = 1e-39;
/// Seconds that something is measured again and again, and the fewest times.
const SECONDS: f64 = 0.3;
const TIMES: usize = 5;

fn main() {
    let (mut set, mut sizes) = (Instructions::detect(), Vec::new());
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        match argument.parse() {
            Ok(images) => sizes.push(images),
            Err(_) => set = argument.parse().expect("instructions or a number of images"),
        }
    }
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    measure_product(Engine::new(set, &OneThread), set);
    measure_below_normal(Engine::new(set, &OneThread), set);
    let pool = ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
    for images in sizes {
        measure(
            &format!("{images} images, {set}, one thread"),
            Engine::new(set, &OneThread),
            images,
        );
        let two = Pool(&pool);
        measure(&format!("{images} images, {set}, two threads"), Engine::new(set, &two), images);
        measure_shards(&pool, set, images);
    }
}

/// A linear layer of 256 samples.
fn measure_product(engine: Engine<'_>, set: Instructions) {
    let (shape, samples) = (Shape::linear(256, 256), 256);
    let mut layer = Layer::new(shape, engine, samples, false);
    let mut workspace = Workspace::default();
    let time = least(|| layer.forward(engine, &mut workspace));
    println!("256 × 256 times 256 × 256, {set}, one thread: {}", speed(time, layer.operations()));
}

/// One layer, its input and gradient as usual, then smaller than the smallest normal number.
fn measure_below_normal(engine: Engine<'_>, set: Instructions) {
    let mut layer = layers(engine, SIZES[0]).swap_remove(1);
    let mut workspace = Workspace::default();
    let mut times = |layer: &mut Layer| {
        let forward = least(|| layer.forward(engine, &mut workspace));
        [forward, least(|| layer.backward(engine, &mut workspace))]
    };
    let usual = times(&mut layer);
    layer.input.iter_mut().chain(&mut layer.gradient).for_each(|number| *number *= BELOW_NORMAL);
    let small = times(&mut layer);
    println!(
        "numbers below the smallest normal one, {set}, one thread: forward {:.2}, backward {:.2} times as long",
        small[0] / usual[0],
        small[1] / usual[1]
    );
}

/// Threads of a pool.
struct Pool<'a>(&'a ThreadPool);

impl Threads for Pool<'_> {
    fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    fn each(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        self.0.install(|| (0..parts).into_par_iter().with_max_len(1).for_each(work));
    }
}

fn measure(title: &str, engine: Engine<'_>, images: usize) {
    println!("{title}");
    let mut workspace = Workspace::default();
    let mut layers = layers(engine, images);
    for layer in &mut layers {
        let forward = least(|| layer.forward(engine, &mut workspace));
        let backward = least(|| layer.backward(engine, &mut workspace));
        let Shape { inputs, outputs, height, .. } = *layer.convolution.shape();
        println!(
            "  {inputs:3} → {outputs:3}, {height:2} × {height:2}: forward {}, backward {}",
            speed(forward, layer.operations()),
            speed(backward, layer.backward_operations())
        );
    }
    let all = least(|| step(&mut layers, engine, &mut workspace));
    let operations =
        layers.iter().map(|layer| layer.operations() + layer.backward_operations()).sum();
    println!("  all: {}, {:.0} images/s", speed(all, operations), images as f64 / all);
}

/// Two threads with a shard each, of which neither waits for the other.
fn measure_shards(pool: &ThreadPool, set: Instructions, images: usize) {
    let engine = Engine::new(set, &OneThread);
    let mut shards = [0, 1].map(|_| (layers(engine, images), Workspace::default()));
    let [first, second] = &mut shards;
    let time = least(|| {
        pool.join(
            || step(&mut first.0, engine, &mut first.1),
            || step(&mut second.0, engine, &mut second.1),
        );
    });
    println!(
        "{images} images, {set}, two threads with a shard each\n  all: {:.0} images/s",
        2.0 * images as f64 / time
    );
}

/// All layers forward, then backward.
fn step(layers: &mut [Layer], engine: Engine<'_>, workspace: &mut Workspace) {
    layers.iter_mut().for_each(|layer| layer.forward(engine, workspace));
    layers.iter_mut().rev().for_each(|layer| layer.backward(engine, workspace));
}

fn least(mut work: impl FnMut()) -> f64 {
    work();
    let (start, mut least, mut times) = (Instant::now(), f64::INFINITY, 0);
    while times < TIMES || start.elapsed().as_secs_f64() < SECONDS {
        let before = Instant::now();
        work();
        least = least.min(before.elapsed().as_secs_f64());
        times += 1;
    }
    least
}

fn speed(seconds: f64, operations: f64) -> String {
    format!("{:7.3} ms {:5.0} GFLOP/s", seconds * 1e3, operations / seconds / 1e9)
}

/// A layer with the tensors of a shard.
struct Layer {
    convolution: Convolution,
    lowered: Lowered,
    images: usize,
    /// Whether the input is the data itself.
    is_first: bool,
    input: Vec<f32>,
    output: Vec<f32>,
    gradient: Vec<f32>,
    to_input: Vec<f32>,
    to_kernel: Vec<f32>,
}

fn layers(engine: Engine<'_>, images: usize) -> Vec<Layer> {
    let layer = |&(inputs, outputs, side): &(usize, usize, usize)| {
        let shape = Shape {
            height: side,
            width: side,
            kernel: 5,
            padding: 2,
            ..Shape::linear(inputs, outputs)
        };
        Layer::new(shape, engine, images, inputs == 1)
    };
    LAYERS.iter().map(layer).collect()
}

impl Layer {
    fn new(shape: Shape, engine: Engine<'_>, images: usize, is_first: bool) -> Self {
        let convolution = Convolution::new(shape).expect("a layer of the network");
        let mut lowered = Lowered::default();
        let kernel = numbers(shape.weights());
        convolution.prepare(engine, &kernel, Purpose::Training, &mut lowered);
        let (inputs, outputs) = (images * shape.input_numbers(), images * shape.output_numbers());
        Self {
            convolution,
            lowered,
            images,
            is_first,
            input: numbers(inputs),
            output: vec![0.0; outputs],
            gradient: numbers(outputs),
            to_input: vec![0.0; inputs],
            to_kernel: vec![0.0; shape.weights()],
        }
    }

    fn forward(&mut self, engine: Engine<'_>, workspace: &mut Workspace) {
        let pass = Forward {
            input: &Stored::new(&self.input, self.convolution.shape().input_numbers()),
            lowered: &self.lowered,
            output: &mut self.output,
            observer: &unobserved,
        };
        self.convolution.forward(engine, pass, workspace);
    }

    fn backward(&mut self, engine: Engine<'_>, workspace: &mut Workspace) {
        let to_input =
            ToInput { lowered: &self.lowered, gradient: &mut self.to_input, observer: &unobserved };
        let shape = self.convolution.shape();
        let pass = Backward {
            gradient: &Stored::new(&self.gradient, shape.output_numbers()),
            input: &Stored::new(&self.input, shape.input_numbers()),
            to_kernel: &mut self.to_kernel,
            to_input: (!self.is_first).then_some(to_input),
        };
        self.convolution.backward(engine, pass, workspace);
    }

    /// Additions and multiplications of the direct convolution.
    fn operations(&self) -> f64 {
        let shape = self.convolution.shape();
        2.0 * (self.images * shape.output_numbers() * shape.weights() / shape.outputs) as f64
    }

    fn backward_operations(&self) -> f64 {
        self.operations() * if self.is_first { 1.0 } else { 2.0 }
    }
}

/// Numbers in ±1.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| number()).collect()
}
