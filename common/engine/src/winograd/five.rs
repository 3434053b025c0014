//! F(4, 5): points 0, ±1, ±2, ±½ and infinity.
//!
//! The rows of two points ±p are the sum and the difference of the same even and odd part.

use super::super::vector::Vector;
use super::scheme::Scheme;

/// Four outputs of a filter with five numbers.
#[derive(Debug)]
pub struct Five;

/// What the filter's transforms are scaled by, at ±1, ±2 and ±½.
const SCALES: [f64; 3] = [-2.0 / 9.0, 1.0 / 90.0, 32.0 / 45.0];

impl Scheme<8, 4, 5> for Five {
    #[inline(always)]
    fn input<V: Vector>(x: [V; 8]) -> [V; 8] {
        let even = x[4].times_add(-4.25, x[2].add(x[6]));
        let odd = x[3].times_add(-4.25, x[1].add(x[5]));
        let even_two = x[2].times_add(0.25, x[4].times_add(-1.25, x[6]));
        let odd_two = x[1].times_add(0.25, x[3].times_add(-1.25, x[5]));
        let even_half = x[2].times_add(4.0, x[4].times_add(-5.0, x[6]));
        let odd_half = x[1].times_add(4.0, x[3].times_add(-5.0, x[5]));
        [
            x[2].sub(x[4]).times_add(5.25, x[6].sub(x[0])),
            even.add(odd),
            even.sub(odd),
            odd_two.times_add(2.0, even_two),
            odd_two.times_add(-2.0, even_two),
            odd_half.times_add(0.5, even_half),
            odd_half.times_add(-0.5, even_half),
            x[3].sub(x[5]).times_add(5.25, x[7].sub(x[1])),
        ]
    }

    #[inline(always)]
    fn input_adjoint<V: Vector>(v: [V; 8]) -> [V; 8] {
        let [even, even_two, even_half] = [v[1].add(v[2]), v[3].add(v[4]), v[5].add(v[6])];
        let [odd, odd_two, odd_half] = [v[1].sub(v[2]), v[3].sub(v[4]), v[5].sub(v[6])];
        [
            v[0].times(-1.0),
            odd_half.times_add(2.0, odd_two.times_add(0.5, odd.sub(v[7]))),
            even_half.times_add(4.0, even_two.times_add(0.25, v[0].times_add(5.25, even))),
            odd_two.add(odd_half).times_add(-2.5, odd.times_add(-4.25, v[7].times(5.25))),
            even_half.times_add(
                -5.0,
                even_two.times_add(-1.25, even.times_add(-4.25, v[0].times(-5.25))),
            ),
            odd_half.times_add(0.5, odd_two.times_add(2.0, v[7].times_add(-5.25, odd))),
            even.add(v[0]).add(even_two.add(even_half)),
            v[7],
        ]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 8]) -> [V; 4] {
        let [even, even_two, even_half] = [m[1].add(m[2]), m[3].add(m[4]), m[5].add(m[6])];
        let [odd, odd_two, odd_half] = [m[1].sub(m[2]), m[3].sub(m[4]), m[5].sub(m[6])];
        [
            m[0].add(even).add(even_two.add(even_half)),
            odd_half.times_add(0.5, odd_two.times_add(2.0, odd)),
            even_half.times_add(0.25, even_two.times_add(4.0, even)),
            odd_half.times_add(0.125, odd_two.times_add(8.0, odd.add(m[7]))),
        ]
    }

    #[inline(always)]
    fn output_adjoint<V: Vector>(y: [V; 4]) -> [V; 8] {
        let [even, odd] = [y[0].add(y[2]), y[1].add(y[3])];
        let [even_two, odd_two] = [y[2].times_add(4.0, y[0]), y[3].times_add(4.0, y[1])];
        let [even_half, odd_half] = [y[2].times_add(0.25, y[0]), y[3].times_add(0.25, y[1])];
        [
            y[0],
            even.add(odd),
            even.sub(odd),
            odd_two.times_add(2.0, even_two),
            odd_two.times_add(-2.0, even_two),
            odd_half.times_add(0.5, even_half),
            odd_half.times_add(-0.5, even_half),
            y[3],
        ]
    }

    #[inline(always)]
    fn kernel<V: Vector>(g: [V; 5]) -> [V; 8] {
        let [one, two, half] = SCALES;
        let [even, odd] = [g[0].add(g[2]).add(g[4]), g[1].add(g[3])];
        let even_two = g[4].times_add(16.0, g[2].times_add(4.0, g[0]));
        let odd_two = g[3].times_add(4.0, g[1]);
        let even_half = g[4].times_add(0.0625, g[2].times_add(0.25, g[0]));
        let odd_half = g[3].times_add(0.25, g[1]);
        [
            g[0].times(-1.0),
            even.add(odd).times(one),
            even.sub(odd).times(one),
            odd_two.times_add(2.0, even_two).times(two),
            odd_two.times_add(-2.0, even_two).times(two),
            odd_half.times_add(0.5, even_half).times(half),
            odd_half.times_add(-0.5, even_half).times(half),
            g[4],
        ]
    }

    #[inline(always)]
    fn kernel_adjoint<V: Vector>(u: [V; 8]) -> [V; 5] {
        let [one, two, half] = SCALES;
        let even = u[1].add(u[2]).times(one);
        let odd = u[1].sub(u[2]).times(one);
        let even_two = u[3].add(u[4]).times(two);
        let odd_two = u[3].sub(u[4]).times(two);
        let even_half = u[5].add(u[6]).times(half);
        let odd_half = u[5].sub(u[6]).times(half);
        [
            even.sub(u[0]).add(even_two.add(even_half)),
            odd_half.times_add(0.5, odd_two.times_add(2.0, odd)),
            even_half.times_add(0.25, even_two.times_add(4.0, even)),
            odd_half.times_add(0.125, odd_two.times_add(8.0, odd)),
            even_half.times_add(0.0625, even_two.times_add(16.0, even.add(u[7]))),
        ]
    }
}
