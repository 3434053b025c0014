//! Round numbers along an axis, and how they are written.

/// One mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    pub label: String,
}

/// Multiples of 1, 2 or 5 times a power of ten within `[low, high]`, about `wanted` of them and never more than
/// twice as many. Both ends must be finite and apart by more than rounding.
pub(super) fn linear(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let (multiple, exponent) = round_step((high - low) / wanted.max(1) as f64);
    let step = multiple as f64 * power_of_ten(exponent);
    // A mark at the very end counts in spite of rounding.
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    if !(last - first <= 4.0 * wanted as f64 && first.abs() <= 1e15) {
        return Vec::new();
    }
    let tick = |index: i64| Tick {
        value: index as f64 * step,
        label: decimal(index * multiple, exponent),
    };
    (first as i64..=last as i64).map(tick).collect()
}

/// Powers of ten within `[low, high]`, and their 2 and 5 fold where there are few. Both ends must be positive.
pub(super) fn logarithmic(low: f64, high: f64) -> Vec<Tick> {
    let exponents = (-300..=300).filter(|&e| power_of_ten(e + 1) >= low && power_of_ten(e) <= high);
    let multiples: &[i64] = if exponents.clone().count() > 3 { &[1] } else { &[1, 2, 5] };
    let tick = |exponent: i32, multiple: i64| Tick {
        value: multiple as f64 * power_of_ten(exponent),
        label: decimal(multiple, exponent),
    };
    let all = exponents.flat_map(|e| multiples.iter().map(move |&multiple| tick(e, multiple)));
    all.filter(|tick| tick.value >= low && tick.value <= high).collect()
}

/// The smallest 1, 2 or 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> (i64, i32) {
    let mut exponent = -300;
    while exponent < 300 && power_of_ten(exponent + 1) < step {
        exponent += 1;
    }
    let fits = |multiple: &i64| *multiple as f64 * power_of_ten(exponent) >= step;
    ([1, 2, 5].into_iter().find(fits)).map_or((1, exponent + 1), |multiple| (multiple, exponent))
}

/// Exact where a double can be: read from its decimal form, never computed.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().expect("a decimal number")
}

/// `digits · 10^exponent`, written out where that is short.
fn decimal(digits: i64, exponent: i32) -> String {
    let sign = if digits < 0 { "−" } else { "" };
    let size = digits.unsigned_abs();
    match exponent {
        _ if size == 0 => "0".to_owned(),
        0..=3 => format!("{sign}{}", size * 10u64.pow(exponent as u32)),
        -4..=-1 => {
            let unit = 10u64.pow(exponent.unsigned_abs());
            let places = exponent.unsigned_abs() as usize;
            format!("{sign}{}.{:0places$}", size / unit, size % unit)
        }
        _ => format!("{sign}{size}e{}", exponent.to_string().replace('-', "−")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> String {
        ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn linear_ticks_are_round() {
        let check = |low, high, expected| assert_eq!(labels(&linear(low, high, 5)), expected);
        check(-1.0, 1.0, "−1.0 −0.5 0 0.5 1.0");
        check(-237.0, 412.0, "−200 0 200 400");
        check(0.0, 1e-3, "0 0.0002 0.0004 0.0006 0.0008 0.0010");
        check(0.0, 3e-8, "0 1e−8 2e−8 3e−8");
        check(-2.5e9, 2.6e9, "−2e9 0 2e9");
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten() {
        let check = |low, high, expected| assert_eq!(labels(&logarithmic(low, high)), expected);
        check(0.04, 2.4, "0.05 0.1 0.2 0.5 1 2");
        check(1e-6, 2.0, "1e−6 1e−5 0.0001 0.001 0.01 0.1 1");
    }

    #[test]
    fn hopeless_ranges_give_no_ticks_and_end() {
        assert_eq!(linear(1e20, 1e20 + 1e5, 5), []);
        assert_eq!(linear(f64::NAN, 1.0, 5), []);
        assert!(linear(0.0, 1e-320, 5).len() <= 20);
        assert!(linear(-1e300, 1e300, 5).len() <= 10);
    }
}
