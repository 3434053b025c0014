//! The name of what is made of a folder of images: a digest of all that it depends on.
//!
//! Called by [`super::load`]. Where a file was changed, its time or size was; nobody reads the files for it.

use std::os::unix::ffi::OsStrExt;

use common::hexadecimal;
use sha2::{Digest, Sha256};

use super::ImageOptions;
use super::header::VERSION;
use super::layout::Listing;

/// Hexadecimal digits.
pub(super) fn key(listing: &Listing, options: &ImageOptions) -> String {
    let ImageOptions { size, mode, resize, skip_broken, limits, .. } = options;
    let settings = format!("{VERSION} {size:?} {mode:?} {resize:?} {skip_broken} {limits:?}");
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(settings.as_bytes());
    add(&(listing.classes.len() as u64).to_le_bytes());
    listing.classes.iter().for_each(|class| add(class.as_bytes()));
    for sources in [&listing.train, &listing.test] {
        add(&(sources.len() as u64).to_le_bytes());
        for source in sources {
            add(source.relative.as_os_str().as_bytes());
            add(&source.size.to_le_bytes());
            add(&source.changed.to_le_bytes());
            add(&source.label.to_le_bytes());
        }
    }
    hexadecimal(&hash.finalize())
}
