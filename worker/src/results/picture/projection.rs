//! Principal components: how features of any dimension come onto two axes.

use crate::results::epoch_features::Points;

/// An affine map of features onto the plane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Projection {
    mean: Vec<f64>,
    /// Two directions, each `[dim]`; for one-dimensional features the second is 0.
    directions: [Vec<f64>; 2],
    /// Share of the variance along each direction, 0…1.
    pub explained: [f64; 2],
}

/// Sweeps of the eigenvalue iteration; it converges in about ten.
const SWEEPS: usize = 60;

impl Projection {
    /// The two directions in which `points` spread most. A direction's sign is the one that makes its largest
    /// coordinate positive.
    pub fn principal_components(points: &Points) -> Self {
        let mean = mean(points);
        let (values, vectors) = eigen(covariance(points, &mean), points.dim);
        let mut order: Vec<usize> = (0..points.dim).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let total = values.iter().fold(0.0, |sum, value| sum + value.max(0.0));
        let share = |rank: usize| match order.get(rank) {
            Some(&index) if total > 0.0 => values[index].max(0.0) / total,
            _ => 0.0,
        };
        let direction = |rank: usize| match order.get(rank) {
            Some(&column) => with_fixed_sign(
                (0..points.dim).map(|row| vectors[row * points.dim + column]).collect(),
            ),
            None => vec![0.0; points.dim],
        };
        Self { explained: [share(0), share(1)], directions: [direction(0), direction(1)], mean }
    }

    /// Where each point falls.
    pub fn apply(&self, points: &Points) -> Vec<[f64; 2]> {
        let along = |row: &[f64], direction: &[f64]| {
            let offsets = row.iter().zip(&self.mean).zip(direction);
            offsets.fold(0.0, |sum, ((value, mean), unit)| sum + (value - mean) * unit)
        };
        points.rows().map(|row| [0, 1].map(|axis| along(row, &self.directions[axis]))).collect()
    }
}

fn mean(points: &Points) -> Vec<f64> {
    let mut mean = vec![0.0; points.dim];
    for row in points.rows() {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= points.count().max(1) as f64);
    mean
}

/// `[dim, dim]`, divided by n.
fn covariance(points: &Points, mean: &[f64]) -> Vec<f64> {
    let dim = points.dim;
    let mut sums = vec![0.0; dim * dim];
    let mut offset = vec![0.0; dim];
    for row in points.rows() {
        offset
            .iter_mut()
            .zip(row.iter().zip(mean))
            .for_each(|(o, (value, mean))| *o = value - mean);
        for (i, &a) in offset.iter().enumerate() {
            sums[i * dim..=i * dim + i].iter_mut().zip(&offset).for_each(|(sum, b)| *sum += a * b);
        }
    }
    let samples = points.count().max(1) as f64;
    let entry = |index: usize| {
        let (i, j) = (index / dim, index % dim);
        sums[i.max(j) * dim + i.min(j)] / samples
    };
    (0..dim * dim).map(entry).collect()
}

/// Eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi's cyclic rotations (Golub & Van Loan,
/// *Matrix Computations*, § 8.5).
fn eigen(mut matrix: Vec<f64>, dim: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; dim * dim];
    (0..dim).for_each(|i| vectors[i * dim + i] = 1.0);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..dim {
            for q in p + 1..dim {
                rotated |= rotate(&mut matrix, &mut vectors, dim, (p, q));
            }
        }
        if !rotated {
            break;
        }
    }
    ((0..dim).map(|i| matrix[i * dim + i]).collect(), vectors)
}

/// Turns the plane of axes p and q so that their entry becomes 0; `false` where it is as good as 0.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], dim: usize, (p, q): (usize, usize)) -> bool {
    let (app, aqq, apq) = (matrix[p * dim + p], matrix[q * dim + q], matrix[p * dim + q]);
    let negligible = apq.abs() <= f64::EPSILON * 0.5 * (app.abs() * aqq.abs()).sqrt();
    if negligible || !apq.is_finite() {
        return false;
    }
    let tau = (aqq - app) / (2.0 * apq);
    let tangent = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    let turn = |values: &mut [f64], a: usize, b: usize| {
        let (x, y) = (values[a], values[b]);
        (values[a], values[b]) = (cosine * x - sine * y, sine * x + cosine * y);
    };
    for k in 0..dim {
        turn(matrix, k * dim + p, k * dim + q);
    }
    for k in 0..dim {
        turn(matrix, p * dim + k, q * dim + k);
        turn(vectors, k * dim + p, k * dim + q);
    }
    (matrix[p * dim + q], matrix[q * dim + p]) = (0.0, 0.0);
    true
}

fn with_fixed_sign(direction: Vec<f64>) -> Vec<f64> {
    let larger = |best: f64, value: &f64| {
        if value.abs() > best.abs() { *value } else { best }
    };
    let sign = if direction.iter().fold(0.0, larger) < 0.0 { -1.0 } else { 1.0 };
    direction.into_iter().map(|value| sign * value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn known_components_are_found() {
        // Spread 5 along (3, 4, 0)/5 and 1 along (0, 0, 1), around (1, 1, 1): variances 12.5 and 0.5.
        let values = vec![4.0, 5.0, 1.0, -2.0, -3.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 0.0];
        let points = Points { dim: 3, values };
        let projection = Projection::principal_components(&points);
        assert!(close(projection.explained[0], 12.5 / 13.0));
        assert!(close(projection.explained[1], 0.5 / 13.0));
        let expected = [[5.0, 0.0], [-5.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        for (found, expected) in projection.apply(&points).iter().zip(expected) {
            assert!(close(found[0], expected[0]) && close(found[1], expected[1]), "{found:?}");
        }
    }

    #[test]
    fn one_dimension_lies_on_a_line() {
        let points = Points { dim: 1, values: vec![3.0, 5.0, 10.0] };
        let projection = Projection::principal_components(&points);
        assert_eq!(projection.explained, [1.0, 0.0]);
        assert_eq!(projection.apply(&points), [[-3.0, 0.0], [-1.0, 0.0], [4.0, 0.0]]);
    }

    #[test]
    fn sixty_four_dimensions_keep_their_distances_along_the_components() {
        // Two strong directions with known loads, and weak noise in all.
        let noise = |i: usize| ((i * 7919 + 13) % 1009) as f64 / 1009.0 - 0.5;
        let row = |n: usize| {
            let (a, b) = (40.0 * noise(3 * n), 10.0 * noise(5 * n + 1));
            (0..64).map(move |k| match k {
                0..32 => a / 32f64.sqrt() + 0.01 * noise(64 * n + k),
                _ => b / 32f64.sqrt() + 0.01 * noise(64 * n + k),
            })
        };
        let points = Points { dim: 64, values: (0..500).flat_map(row).collect() };
        let projection = Projection::principal_components(&points);
        assert!(projection.explained[0] + projection.explained[1] > 0.999);
        let lengths =
            projection.directions.each_ref().map(|d| d.iter().map(|v| v * v).sum::<f64>());
        assert!(close(lengths[0], 1.0) && close(lengths[1], 1.0));
        assert!(
            projection.directions[0][..32].iter().all(|v| (v - 32f64.sqrt().recip()).abs() < 0.01)
        );
    }

    #[test]
    fn no_spread_and_no_points_are_no_trouble() {
        for values in [vec![], vec![2.0; 12]] {
            let points = Points { dim: 3, values };
            let projection = Projection::principal_components(&points);
            assert_eq!(projection.explained, [0.0, 0.0]);
            assert!(projection.apply(&points).iter().all(|p| *p == [0.0, 0.0]));
        }
    }
}
