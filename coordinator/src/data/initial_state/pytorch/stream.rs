//! The container before PyTorch 1.6, which `torch.save(…, _use_new_zipfile_serialization=False)` still writes.
//!
//! Five pickles (a number by which it is known, a version, the machine, the object, the names of the storages), then for
//! each storage its count of elements and their bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use super::graph::{Graph, Id, Node};
use super::machine::{self, PickleError};
use super::rebuild::Storage;
use super::{Newest, PICKLE_LIMIT, Storages, walk};
use crate::data::initial_state::entry::Entry;
use crate::data::initial_state::file::{Contents, Refusal};

/// What is said of numbers in the other order of bytes.
pub const BIG_ENDIAN: &str =
    "was written on a big-endian machine; load it with torch.load and save it again on this one";

const CUT_OFF: &str = "is a file of torch.save that is cut off; fetch or write it again";

/// 0x1950a86a20f9469cfc6c, as a pickle of protocol 2 and later writes it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Whether a file that starts with these bytes is of this kind.
pub fn is_start(start: &[u8]) -> bool {
    let start = &start[..start.len().min(64)];
    start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// Reads the tensors of a file of this kind.
///
/// # Errors
/// It is damaged, or of a machine that orders bytes otherwise.
pub fn read(file: File) -> Result<Contents, Refusal> {
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    (&file).take(PICKLE_LIMIT).read_to_end(&mut head)?;
    let mut graph = Graph::default();
    let mut at = 0;
    let mut next = |graph: &mut Graph| -> Result<Id, Refusal> {
        let (id, size) = machine::run(&head[at..], graph).map_err(refusal)?;
        at += size;
        Ok(id)
    };
    let (_magic, _version, machine) = (next(&mut graph)?, next(&mut graph)?, next(&mut graph)?);
    if let Some(Node::Bool(false)) = graph.item(machine, "little_endian").map(|id| graph.get(id)) {
        return Err(Refusal::from(BIG_ENDIAN.to_string()));
    }
    let (object, keys) = (next(&mut graph)?, next(&mut graph)?);
    let keys = graph.elements(keys).unwrap_or_default();
    let keys: Vec<String> = keys.iter().map(|key| graph.key(*key)).collect();
    let found = walk::walk(&graph, object);
    let (places, end) = places(&file, &keys, &graph, at as u64)?;
    if end > length {
        return Err(Refusal::from(CUT_OFF.to_string()));
    }
    let notes = super::after_the_end(length, end);
    let storages: Rc<dyn Storages> = Rc::new(Stream { file, places, newest: Newest::default() });
    let entries = found.tensors.into_iter();
    let entries =
        entries.map(|(name, tensor)| Entry::from_pytorch(name, tensor, Rc::clone(&storages)));
    Ok(Contents { entries: entries.collect(), passed_over: found.passed_over, notes })
}

fn refusal(error: PickleError) -> Refusal {
    Refusal::from(match error {
        PickleError::CutOff => CUT_OFF.to_string(),
        error => format!("{error}; write it again with torch.save"),
    })
}

/// First byte and length of each storage.
type Places = HashMap<String, (u64, usize)>;

/// The places of all storages, and where the last one ends.
fn places(
    file: &File,
    keys: &[String],
    graph: &Graph,
    mut at: u64,
) -> Result<(Places, u64), Refusal> {
    let sizes = graph.storages();
    let mut places = HashMap::new();
    for key in keys {
        let mut count = [0; 8];
        file.read_exact_at(&mut count, at).map_err(|_| Refusal::from(CUT_OFF.to_string()))?;
        let length = sizes
            .get(key.as_str())
            .and_then(|size| usize::try_from(i64::from_le_bytes(count)).ok()?.checked_mul(*size));
        let length = length.ok_or_else(|| {
            Refusal::from(format!(
                "is damaged: storage {key:?} has no length; write it again with torch.save"
            ))
        })?;
        places.insert(key.clone(), (at + 8, length));
        at = (at + 8).saturating_add(length as u64);
    }
    Ok((places, at))
}

struct Stream {
    file: File,
    places: Places,
    newest: Newest,
}

impl Storages for Stream {
    fn read(&self, storage: &Storage) -> io::Result<Rc<Vec<u8>>> {
        self.newest.or_read(&storage.key, || {
            let place = self.places.get(&storage.key);
            let (start, length) =
                place.ok_or_else(|| io::Error::other("the file lacks its bytes"))?;
            // Not longer than the file: `read` has looked where the last storage ends.
            let mut content = vec![0; *length];
            self.file.read_exact_at(&mut content, *start)?;
            Ok(content)
        })
    }
}
