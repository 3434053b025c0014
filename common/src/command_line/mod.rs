//! Command lines as both programs read them.
//!
//! - [`parse()`]: flags over variables; a flag that is given again counts as the last one, a variable that is set to nothing is
//!   not given, and what is wrong with a variable is said of the variable;
//! - [`variables`]: which variables there are, and those that were meant to be one of them.
//!
//! What the settings mean is none of its business.

mod parse;
pub mod variables;

pub use parse::{parse, variable_behind, variables_behind};
