//! The losses by the name the command line has for them, with their parameters, defaults and ranges. Called where a
//! run's settings are read. It computes nothing.

use std::f64::consts::FRAC_PI_2;

use super::contrastive_center::ContrastiveCenter;
use super::criterion::Criterion;
use super::margin::{Margin, MarginSoftmax};
use super::supcon::SupCon;
use super::triplet::Triplet;

/// A number that a loss is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// As on the command line.
    pub name: &'static str,
    /// What it is if not given.
    pub default: f64,
    /// Its least and largest value.
    pub range: (f64, f64),
}

/// A loss.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As on the command line.
    pub name: &'static str,
    /// What it is made with.
    pub parameters: &'static [Parameter],
    /// Makes it, of one number a parameter.
    make: fn(&[f64]) -> Box<dyn Criterion>,
}

const TEMPERATURE: Parameter = parameter("temperature", 0.1, (1e-3, 1e3));
const DISTANCE: Parameter = parameter("margin", 0.3, (0.0, 1e6));
const DELTA: Parameter = parameter("delta", 1.0, (1e-9, 1e9));
const SCALE: Parameter = parameter("scale", 30.0, (1e-3, 1e3));
const ANGLE: Parameter = parameter("margin", 0.5, (0.0, FRAC_PI_2));
const COSINE: Parameter = parameter("margin", 0.35, (0.0, 2.0));

/// All of them. A new loss is a file and a line here.
pub const LOSSES: [Entry; 6] = [
    entry("supcon", &[TEMPERATURE], |p| Box::new(SupCon { temperature: p[0] })),
    entry("triplet", &[DISTANCE], |p| Box::new(Triplet::Margin(p[0]))),
    entry("triplet-soft", &[], |_| Box::new(Triplet::Soft)),
    entry("contrastive-center", &[DELTA], |p| Box::new(ContrastiveCenter { delta: p[0] })),
    entry("arcface", &[SCALE, ANGLE], |p| margin(p[0], Margin::Angle(p[1]))),
    entry("cosface", &[SCALE, COSINE], |p| margin(p[0], Margin::Cosine(p[1]))),
];

/// Why there is no such loss.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TableError {
    /// No loss has this name.
    #[error("no loss over the global batch is called {name:?}; there are {known}")]
    Name {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// The loss has no such parameter.
    #[error("the loss {loss} has no parameter {parameter:?}")]
    Parameter {
        /// The loss.
        loss: &'static str,
        /// What was given.
        parameter: String,
    },
    /// A parameter is out of its range, or not a number.
    #[error("{parameter} of the loss {loss} is {value}; it can be {} to {}", range.0, range.1)]
    Range {
        /// The loss.
        loss: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: f64,
        /// Its least and largest value.
        range: (f64, f64),
    },
}

/// The loss of this name, with the parameters given and the defaults of the others. Of two of a name the last counts.
pub fn find(name: &str, given: &[(&str, f64)]) -> Result<Box<dyn Criterion>, TableError> {
    let known = || LOSSES.map(|entry| entry.name).join(", ");
    let entry = LOSSES.iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| TableError::Name { name: name.to_owned(), known: known() })?;
    entry.with(given)
}

impl Entry {
    /// This loss, with the parameters given and the defaults of the others.
    pub fn with(&self, given: &[(&str, f64)]) -> Result<Box<dyn Criterion>, TableError> {
        let mut values: Vec<f64> = self.parameters.iter().map(|p| p.default).collect();
        for &(name, value) in given {
            let place = self.parameters.iter().position(|parameter| parameter.name == name);
            let place = place.ok_or_else(|| TableError::Parameter {
                loss: self.name,
                parameter: name.to_owned(),
            })?;
            let Parameter { name: parameter, range, .. } = self.parameters[place];
            if !(range.0..=range.1).contains(&value) {
                return Err(TableError::Range { loss: self.name, parameter, value, range });
            }
            values[place] = value;
        }
        Ok((self.make)(&values))
    }
}

const fn parameter(name: &'static str, default: f64, range: (f64, f64)) -> Parameter {
    Parameter { name, default, range }
}

const fn entry(
    name: &'static str,
    parameters: &'static [Parameter],
    make: fn(&[f64]) -> Box<dyn Criterion>,
) -> Entry {
    Entry { name, parameters, make }
}

fn margin(scale: f64, margin: Margin) -> Box<dyn Criterion> {
    Box::new(MarginSoftmax { scale, margin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_defaults_are_within_their_ranges() {
        for entry in LOSSES {
            let defaults: Vec<_> = entry.parameters.iter().map(|p| (p.name, p.default)).collect();
            let (found, plain) = (find(entry.name, &defaults), find(entry.name, &[]));
            assert_eq!(format!("{:?}", found.unwrap()), format!("{:?}", plain.unwrap()));
        }
    }

    #[test]
    fn given_parameters_arrive() {
        let found = find("cosface", &[("margin", 0.2)]).unwrap();
        let wanted = MarginSoftmax { scale: 30.0, margin: Margin::Cosine(0.2) };
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |name, given: &[(&str, f64)]| find(name, given).unwrap_err().to_string();
        assert!(error("contrastive", &[]).contains("supcon, triplet"));
        assert!(error("triplet-soft", &[("margin", 0.1)]).contains("no parameter \"margin\""));
        assert!(error("supcon", &[("temperature", 0.0)]).contains("0.001 to 1000"));
        assert!(error("supcon", &[("temperature", f64::NAN)]).contains("is NaN"));
    }
}
