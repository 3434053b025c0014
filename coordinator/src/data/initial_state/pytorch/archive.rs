//! The container of PyTorch 1.6 and later: a zip archive of a pickle, `data.pkl`, and a file for each storage.
//!
//! `file` calls it for whatever starts as a zip archive does. Other zip archives are told by what is in them.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use zip::read::{ArchiveOffset, Config, ZipReadOptions};
use zip::{CompressionMethod, ZipArchive};

use super::graph::Graph;
use super::rebuild::Storage;
use super::{Newest, PICKLE_LIMIT, Storages, machine, walk};
use crate::data::initial_state::entry::Entry;
use crate::data::initial_state::file::{Contents, Refusal};

/// A storage that is compressed may not be larger than this: a few bytes can stand for any number of zeros.
const COMPRESSED_LIMIT: u64 = 512 << 20;

const PICKLE: &str = "data.pkl";

/// Reads the tensors of a zip archive.
///
/// # Errors
/// It is damaged, or something else than `torch.save` writes.
pub fn read(file: File) -> Result<Contents, Refusal> {
    let notes = super::after_the_end(file.metadata()?.len(), end(&file)?);
    // Looking for a start further in finds that of an archive among the entries.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let archive = ZipArchive::with_config(config, BufReader::new(file));
    let mut archive = archive.map_err(|error| Refusal::from(format!(
        "is a zip archive, as torch.save writes it, but cut off or damaged ({error}); fetch or write it again"
    )))?;
    let names: Vec<String> =
        archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let root = root(&names).ok_or_else(|| Refusal::from(other_kind(&names).to_string()))?;
    let entry = |name: &str| format!("{root}{name}");
    if names.iter().any(|name| *name == entry("constants.pkl") || name.starts_with(&entry("code/")))
    {
        return Err(Refusal::from(
            "is a TorchScript archive: load it with torch.jit.load(FILE) and save its weights with \
             torch.save(net.state_dict(), OTHER_FILE)"
                .to_string(),
        ));
    }
    let order = entry("byteorder");
    if names.contains(&order) && content(&mut archive, &order, 16)? == b"big" {
        return Err(Refusal::from(super::stream::BIG_ENDIAN.to_string()));
    }
    let pickle = content(&mut archive, &entry(PICKLE), PICKLE_LIMIT)?;
    let mut graph = Graph::default();
    let (object, _) = machine::run(&pickle, &mut graph)
        .map_err(|error| Refusal::from(format!("{error}; write it again with torch.save")))?;
    let found = walk::walk(&graph, object);
    let storages = Rc::new(Archive { zip: RefCell::new(archive), root, newest: Newest::default() });
    let entries = found.tensors.into_iter();
    let entries = entries.map(|(name, tensor)| {
        Entry::from_pytorch(name, tensor, Rc::clone(&storages) as Rc<dyn Storages>)
    });
    Ok(Contents { entries: entries.collect(), passed_over: found.passed_over, notes })
}

/// Where the archive ends, which its last record says: it has 22 bytes and a comment. PyTorch looks for it as far back.
fn end(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut tail = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(1 << 16)];
    let start = length - tail.len() as u64;
    file.read_exact_at(&mut tail, start)?;
    let record = tail.windows(22).rposition(|window| window.starts_with(b"PK\x05\x06"));
    let end = record.map(|at| {
        let comment = u16::from_le_bytes([tail[at + 20], tail[at + 21]]);
        start + at as u64 + 22 + u64::from(comment)
    });
    Ok(end.unwrap_or(length))
}

/// What stands before `data.pkl` and all other names; nothing where no entry has that name.
fn root(names: &[String]) -> Option<String> {
    let roots = names.iter().filter_map(|name| name.strip_suffix(PICKLE));
    let roots = roots.filter(|root| root.is_empty() || root.ends_with('/'));
    roots.min_by_key(|root| root.len()).map(str::to_string)
}

fn other_kind(names: &[String]) -> &'static str {
    let any = |end: &str| names.iter().any(|name| name.ends_with(end));
    if names.is_empty() {
        "is an empty zip archive; fetch or write it again"
    } else if any("archive_format") || any("serialized_exported_program.json") {
        "is a program that torch.export saved: load it with torch.export.load(FILE) and save its weights with \
         torch.save(program.state_dict, OTHER_FILE)"
    } else if names.iter().all(|name| name.ends_with(".npy")) {
        "is a NumPy archive (.npz); make tensors of its arrays and save them with torch.save"
    } else if any("model.weights.h5") {
        "is a Keras model; convert its weights and save them with torch.save"
    } else {
        "is a zip archive that torch.save did not write; where it holds the file, unpack it and give that"
    }
}

struct Archive {
    zip: RefCell<ZipArchive<BufReader<File>>>,
    root: String,
    newest: Newest,
}

impl Storages for Archive {
    fn read(&self, storage: &Storage) -> io::Result<Rc<Vec<u8>>> {
        self.newest.or_read(&storage.key, || {
            let name = format!("{}data/{}", self.root, storage.key);
            content(&mut self.zip.borrow_mut(), &name, COMPRESSED_LIMIT)
        })
    }
}

/// An entry's bytes; where they are compressed, at most `limit` of them.
fn content(zip: &mut ZipArchive<BufReader<File>>, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let index = zip.index_for_name(name);
    let index = index.ok_or_else(|| io::Error::other(format!("the archive has no `{name}`")))?;
    // 0 stands for a checksum that torch.save was told not to compute.
    let ignore = zip.by_index_raw(index)?.crc32() == 0;
    let options = ZipReadOptions::new().ignore_crc32(ignore);
    let mut entry = zip.by_index_with_options(index, options)?;
    let is_stored = entry.compression() == CompressionMethod::Stored;
    let limit = if is_stored { entry.size() } else { limit };
    let mut content = Vec::new();
    entry.by_ref().take(limit + 1).read_to_end(&mut content).map_err(|error| {
        io::Error::other(format!(
            "`{name}` in the archive is damaged ({error}); fetch or write the file again"
        ))
    })?;
    if content.len() as u64 > limit {
        return Err(io::Error::other(format!(
            "`{name}` in the archive has more than {limit} bytes"
        )));
    }
    Ok(content)
}
