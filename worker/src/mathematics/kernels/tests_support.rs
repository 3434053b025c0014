//! A small layer and its plain, unfused composition, which the fused passes are compared with.

use super::activation::Activation;
use super::extent::Extent;
use super::gradient::InputGradient;

/// One layer's input to the passes.
pub struct Layer {
    pub extent: Extent,
    pub z: Vec<f64>,
    pub activation: Activation<f64>,
    pub mean: Vec<f64>,
}

/// A layer of 24 channels (three blocks), with numbers of both signs and no ties.
pub fn layer((height, width): (usize, usize)) -> Layer {
    let extent = Extent { height, width, channels: 24 };
    let number = |i: usize| ((i * 7919 + 13) % 10_007) as f64 / 1000.0 - 5.0;
    Layer {
        extent,
        z: (0..extent.numbers()).map(number).collect(),
        activation: Activation {
            scale: (0..24).map(|c| 0.5 + 0.1 * c as f64).collect(),
            shift: (0..24).map(|c| 0.05 * c as f64 - 0.4).collect(),
            slope: 0.25,
        },
        mean: (0..24).map(|c| 0.3 - 0.02 * c as f64).collect(),
    }
}

/// What the definition gives, one operation at a time.
pub struct Reference {
    pub activated: Vec<f64>,
    pub pooled: Vec<f64>,
    normalised: Vec<f64>,
    /// For each pooled number, the index of its window's maximum.
    winners: Vec<usize>,
}

pub fn reference(layer: &Layer) -> Reference {
    let Extent { height, width, channels } = layer.extent;
    let Activation { scale, shift, slope } = &layer.activation;
    let normalised: Vec<f64> = (layer.z.iter().enumerate())
        .map(|(i, z)| scale[i % channels] * z + shift[i % channels])
        .collect();
    let activated: Vec<f64> =
        normalised.iter().map(|&u| if u > 0.0 { u } else { slope * u }).collect();
    let mut winners = Vec::new();
    for row in 0..height / 2 {
        for column in 0..width / 2 {
            for channel in 0..channels {
                let at = |r: usize, c: usize| {
                    ((2 * row + r) * width + 2 * column + c) * channels + channel
                };
                let window = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
                let best = window
                    .into_iter()
                    .reduce(|best, i| if activated[i] > activated[best] { i } else { best });
                winners.push(best.unwrap());
            }
        }
    }
    let pooled = winners.iter().map(|&i| activated[i]).collect();
    Reference { activated, pooled, normalised, winners }
}

impl Reference {
    /// An upstream gradient as the passes take it, and the same spread over all positions.
    pub fn upstream(&self, pooled: bool) -> (Vec<f64>, Vec<f64>) {
        let number = |i: usize| ((i * 104_729 + 7) % 2003) as f64 / 500.0 - 2.0;
        if !pooled {
            let upstream: Vec<f64> = (0..self.activated.len()).map(number).collect();
            return (upstream.clone(), upstream);
        }
        let upstream: Vec<f64> = (0..self.winners.len()).map(number).collect();
        let mut spread = vec![0.0; self.activated.len()];
        self.winners.iter().zip(&upstream).for_each(|(&i, g)| spread[i] += g);
        (upstream, spread)
    }

    fn through_prelu(&self, layer: &Layer, flowing: &[f64]) -> Vec<f64> {
        let slope = layer.activation.slope;
        let pairs = self.normalised.iter().zip(flowing);
        pairs.map(|(&u, g)| if u > 0.0 { *g } else { slope * g }).collect()
    }

    pub fn sums(&self, layer: &Layer, flowing: &[f64]) -> Vec<f64> {
        let channels = layer.extent.channels;
        let mut sums = vec![0.0; 2 * channels + 1];
        for (i, h) in self.through_prelu(layer, flowing).into_iter().enumerate() {
            let channel = i % channels;
            sums[channel] += h;
            sums[channels + channel] += h * (layer.z[i] - layer.mean[channel]);
            sums[2 * channels] += flowing[i] * self.normalised[i].min(0.0);
        }
        sums
    }

    pub fn input_gradient(
        &self,
        layer: &Layer,
        flowing: &[f64],
        coefficients: &InputGradient<f64>,
    ) -> Vec<f64> {
        let channels = layer.extent.channels;
        let InputGradient { gradient, value, constant } = coefficients;
        (self.through_prelu(layer, flowing).into_iter().enumerate())
            .map(|(i, h)| {
                let channel = i % channels;
                gradient[channel] * h + value[channel] * layer.z[i] + constant[channel]
            })
            .collect()
    }
}
