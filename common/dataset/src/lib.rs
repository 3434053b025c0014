//! The samples of a run, from `--dataset` to bytes in memory. A tour:
//!
//! - [`source`]: what `--dataset` names; [`names`]: the words that it knows;
//! - [`load`](load()): from that name to a [`Dataset`], downloading or drawing where needed; `kind`: what a folder holds;
//!   `assemble`: from what files hold to a data set; `provide`: published sets, found or downloaded, and compared;
//! - [`samples`]: images and labels in memory;
//! - [`measure`]: mean and deviation of each channel;
//! - [`formats`]: the file formats, read strictly;
//! - [`images`]: folders of pictures, a folder for each class;
//! - [`known`]: whether what lies under a known name is what was published;
//! - [`published`]: which files exist on which mirrors, and their checksums;
//! - [`download`]: fetching them;
//! - [`synthetic`]: digits drawn by the program itself;
//! - [`error`]: what can go wrong, and what to do then.
//!
//! Called by the coordinator alone: workers get their samples from it. Nothing here reads the environment.

mod assemble;
pub mod download;
pub mod error;
pub mod formats;
pub mod images;
mod kind;
pub mod known;
mod load;
pub mod names;
mod provide;
pub mod published;
pub mod samples;
pub mod source;
mod sums;
pub mod synthetic;
#[cfg(test)]
mod test_server;

pub use error::DatasetError;
pub use load::{LoadOptions, load};
pub use samples::{Dataset, Samples};
pub use source::DatasetSource;
pub use sums::measure;
