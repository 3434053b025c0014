//! What is minimised: `--loss`, a sum of terms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::batch_losses::{Criterion, LOSSES, Own, find};
use crate::nearest;

/// What is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Loss {
    /// What is made of the network's scores; none where a term with a margin classifies.
    pub scores: Option<ScoreLoss>,
    /// Whether the center loss is added, times `--center-weight`.
    pub center: bool,
    /// What looks at all features of the global batch.
    pub terms: Vec<LossTerm>,
}

/// A loss of the network's scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreLoss {
    /// Negative log-likelihood of log-softmax.
    Softmax,
    /// The same, computed as cross-entropy of the raw scores.
    CrossEntropy,
}

/// A loss over the whole batch, and how much it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct LossTerm {
    /// What it is multiplied by.
    pub weight: f64,
    /// One of [`LOSSES`].
    pub name: &'static str,
    /// Those of its parameters that are given.
    pub parameters: Vec<(String, f64)>,
}

const SOFTMAX: &str = "softmax";
const CROSS_ENTROPY: &str = "cross-entropy";
const CENTER: &str = "center";

impl Loss {
    /// Softmax and center loss.
    pub const CENTER: Self =
        Self { scores: Some(ScoreLoss::Softmax), center: true, terms: Vec::new() };

    /// Whether centers are trained.
    pub fn has_centers(&self) -> bool {
        self.center || self.terms.iter().any(|term| term.criterion().own() == Own::Centers)
    }

    /// The term that classifies, where one with a margin does.
    pub fn margin(&self) -> Option<&LossTerm> {
        self.terms.iter().find(|term| term.classifies())
    }
}

impl LossTerm {
    /// The function.
    pub fn criterion(&self) -> Box<dyn Criterion> {
        let given: Vec<(&str, f64)> =
            self.parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        find(self.name, &given).expect("a term is checked when it is read")
    }

    /// Whether it is a classifier's loss, so that there is no other.
    pub fn classifies(&self) -> bool {
        self.criterion().own() == Own::OutputWeight
    }

    /// `[WEIGHT*]NAME[(PARAMETER=NUMBER,…)]`
    fn read(text: &str) -> Result<Self, String> {
        let (weight, rest) = match text.split_once('*') {
            Some((weight, rest)) => (number(weight, "a weight")?, rest.trim()),
            None => (1.0, text),
        };
        if !(weight.is_finite() && weight > 0.0) {
            return Err(format!("the weight of `{rest}` is {weight}: give a number above 0"));
        }
        let (name, inside) = match rest.split_once('(') {
            Some((name, inside)) => {
                let inside =
                    inside.strip_suffix(')').ok_or(format!("`{rest}` lacks its last `)`"))?;
                (name.trim(), inside)
            }
            None => (rest, ""),
        };
        let parameter = |part: &str| {
            let (name, value) =
                part.split_once('=').ok_or(format!("`{part}` in `{rest}` is no NAME=NUMBER"))?;
            Ok::<_, String>((name.trim().to_string(), number(value, name)?))
        };
        let given = inside.split(',').map(str::trim).filter(|part| !part.is_empty());
        let parameters: Vec<(String, f64)> = given.map(parameter).collect::<Result<_, _>>()?;
        let Some(entry) = LOSSES.iter().find(|entry| entry.name == name) else {
            // The plain ones have neither weight nor parameters, and are told apart by whoever calls this.
            let plain = [SOFTMAX, CROSS_ENTROPY, CENTER];
            let suggestion = nearest(name, LOSSES.iter().map(|entry| entry.name).chain(plain));
            return Err(match suggestion {
                Some(CENTER) if name == CENTER => {
                    "the weight of `center` is --center-weight".to_string()
                }
                Some(known) if known == name => format!(
                    "`{name}` has no weight and no parameters: it is what others are weighed against"
                ),
                Some(known) => format!("there is no loss `{name}`; did you mean `{known}`?"),
                None => format!("there is no loss `{name}`: there are {}", names().join(", ")),
            });
        };
        let borrowed: Vec<(&str, f64)> =
            parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        find(name, &borrowed).map_err(|error| error.to_string())?;
        Ok(Self { weight, name: entry.name, parameters })
    }
}

/// All words for terms.
fn names() -> Vec<&'static str> {
    [SOFTMAX, CROSS_ENTROPY, CENTER]
        .into_iter()
        .chain(LOSSES.iter().map(|entry| entry.name))
        .collect()
}

fn number(text: &str, what: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("`{}` is no number for {what}", text.trim()))
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == CENTER {
            return Ok(Self::CENTER);
        }
        let mut loss = Self { scores: None, center: false, terms: Vec::new() };
        let mut classifiers = Vec::new();
        for part in text.split('+').map(str::trim) {
            match part {
                "" => return Err("a term is missing: give e.g. `softmax + 0.5*supcon`".to_string()),
                SOFTMAX | CROSS_ENTROPY => {
                    classifiers.push(part.to_string());
                    let softmax = part == SOFTMAX;
                    loss.scores =
                        Some(if softmax { ScoreLoss::Softmax } else { ScoreLoss::CrossEntropy });
                }
                CENTER if loss.center => return Err("`center` is there twice".to_string()),
                CENTER => loss.center = true,
                other => {
                    let term = LossTerm::read(other)?;
                    if loss.terms.iter().any(|before| before.name == term.name) {
                        return Err(format!("`{}` is there twice", term.name));
                    }
                    if term.classifies() {
                        classifiers.push(term.name.to_string());
                    }
                    loss.terms.push(term);
                }
            }
        }
        match &classifiers[..] {
            [_] => Ok(loss),
            [] => Err(format!(
                "`{text}` trains no classifier: add one of softmax, cross-entropy, arcface, cosface"
            )),
            several => Err(format!("{} classify, one is enough", several.join(" and "))),
        }
    }
}

impl TryFrom<String> for Loss {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Loss> for String {
    fn from(loss: Loss) -> Self {
        loss.to_string()
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::CENTER {
            return f.pad(CENTER);
        }
        let scores = self.scores.map(|scores| match scores {
            ScoreLoss::Softmax => SOFTMAX.to_string(),
            ScoreLoss::CrossEntropy => CROSS_ENTROPY.to_string(),
        });
        let center = self.center.then(|| CENTER.to_string());
        let terms = self.terms.iter().map(ToString::to_string);
        let all: Vec<String> = scores.into_iter().chain(center).chain(terms).collect();
        f.pad(&all.join(" + "))
    }
}

impl fmt::Display for LossTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weight != 1.0 {
            write!(f, "{}*", self.weight)?;
        }
        f.write_str(self.name)?;
        if self.parameters.is_empty() {
            return Ok(());
        }
        let given: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, "({})", given.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back() {
        for (given, written) in [
            ("center", "center"),
            ("softmax", "softmax"),
            ("cross-entropy", "cross-entropy"),
            ("softmax + center", "center"),
            ("softmax+0.5*supcon", "softmax + 0.5*supcon"),
            (
                "0.5 * supcon( temperature = 0.07 ) + softmax",
                "softmax + 0.5*supcon(temperature=0.07)",
            ),
            ("arcface(scale=16,margin=0.25) + center", "center + arcface(scale=16,margin=0.25)"),
            (
                "cross-entropy + triplet + 2*contrastive-center",
                "cross-entropy + triplet + 2*contrastive-center",
            ),
        ] {
            let loss: Loss = given.parse().unwrap();
            assert_eq!(loss.to_string(), written);
            assert_eq!(written.parse::<Loss>().unwrap(), loss, "{written}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (given, words) in [
            ("supcom", "did you mean `supcon`?"),
            ("imagenet", "there are softmax, cross-entropy, center, supcon"),
            ("supcon", "trains no classifier"),
            ("softmax + arcface", "softmax and arcface classify"),
            ("softmax + supcon + supcon", "`supcon` is there twice"),
            ("softmax + 0*supcon", "give a number above 0"),
            ("softmax + x*supcon", "`x` is no number"),
            ("softmax + supcon(", "lacks its last `)`"),
            ("softmax + supcon(margin=1)", "no parameter \"margin\""),
            ("softmax + supcon(temperature=0)", "0.001 to 1000"),
            ("softmax + 0.1*center", "--center-weight"),
            ("2*softmax", "has no weight"),
            ("softmax +", "a term is missing"),
        ] {
            let error = given.parse::<Loss>().unwrap_err();
            assert!(error.contains(words), "{given}: {error}");
        }
    }

    #[test]
    fn centers_and_margins_are_known() {
        let loss = |text: &str| text.parse::<Loss>().unwrap();
        assert!(loss("center").has_centers() && loss("softmax + contrastive-center").has_centers());
        assert!(!loss("softmax + supcon").has_centers());
        assert_eq!(loss("0.5*arcface").margin().unwrap().weight, 0.5);
        assert_eq!(loss("softmax + triplet").margin(), None);
    }
}
