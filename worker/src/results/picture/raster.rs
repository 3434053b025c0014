//! A bitmap and the few shapes that are drawn into it, with smooth edges.
//!
//! Pixel (x, y) is the unit square around the point (x, y), so a one-pixel line at whole coordinates is crisp. Colours
//! are blended in whole numbers: the result does not depend on the machine.

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

/// An RGB image, `[height, width, 3]`.
pub(super) struct Raster {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
}

/// Positions of a dot's middle within a pixel that are told apart, along each axis.
const SUBPIXELS: usize = 4;

impl Raster {
    /// A white image.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height, pixels: vec![255; 3 * width as usize * height as usize] }
    }

    /// Lays `color` over a pixel; `alpha` 255 covers it. Outside the image nothing happens.
    #[inline]
    pub fn blend(&mut self, (x, y): (i32, i32), color: Rgb, alpha: u8) {
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return;
        }
        let start = 3 * (y as usize * self.width as usize + x as usize);
        for (below, above) in self.pixels[start..start + 3].iter_mut().zip(color) {
            *below = mix(*below, above, alpha);
        }
    }

    /// Fills a rectangle, both corners included.
    pub fn fill(&mut self, (x0, y0): (i32, i32), (x1, y1): (i32, i32), color: Rgb, alpha: u8) {
        for y in y0.max(0)..=y1.min(self.height as i32 - 1) {
            for x in x0.max(0)..=x1.min(self.width as i32 - 1) {
                self.blend((x, y), color, alpha);
            }
        }
    }

    /// Fills the shape within which `depth` (distance to its edge, positive inside) is positive.
    pub fn shape(
        &mut self,
        bounds: [(f32, f32); 2],
        (color, alpha): (Rgb, u8),
        depth: impl Fn(f32, f32) -> f32,
    ) {
        let [(x0, y0), (x1, y1)] = bounds;
        for y in (y0.floor() as i32).max(0)..=(y1.ceil() as i32).min(self.height as i32 - 1) {
            for x in (x0.floor() as i32).max(0)..=(x1.ceil() as i32).min(self.width as i32 - 1) {
                let covered = coverage(depth(x as f32, y as f32));
                self.blend((x, y), color, (u32::from(covered) * u32::from(alpha) / 255) as u8);
            }
        }
    }

    /// A disc.
    pub fn disc(&mut self, (x, y): (f32, f32), radius: f32, ink: (Rgb, u8)) {
        let bounds = [(x - radius - 1.0, y - radius - 1.0), (x + radius + 1.0, y + radius + 1.0)];
        self.shape(bounds, ink, |px, py| radius - length(px - x, py - y));
    }

    /// A straight line with round ends.
    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), width: f32, ink: (Rgb, u8)) {
        let (x0, y0, x1, y1) = (from.0 as f32, from.1 as f32, to.0 as f32, to.1 as f32);
        let (dx, dy, reach) = (x1 - x0, y1 - y0, width / 2.0 + 1.0);
        let squared_length = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
        let bounds =
            [(x0.min(x1) - reach, y0.min(y1) - reach), (x0.max(x1) + reach, y0.max(y1) + reach)];
        self.shape(bounds, ink, |px, py| {
            let along = (((px - x0) * dx + (py - y0) * dy) / squared_length).clamp(0.0, 1.0);
            let (ex, ey) = (px - x0 - along * dx, py - y0 - along * dy);
            width / 2.0 - (ex * ex + ey * ey).sqrt()
        });
    }

    /// Many small discs of one size, later ones over earlier ones: fast, from masks made once.
    pub fn dots(&mut self, dots: impl Iterator<Item = ((f32, f32), Rgb)>, radius: f32) {
        let stamp = Stamp::new(radius);
        for ((x, y), color) in dots {
            // The nearest of the positions told apart, as a whole pixel and a rest.
            let place = |v: f32| (v * SUBPIXELS as f32).round() as i32;
            let split = |v: i32| (v.div_euclid(SUBPIXELS as i32), v.rem_euclid(SUBPIXELS as i32));
            let ((x, x_rest), (y, y_rest)) = (split(place(x)), split(place(y)));
            let mask = &stamp.masks[y_rest as usize * SUBPIXELS + x_rest as usize];
            for &(dx, dy, alpha) in mask {
                self.blend((x + dx, y + dy), color, alpha);
            }
        }
    }
}

/// A dot's pixels, for every position of its middle within a pixel that is told apart.
struct Stamp {
    masks: Vec<Vec<(i32, i32, u8)>>,
}

impl Stamp {
    fn new(radius: f32) -> Self {
        let reach = radius.ceil() as i32 + 1;
        let mask = |rest: usize| {
            let middle = |rest: usize| rest as f32 / SUBPIXELS as f32;
            let (x, y) = (middle(rest % SUBPIXELS), middle(rest / SUBPIXELS));
            let pixels = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
            let covered = pixels
                .map(|(dx, dy)| (dx, dy, coverage(radius - length(dx as f32 - x, dy as f32 - y))));
            covered.filter(|pixel| pixel.2 > 0).collect()
        };
        Self { masks: (0..SUBPIXELS * SUBPIXELS).map(mask).collect() }
    }
}

/// How much of a pixel lies inside an edge that is `depth` pixels away from its middle, 0…255.
fn coverage(depth: f32) -> u8 {
    ((depth + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8
}

/// How long a vector is.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// `above` laid over `below`.
pub(super) fn mix(below: u8, above: u8, alpha: u8) -> u8 {
    let (below, above, alpha) = (u32::from(below), u32::from(above), u32::from(alpha));
    ((below * (255 - alpha) + above * alpha + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(raster: &Raster, x: usize, y: usize) -> &[u8] {
        &raster.pixels[3 * (y * raster.width as usize + x)..][..3]
    }

    #[test]
    fn a_thin_line_covers_its_pixels_and_no_others() {
        let mut raster = Raster::new(9, 5);
        raster.line((1, 2), (7, 2), 1.0, ([0, 0, 0], 255));
        assert_eq!(pixel(&raster, 4, 2), [0, 0, 0]);
        assert_eq!(pixel(&raster, 4, 1), [255; 3]);
        assert_eq!(pixel(&raster, 4, 3), [255; 3]);
    }

    #[test]
    fn dots_and_discs_agree() {
        let (mut dots, mut disc) = (Raster::new(12, 12), Raster::new(12, 12));
        dots.dots(std::iter::once(((5.25, 6.5), [200, 10, 30])), 2.2);
        disc.disc((5.25, 6.5), 2.2, ([200, 10, 30], 255));
        assert_eq!(dots.pixels, disc.pixels);
    }

    #[test]
    fn outside_the_image_nothing_happens() {
        let mut raster = Raster::new(4, 4);
        raster.dots([((-50.0, 1e9), [0; 3]), ((1e30, -1e30), [0; 3])].into_iter(), 2.0);
        raster.disc((-10.0, 90.0), 3.0, ([0; 3], 255));
        raster.line((-5, -5), (-1, -9), 1.0, ([0; 3], 255));
        raster.fill((-5, -5), (-1, 90), [0; 3], 255);
        assert_eq!(raster.pixels, [255; 48]);
    }
}
