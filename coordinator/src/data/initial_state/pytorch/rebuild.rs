//! Which calls of a pickle are tensors, and what their arguments mean.
//!
//! `machine` asks for every call. A call that is not known, or has other arguments than PyTorch gives, is no error:
//! it stays an object that `walk` passes over and names.

use std::io;
use std::rc::Rc;

use super::graph::{Graph, Id, Node, Object};
use crate::data::initial_state::number::NumberType;

/// Bytes that tensors are views of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its name in the container.
    pub key: String,
    /// Type of its numbers; nothing where each tensor says its own.
    number: Option<NumberType>,
    /// Bytes of one of its elements.
    pub element_size: usize,
    /// Element at which its own part of the bytes begins: files before PyTorch 0.4 have such.
    offset: usize,
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Where its numbers lie.
    pub storage: Rc<Storage>,
    /// What they are.
    pub number: NumberType,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
}

/// The longest name of a storage; PyTorch gives numbers.
const LONGEST_KEY: usize = 64;
/// More dimensions than a tensor can have.
const DIMENSIONS: usize = 64;

/// What a call is.
#[derive(Debug)]
pub enum Made {
    /// A new value.
    New(Node),
    /// A value that is already there.
    Same(Id),
}

/// What a persistent id stands for: `('storage', type, key, location, elements[, view])`.
pub fn storage(graph: &Graph, id: Id) -> Option<Storage> {
    let [tag, class, key, _location, _elements, view @ ..] = graph.elements(id)? else {
        return None;
    };
    if graph.text(*tag) != Some("storage") {
        return None;
    }
    if graph.text(*key).is_some_and(|key| key.len() > LONGEST_KEY) {
        return None;
    }
    let Node::Class(class) = graph.get(*class) else { return None };
    let (number, element_size) = storage_class(class.rsplit('.').next()?)?;
    let offset = match view.first().map(|view| graph.get(*view)) {
        None | Some(Node::None) => 0,
        Some(Node::Tuple(view)) => natural(graph, *view.get(1)?)?,
        Some(_) => return None,
    };
    Some(Storage { key: graph.key(*key), number, element_size, offset })
}

/// What a call is, where it is known. Takes from `budget` what it copies.
pub fn call(graph: &Graph, function: &str, arguments: Id, budget: &mut usize) -> Option<Made> {
    let given = graph.elements(arguments)?;
    match function {
        "torch._tensor._rebuild_from_type_v2" => {
            // The subclass is taken for the plain tensor that it wraps.
            let Node::Class(function) = graph.get(*given.first()?) else { return None };
            of_tensor(graph, function, graph.elements(*given.get(2)?)?)
        }
        "collections.OrderedDict" => ordered(graph, given, budget).map(Made::New),
        "builtins.set" | "builtins.frozenset" | "__builtin__.set" | "__builtin__.frozenset" => {
            match given.first() {
                Some(list) => graph.elements(*list).map(|_| Made::Same(*list)),
                None => Some(Made::New(Node::List(Vec::new()))),
            }
        }
        _ => of_tensor(graph, function, given),
    }
}

/// What a call of one of the functions that make tensors is.
fn of_tensor(graph: &Graph, function: &str, given: &[Id]) -> Option<Made> {
    match function.strip_prefix("torch._utils.")? {
        "_rebuild_tensor" | "_rebuild_tensor_v2" => tensor(graph, given, None).map(Made::New),
        "_rebuild_tensor_v3" => {
            let Node::Class(number) = graph.get(*given.get(6)?) else { return None };
            tensor(graph, given, Some(number_type(number))).map(Made::New)
        }
        "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
            let data = *given.first()?;
            matches!(graph.get(data), Node::Tensor(_)).then_some(Made::Same(data))
        }
        _ => None,
    }
}

/// `OrderedDict()`, or with its pairs, as Python 2 gives them.
fn ordered(graph: &Graph, given: &[Id], budget: &mut usize) -> Option<Node> {
    let pairs = given.first().map_or(Some(&[][..]), |list| graph.elements(*list))?;
    *budget = budget.checked_sub(pairs.len())?;
    let items = pairs.iter().map(|pair| match graph.elements(*pair)? {
        [key, value] => Some((*key, *value)),
        _ => None,
    });
    let items = items.collect::<Option<_>>()?;
    let class = "collections.OrderedDict".into();
    Some(Node::Object(Box::new(Object { class, items, ..Object::default() })))
}

/// `(storage, offset, shape, strides, …)`.
fn tensor(graph: &Graph, given: &[Id], number: Option<NumberType>) -> Option<Node> {
    let [storage, offset, shape, strides, ..] = given else { return None };
    let Node::Storage(storage) = graph.get(*storage) else { return None };
    let sizes = |id| -> Option<Vec<usize>> {
        let sizes = graph.elements(id).filter(|sizes| sizes.len() <= DIMENSIONS)?;
        sizes.iter().map(|size| natural(graph, *size)).collect()
    };
    let (shape, strides) = (sizes(*shape)?, sizes(*strides)?);
    let number = number.or(storage.number)?;
    let offset = natural(graph, *offset)?.checked_add(storage.offset)?;
    let is_whole = shape.len() == strides.len();
    let tensor = Tensor { storage: Rc::clone(storage), number, shape, strides, offset };
    is_whole.then(|| Node::Tensor(Rc::new(tensor)))
}

fn natural(graph: &Graph, id: Id) -> Option<usize> {
    match graph.get(id) {
        Node::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// Type and size of the numbers of a storage of this class.
fn storage_class(class: &str) -> Option<(Option<NumberType>, usize)> {
    use NumberType as T;
    let number = match class {
        "DoubleStorage" => T::F64,
        "FloatStorage" => T::F32,
        "HalfStorage" => T::F16,
        "BFloat16Storage" => T::Bf16,
        "LongStorage" => T::I64,
        "IntStorage" => T::I32,
        "ShortStorage" => T::I16,
        "CharStorage" => T::I8,
        "ByteStorage" => T::U8,
        "BoolStorage" => T::Bool,
        "UntypedStorage" => return Some((None, 1)),
        "ComplexDoubleStorage" => return Some((Some(T::Other), 16)),
        "ComplexFloatStorage" => return Some((Some(T::Other), 8)),
        "QInt32Storage" => return Some((Some(T::Other), 4)),
        "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => {
            return Some((Some(T::Other), 1));
        }
        _ => return None,
    };
    Some((Some(number), number.size()))
}

fn number_type(class: &str) -> NumberType {
    use NumberType as T;
    match class.strip_prefix("torch.").unwrap_or_default() {
        "float64" => T::F64,
        "float32" => T::F32,
        "float16" => T::F16,
        "bfloat16" => T::Bf16,
        "int64" => T::I64,
        "int32" => T::I32,
        "int16" => T::I16,
        "int8" => T::I8,
        "uint64" => T::U64,
        "uint32" => T::U32,
        "uint16" => T::U16,
        "uint8" => T::U8,
        "bool" => T::Bool,
        _ => T::Other,
    }
}

impl Tensor {
    /// Its numbers, row-major, out of the bytes of its storage.
    ///
    /// # Errors
    /// It reaches beyond them.
    pub fn gather(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let size = self.number.size();
        let beyond = || io::Error::other("it reaches beyond the bytes that the file has for it");
        let count = self.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        let count = count.ok_or_else(beyond)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let steps = || self.shape.iter().zip(&self.strides);
        let last = steps().try_fold(self.offset, |at, (size, stride)| {
            at.checked_add((size - 1).checked_mul(*stride)?)
        });
        last.filter(|last| *last < bytes.len() / size).ok_or_else(beyond)?;
        if self.is_contiguous() {
            return Ok(bytes[self.offset * size..(self.offset + count) * size].to_vec());
        }
        let mut gathered = Vec::with_capacity(count * size);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let steps = index.iter().zip(&self.strides).map(|(index, stride)| index * stride);
            let start = (self.offset + steps.sum::<usize>()) * size;
            gathered.extend_from_slice(&bytes[start..start + size]);
            for (index, size) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        Ok(gathered)
    }
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let follows = *size == 1 || *stride == expected;
            expected *= size;
            follows
        })
    }
}
