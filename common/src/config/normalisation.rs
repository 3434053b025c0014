//! How pixels become the network's input: scaled to 0…1, a mean subtracted, divided by a deviation, each channel by its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};
use crate::data_shape::DataShape;

/// Mean and deviation of MNIST's pixels, scaled to 0…1.
const DIGITS: (f64, f64) = (0.1309, 0.3084);

/// One number for all channels, or one for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerChannel {
    /// For all.
    Same(f64),
    /// For each.
    Each(Vec<f64>),
}

impl PerChannel {
    /// That of a channel.
    fn of(&self, channel: usize) -> Option<f64> {
        match self {
            Self::Same(number) => Some(*number),
            Self::Each(numbers) => numbers.get(channel).copied(),
        }
    }

    /// All there are.
    pub fn numbers(&self) -> &[f64] {
        match self {
            Self::Same(number) => std::slice::from_ref(number),
            Self::Each(numbers) => numbers,
        }
    }
}

impl From<Vec<f64>> for PerChannel {
    fn from(numbers: Vec<f64>) -> Self {
        match numbers[..] {
            [number] => Self::Same(number),
            _ => Self::Each(numbers),
        }
    }
}

impl FromStr for PerChannel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse::<f64>();
        let numbers: Result<Vec<f64>, _> = text.split(',').map(number).collect();
        let numbers = numbers.map_err(|error| {
            format!("{error}; give a number, or one for each channel: 0.49,0.48,0.45")
        })?;
        Ok(numbers.into())
    }
}

impl fmt::Display for PerChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.numbers().iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

impl Config {
    /// Mean and deviation of each of so many channels; where none are given, those of MNIST.
    pub fn normalisation(&self, channels: usize) -> Vec<(f64, f64)> {
        let of = |numbers: &Option<PerChannel>, channel: usize, default: f64| {
            numbers.as_ref().and_then(|numbers| numbers.of(channel)).unwrap_or(default)
        };
        let both = |channel| {
            (of(&self.pixel_mean, channel, DIGITS.0), of(&self.pixel_std, channel, DIGITS.1))
        };
        (0..channels).map(both).collect()
    }

    /// Whether mean or deviation of such images are the training set's, which has to be looked at for them. Grey images of
    /// 28 × 28 pixels in ten classes are normalised as MNIST is, whatever they show.
    pub fn normalises_by_data(&self, data: DataShape) -> bool {
        (self.pixel_mean.is_none() || self.pixel_std.is_none()) && data != DataShape::MNIST
    }

    /// Fills in what was not given: what the training set has, or MNIST's.
    pub fn resolve_normalisation(&mut self, measured: Option<(Vec<f64>, Vec<f64>)>) {
        let (mean, deviation) = measured.unwrap_or((vec![DIGITS.0], vec![DIGITS.1]));
        self.pixel_mean.get_or_insert_with(|| mean.into());
        self.pixel_std.get_or_insert_with(|| deviation.into());
    }

    /// Refuses numbers that cannot be used, whatever the images are.
    pub(super) fn validate_normalisation(&self) -> Result<(), ConfigError> {
        let invalid = |key, message| Err(ConfigError::Invalid { key, message });
        let numbers =
            |of: &Option<PerChannel>| of.as_ref().map_or(&[][..], |of| of.numbers()).to_vec();
        for (key, of) in [("pixel-mean", &self.pixel_mean), ("pixel-std", &self.pixel_std)] {
            let count = numbers(of).len();
            if of.is_some() && !matches!(count, 1 | 3) {
                return invalid(
                    key,
                    format!("{count} numbers: give one, or one for each of red, green and blue"),
                );
            }
        }
        if let Some(number) =
            numbers(&self.pixel_std).into_iter().find(|it| !(it.is_finite() && *it > 0.0))
        {
            return invalid("pixel-std", format!("is {number}, must be above 0"));
        }
        if numbers(&self.pixel_mean).into_iter().any(|it| !it.is_finite()) {
            return invalid("pixel-mean", "must be finite".to_string());
        }
        Ok(())
    }

    /// Refuses settings that do not fit the data.
    ///
    /// # Errors
    /// The first setting that does not, and what to give instead.
    pub fn validate_data(&self, data: DataShape) -> Result<(), ConfigError> {
        let invalid = |key, message| Err(ConfigError::Invalid { key, message });
        for (key, of) in [("pixel-mean", &self.pixel_mean), ("pixel-std", &self.pixel_std)] {
            let count = of.as_ref().map_or(1, |of| of.numbers().len());
            if count != 1 && count != data.channels {
                let kind = if data.channels == 1 { "grey" } else { "coloured" };
                return invalid(
                    key,
                    format!(
                        "has {count} numbers, but the images are {kind}: give one for each channel"
                    ),
                );
            }
        }
        self.network.check(data).map_err(|message| ConfigError::Invalid { key: "network", message })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::config::layers::{self, FileLayer};

    fn config(flags: &[&str]) -> Config {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from([&["coordinator"], flags].concat());
        Config::from_arg_matches(&matches).unwrap()
    }

    const COLOURED: DataShape = DataShape { channels: 3, height: 32, width: 32, classes: 10 };

    #[test]
    fn digits_are_normalised_as_they_always_were() {
        let mut digits = config(&[]);
        assert!(!digits.normalises_by_data(DataShape::MNIST));
        digits.resolve_normalisation(None);
        assert!(digits.to_toml().contains("pixel-mean = 0.1309\npixel-std = 0.3084\n"));
        assert_eq!(Config::from_toml(&digits.to_toml()).unwrap(), digits);
        assert_eq!(digits.normalisation(1), [(0.1309, 0.3084)]);
    }

    #[test]
    fn each_channel_has_its_own_numbers() {
        let mut given = config(&["--pixel-mean", "0.5,0.25,0"]);
        assert!(given.normalises_by_data(COLOURED));
        given.resolve_normalisation(Some((vec![9.0; 3], vec![0.5, 0.25, 0.125])));
        assert_eq!(given.normalisation(3), [(0.5, 0.5), (0.25, 0.25), (0.0, 0.125)]);
        assert_eq!(Config::from_toml(&given.to_toml()).unwrap(), given);
        let command = Config::augment_args(Command::new("coordinator"));
        let file =
            FileLayer::parse("f.toml", "pixel-mean = [0.5, 0.25, 0]\npixel-std = 1").unwrap();
        let read: Config =
            layers::merge(&command.get_matches_from(["coordinator"]), Some(&file)).unwrap();
        assert_eq!(read.normalisation(3)[1], (0.25, 1.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |flags: &[&str], data| {
            let config = config(flags);
            config.validate().and_then(|()| config.validate_data(data)).unwrap_err().to_string()
        };
        let of_three = refused(&["--pixel-mean", "0,0,0"], DataShape::MNIST);
        assert!(
            of_three.contains("--pixel-mean: has 3 numbers, but the images are grey"),
            "{of_three}"
        );
        assert!(refused(&["--pixel-std", "1,2"], COLOURED).contains("--pixel-std: 2 numbers"));
        assert!(refused(&["--pixel-std", "1,0,1"], COLOURED).contains("is 0, must be above 0"));
        let small = DataShape { height: 7, ..COLOURED };
        let message = refused(&[], small);
        assert!(message.contains("--network") && message.contains("mlp"), "{message}");
        config(&["--network", "mlp"]).validate_data(small).unwrap();
    }
}
