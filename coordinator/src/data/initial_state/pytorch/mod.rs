//! What `torch.save` writes: a pickle that describes an object, and the bytes of its tensors beside it.
//!
//! - `machine`: the pickle's opcodes, one after another, from an `input`;
//! - `graph`: the values that they leave;
//! - `rebuild`: which of a pickle's calls are tensors;
//! - `walk`: these tensors by the names that they have in the object, and what was passed over;
//! - `archive`, `stream`: the containers, zip since PyTorch 1.6 and the one before.
//!
//! A pickle is a program. Nothing that it asks to be called is called here: a call becomes a value that says what would
//! have been called, and a few of them are known to be tensors or dictionaries.

use std::io;
use std::rc::Rc;

mod archive;
mod graph;
mod input;
mod machine;
mod rebuild;
mod stream;
mod walk;

pub use archive::read as read_archive;
pub use rebuild::{Storage, Tensor};
pub use stream::{is_start as is_start_of_stream, read as read_stream};

/// Where the bytes of tensors lie.
pub trait Storages {
    /// All bytes of a storage.
    ///
    /// # Errors
    /// The file lacks them, or they are damaged.
    fn read(&self, storage: &Storage) -> io::Result<Rc<Vec<u8>>>;
}

/// Keeps the storage that was read last: one may hold all tensors of a file.
#[derive(Debug, Default)]
struct Newest(std::cell::RefCell<Option<(String, Rc<Vec<u8>>)>>);

impl Newest {
    fn or_read(
        &self,
        key: &str,
        read: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Rc<Vec<u8>>> {
        let mut newest = self.0.borrow_mut();
        if let Some((_, content)) = newest.as_ref().filter(|(newest, _)| newest == key) {
            return Ok(Rc::clone(content));
        }
        // Let go before the next is read.
        *newest = None;
        let content = Rc::new(read()?);
        *newest = Some((key.to_string(), Rc::clone(&content)));
        Ok(content)
    }
}

/// Larger pickles are refused: tensors lie beside them, so those of any network have a few hundred kilobytes.
const PICKLE_LIMIT: u64 = 64 << 20;

/// What is said of bytes that follow a file's end; PyTorch does not mind them either.
fn after_the_end(length: u64, end: u64) -> Vec<String> {
    let rest = length.saturating_sub(end);
    (rest > 0)
        .then(|| format!("the {rest} bytes after the file's end are not looked at"))
        .into_iter()
        .collect()
}
