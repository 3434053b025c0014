//! An optimizer's step: each parameter from its own numbers, one operation after the other, each rounded. What was stays
//! as it is; what becomes of it goes elsewhere, and is looked at while it is in the processor's caches, then written past
//! them. The threads of the pool that this is called in divide the work.

use engine::Instructions;
use pulp::Arch;
use rayon::prelude::*;

use super::Float;
use super::digest::Digest;
use super::finite::all_finite;

/// Numbers of each vector that are computed, then looked at, then written.
const BLOCK: usize = 2048;
/// Numbers of each vector that one thread computes at a time.
const PART: usize = 32 * BLOCK;

/// What a step has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Of the parameters, then of what the optimizer remembers.
    pub digests: Vec<u64>,
    /// Whether every parameter is a finite number.
    pub finite: bool,
}

/// SGD with momentum (PyTorch's: no dampening, not Nesterov's).
#[derive(Clone, Copy, Debug)]
pub struct Momentum<T> {
    /// Of the parameter added to its gradient.
    pub weight_decay: T,
    /// Of the momentum that is kept.
    pub momentum: T,
    /// The learning rate.
    pub rate: T,
}

impl<T: Float> Momentum<T> {
    /// g = gradient + λ·w, v ← μ·v + g, w ← w − η·v, from one `[w, v]` to another of the same length.
    pub fn step(self, from: [&[T]; 2], gradient: &[T], into: [&mut [T]; 2]) -> Written {
        blockwise(
            from,
            gradient,
            into,
            #[inline(always)]
            |[w, v], gradient, [new_w, new_v]| {
                let old = w.iter().zip(v).zip(gradient);
                for (((&w, &v), &gradient), (new_w, new_v)) in old.zip(new_w.iter_mut().zip(new_v))
                {
                    let g = gradient + w * self.weight_decay;
                    *new_v = v * self.momentum + g;
                    *new_w = w - *new_v * self.rate;
                }
            },
        )
    }
}

/// Adam (Kingma and Ba, 2015), weight decay added to the gradient.
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// Of the parameter added to its gradient.
    pub weight_decay: T,
    /// β₂.
    pub decay: T,
    /// 1 − β₁ and 1 − β₂.
    pub shares: [T; 2],
    /// √(1 − β₂ᵗ) after this step, the t-th.
    pub correction: T,
    /// Added to the denominator.
    pub epsilon: T,
    /// The learning rate, divided by 1 − β₁ᵗ.
    pub rate: T,
}

impl<T: Float> Adam<T> {
    /// g = gradient + λ·w, m ← m + (1 − β₁)(g − m), v ← β₂·v + (1 − β₂)·g², w ← w − η·m/(√v/correction + ε), from one
    /// `[w, m, v]` to another of the same length.
    pub fn step(self, from: [&[T]; 3], gradient: &[T], into: [&mut [T]; 3]) -> Written {
        blockwise(
            from,
            gradient,
            into,
            #[inline(always)]
            |[w, m, v], gradient, [new_w, new_m, new_v]| {
                let old = w.iter().zip(m).zip(v).zip(gradient);
                let new = new_w.iter_mut().zip(new_m).zip(new_v);
                for ((((&w, &m), &v), &gradient), ((new_w, new_m), new_v)) in old.zip(new) {
                    let g = gradient + w * self.weight_decay;
                    *new_m = m + (g - m) * self.shares[0];
                    *new_v = v * self.decay + g * g * self.shares[1];
                    *new_w =
                        w - *new_m / (new_v.sqrt() / self.correction + self.epsilon) * self.rate;
                }
            },
        )
    }
}

/// One thread's part of the vectors.
struct Part<'a, T, const VECTORS: usize> {
    from: [&'a [T]; VECTORS],
    gradient: &'a [T],
    into: [&'a mut [T]; VECTORS],
    digests: [Digest; VECTORS],
    finite: bool,
}

/// Computes block by block, and looks at each before the next.
fn blockwise<T: Float, const VECTORS: usize>(
    from: [&[T]; VECTORS],
    gradient: &[T],
    mut into: [&mut [T]; VECTORS],
    compute: impl Fn([&[T]; VECTORS], &[T], [&mut [T]; VECTORS]) + Sync,
) -> Written {
    let mut parts: Vec<Part<'_, T, VECTORS>> = (gradient.chunks(PART).enumerate())
        .map(|(index, gradient)| {
            let places = index * PART..index * PART + gradient.len();
            Part {
                from: from.map(|vector| &vector[places.clone()]),
                gradient,
                into: into.each_mut().map(|vector| first(vector, gradient.len())),
                digests: [Digest::after(places.start); VECTORS],
                finite: true,
            }
        })
        .collect();
    parts.par_iter_mut().with_max_len(1).for_each(|part| part.compute(&compute));
    let mut digests = [Digest::default(); VECTORS];
    for part in &parts {
        digests.iter_mut().zip(part.digests).for_each(|(whole, next)| whole.append(next));
    }
    let finite = parts.iter().all(|part| part.finite);
    Written { digests: digests.map(Digest::value).to_vec(), finite }
}

/// Takes the first numbers off a vector.
fn first<'a, T>(vector: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    vector.split_off_mut(..count).expect("the vectors are as long as the gradient")
}

impl<T: Float, const VECTORS: usize> Part<'_, T, VECTORS> {
    fn compute(&mut self, compute: impl Fn([&[T]; VECTORS], &[T], [&mut [T]; VECTORS])) {
        let instructions = Instructions::detect();
        let mut block = [[T::ZERO; BLOCK]; VECTORS];
        for start in (0..self.gradient.len()).step_by(BLOCK) {
            let places = start..self.gradient.len().min(start + BLOCK);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let old = self.from.map(|vector| &vector[places.clone()]);
                    let new = block.each_mut().map(|vector| &mut vector[..places.len()]);
                    compute(old, &self.gradient[places.clone()], new);
                    for (digest, vector) in self.digests.iter_mut().zip(&block) {
                        digest.extend_here(&vector[..places.len()]);
                    }
                    self.finite &= all_finite(&block[0][..places.len()]);
                },
            );
            // The next step reads it when the caches have held much else.
            for (vector, into) in block.iter().zip(&mut self.into) {
                instructions.stream(&vector[..places.len()], &mut into[places.clone()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::digest;
    use super::*;

    fn numbers(from: f32) -> Vec<f32> {
        (0..70_000).map(|place| libm::sinf(from + place as f32)).collect()
    }

    #[test]
    fn what_is_written_is_looked_at_and_what_was_stays() {
        let (w, v, gradient) = (numbers(0.0), numbers(1.0), numbers(2.0));
        let mut new = [vec![0.0; 70_000], vec![0.0; 70_000]];
        let rule = Momentum { weight_decay: 0.5, momentum: 0.25, rate: 0.125 };
        let [new_w, new_v] = &mut new;
        let written = rule.step([&w, &v], &gradient, [new_w, new_v]);
        assert_eq!(written.digests, [digest(&new[0]), digest(&new[1])]);
        assert!(written.finite);
        for place in [0, 1023, 1024, 32_767, 32_768, 65_535, 65_536, 69_999] {
            let velocity = v[place] * 0.25 + (gradient[place] + w[place] * 0.5);
            assert_eq!(new[1][place], velocity);
            assert_eq!(new[0][place], w[place] - velocity * 0.125);
        }
    }

    #[test]
    fn one_number_that_is_none_shows() {
        let (w, m, gradient) = (numbers(0.0), numbers(1.0), numbers(2.0));
        for place in [0, 1024, 69_999] {
            let mut v = vec![0.5; 70_000];
            v[place] = f32::NAN;
            let mut new = [vec![0.0; 70_000], vec![0.0; 70_000], vec![0.0; 70_000]];
            let rule = Adam {
                weight_decay: 0.0,
                decay: 0.5,
                shares: [0.1, 0.2],
                correction: 0.9,
                epsilon: 1e-8,
                rate: 0.1,
            };
            let into = new.each_mut().map(Vec::as_mut_slice);
            let written = rule.step([&w, &m, &v], &gradient, into);
            assert!(!written.finite, "{place}");
            assert_eq!(written.digests, [digest(&new[0]), digest(&new[1]), digest(&new[2])]);
        }
    }
}
