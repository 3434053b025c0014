//! F(4, 3): points 0, ±1, ±2 and infinity.

use super::super::vector::Vector;
use super::scheme::Scheme;

/// Four outputs of a filter with three numbers.
#[derive(Debug)]
pub struct Three;

/// What the filter's transforms are scaled by, at 0, ±1 and ±2.
const SCALES: [f64; 3] = [1.0 / 4.0, -1.0 / 6.0, 1.0 / 24.0];

impl Scheme<6, 4, 3> for Three {
    #[inline(always)]
    fn input<V: Vector>(x: [V; 6]) -> [V; 6] {
        let even = x[2].times_add(-4.0, x[4]);
        let odd = x[1].times_add(-4.0, x[3]);
        let even_two = x[4].sub(x[2]);
        let odd_two = x[3].sub(x[1]);
        [
            x[0].times_add(4.0, x[2].times_add(-5.0, x[4])),
            even.add(odd),
            even.sub(odd),
            odd_two.times_add(2.0, even_two),
            odd_two.times_add(-2.0, even_two),
            x[1].times_add(4.0, x[3].times_add(-5.0, x[5])),
        ]
    }

    #[inline(always)]
    fn input_adjoint<V: Vector>(v: [V; 6]) -> [V; 6] {
        let [even, even_two] = [v[1].add(v[2]), v[3].add(v[4])];
        let [odd, odd_two] = [v[1].sub(v[2]), v[3].sub(v[4])];
        [
            v[0].times(4.0),
            odd_two.times_add(-2.0, v[5].sub(odd).times(4.0)),
            even.times_add(-4.0, v[0].times_add(-5.0, even_two.times(-1.0))),
            odd_two.times_add(2.0, v[5].times_add(-5.0, odd)),
            v[0].add(even).add(even_two),
            v[5],
        ]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 6]) -> [V; 4] {
        let [even, even_two] = [m[1].add(m[2]), m[3].add(m[4])];
        let [odd, odd_two] = [m[1].sub(m[2]), m[3].sub(m[4])];
        [
            m[0].add(even).add(even_two),
            odd_two.times_add(2.0, odd),
            even_two.times_add(4.0, even),
            odd_two.times_add(8.0, odd.add(m[5])),
        ]
    }

    #[inline(always)]
    fn output_adjoint<V: Vector>(y: [V; 4]) -> [V; 6] {
        let [even, odd] = [y[0].add(y[2]), y[1].add(y[3])];
        let [even_two, odd_two] = [y[2].times_add(4.0, y[0]), y[3].times_add(4.0, y[1])];
        [
            y[0],
            even.add(odd),
            even.sub(odd),
            odd_two.times_add(2.0, even_two),
            odd_two.times_add(-2.0, even_two),
            y[3],
        ]
    }

    #[inline(always)]
    fn kernel<V: Vector>(g: [V; 3]) -> [V; 6] {
        let [zero, one, two] = SCALES;
        let even = g[0].add(g[2]);
        let even_two = g[2].times_add(4.0, g[0]);
        [
            g[0].times(zero),
            even.add(g[1]).times(one),
            even.sub(g[1]).times(one),
            g[1].times_add(2.0, even_two).times(two),
            g[1].times_add(-2.0, even_two).times(two),
            g[2],
        ]
    }

    #[inline(always)]
    fn kernel_adjoint<V: Vector>(u: [V; 6]) -> [V; 3] {
        let [zero, one, two] = SCALES;
        let even = u[1].add(u[2]).times(one);
        let odd = u[1].sub(u[2]).times(one);
        let even_two = u[3].add(u[4]).times(two);
        let odd_two = u[3].sub(u[4]).times(two);
        [
            u[0].times_add(zero, even.add(even_two)),
            odd_two.times_add(2.0, odd),
            even_two.times_add(4.0, even.add(u[5])),
        ]
    }
}
