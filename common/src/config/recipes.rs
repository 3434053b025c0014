//! Named sets of settings, below everything else that is given.

use super::Recipe;
use super::layers::FileLayer;

impl Recipe {
    /// Its settings, as if they stood in a file.
    pub fn layer(self) -> FileLayer {
        let Self::Fast = self;
        FileLayer::parse("--recipe fast", include_str!("recipes/fast.toml"))
            .expect("a recipe of this program is TOML")
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::*;
    use crate::config::{Config, layers};

    #[test]
    fn settings_of_a_recipe_can_be_read_and_overridden() {
        let command = Config::augment_args(Command::new("coordinator"));
        let matches = command.get_matches_from(["coordinator", "--epochs", "7"]);
        let own = FileLayer::parse("run.toml", "lr = 0.5").unwrap();
        let config: Config =
            layers::merge(&matches, Some(&own.over(Recipe::Fast.layer()))).unwrap();
        config.validate().unwrap();
        assert_eq!((config.epochs, config.lr), (7, 0.5));
        assert!(Recipe::Fast.layer().sets("lr-schedule"));
    }
}
