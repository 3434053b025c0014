//! How far float32 is from the definition in float64, for the layers that are computed in tiles, and how far the plain sum is.

use super::case::{Case, NAMES, numbers, square};
use engine::*;

/// ‖found − exact‖ / ‖exact‖ of each result.
fn errors(case: &Case, layer: &Convolution) -> [f64; 3] {
    let exact = case.definition();
    let found = case.computed::<f32>(Engine::alone(), layer);
    std::array::from_fn(|result| {
        let (mut error, mut norm) = (0.0, 0.0);
        for (found, exact) in found[result].iter().zip(&exact[result]) {
            let difference = found.to_f64() - exact;
            error += difference * difference;
            norm += exact * exact;
        }
        (error / norm).sqrt()
    })
}

/// Errors of [`NAMES`] stay below `bounds`, and those of the plain sum below 1e-6. To see them: `--nocapture`.
fn check(what: &str, case: &Case, bounds: [f64; 3]) {
    let tiles = errors(case, &Convolution::new(case.shape).unwrap());
    let direct = errors(case, &Convolution::direct(case.shape).unwrap());
    for (result, name) in NAMES.iter().enumerate() {
        let (tiles, direct) = (tiles[result], direct[result]);
        println!("{what}, {name}: {tiles:.1e}, plain sum {direct:.1e}");
        assert!(tiles <= bounds[result], "{what}, {name}: {tiles:e}");
        assert!(direct <= 1e-6, "{what}, {name} as a plain sum: {direct:e}");
    }
}

/// Pixels as MNIST has them: most are black, some white, and none is between.
fn extreme(case: &Case) -> Case {
    let noise = numbers(case.input.len(), 6);
    let input = noise.iter().map(|number| if *number > 0.6 { 2.8215 } else { -0.4242 });
    Case { input: input.collect(), ..case.clone() }
}

#[test]
fn tiles_keep_their_bound() {
    for (shape, bounds) in [
        (square(32, 32, 14, 5), [6e-6, 6e-6, 6e-6]),
        (square(64, 64, 7, 5), [6e-6, 6e-6, 6e-6]),
        (square(32, 32, 14, 3), [2e-6, 2e-6, 2e-6]),
    ] {
        let case = Case::new(shape, 3);
        check(&format!("{shape:?}"), &case, bounds);
        check(&format!("{shape:?}, extreme pixels"), &extreme(&case), bounds);
    }
}
