//! Tensors of a safetensors file, or how it is damaged.

use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde_json::Value;
use tonic::codegen::Bytes;

use super::entry::Entry;
use super::file::{Contents, Refusal};

/// Bytes before the header: its length.
const LENGTH_FIELD: usize = 8;

/// The longest header that the format allows.
const LONGEST_HEADER: u64 = 100_000_000;

/// Whether a file that starts with these bytes is of this kind: a header's length, then the header, which is JSON.
pub fn is_start(start: &[u8]) -> bool {
    let length = start.first_chunk().map(|field| u64::from_le_bytes(*field));
    length.is_some_and(|length| length <= LONGEST_HEADER) && start.get(LENGTH_FIELD) == Some(&b'{')
}

/// Reads the tensors.
///
/// # Errors
/// The file is damaged: where it is too short or too long, that is said.
pub fn read(content: Vec<u8>) -> Result<Contents, Refusal> {
    let (header, metadata) = header(&content)?;
    let contents = Bytes::from(content).slice(LENGTH_FIELD + header..);
    let tensors = metadata.tensors().into_iter();
    let entries = tensors.map(|(name, info)| Entry::from_safetensors(name, info, &contents));
    Ok(Contents { entries: entries.collect(), ..Contents::default() })
}

/// Length and meaning of the header.
fn header(content: &[u8]) -> Result<(usize, Metadata), Refusal> {
    let error = match SafeTensors::read_metadata(content) {
        Ok(header) => return Ok(header),
        Err(error) => error,
    };
    let length = content.first_chunk().map_or(0, |field| u64::from_le_bytes(*field));
    let end_of_header = LENGTH_FIELD as u64 + length;
    let found = content.len() as u64;
    let text = usize::try_from(end_of_header).ok().and_then(|end| content.get(LENGTH_FIELD..end));
    let expected = match text {
        None => Some(end_of_header),
        Some(text) => end_of_data(text).and_then(|length| end_of_header.checked_add(length)),
    };
    Err(Refusal::from(match expected {
        Some(expected) if expected > found => format!(
            "is a safetensors file that is cut off: it has {found} bytes of at least {expected}; fetch or write it again"
        ),
        Some(expected) if expected < found => format!(
            "is a safetensors file with {} bytes after its end; fetch or write it again",
            found - expected
        ),
        _ => format!("is a safetensors file that is damaged: {error}; fetch or write it again"),
    }))
}

/// Bytes of all tensors, as the header has it.
fn end_of_data(header: &[u8]) -> Option<u64> {
    let header: serde_json::Map<String, Value> = serde_json::from_slice(header).ok()?;
    header.values().filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64()).max()
}
