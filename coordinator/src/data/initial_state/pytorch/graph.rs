//! The values of a pickle. They refer to each other by number, so they may be shared, nested to any depth or contain
//! themselves.
//!
//! `machine` makes them, `rebuild` and `walk` look at them.

use std::collections::HashMap;
use std::rc::Rc;

use super::rebuild::{Storage, Tensor};

/// A value's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u32);

/// A value.
#[derive(Clone, Debug)]
pub enum Node {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Something that leads to no tensor and names none: bytes, a larger integer.
    Other,
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list or set.
    List(Vec<Id>),
    /// A dictionary.
    Dict(Vec<(Id, Id)>),
    /// A class or function, `module.name`.
    Class(Rc<str>),
    /// What would have come from calling a class or function.
    Object(Box<Object>),
    /// The bytes of tensors.
    Storage(Rc<Storage>),
    /// A tensor.
    Tensor(Rc<Tensor>),
}

/// What would have come from calling a class or function.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// The class or function, `module.name`.
    pub class: Rc<str>,
    /// What was put into it as into a dictionary.
    pub items: Vec<(Id, Id)>,
    /// What was put into it as into a list.
    pub list: Vec<Id>,
    /// Its attributes, mostly a dictionary.
    pub state: Option<Id>,
}

/// All values of a pickle.
#[derive(Debug, Default)]
pub struct Graph(Vec<Node>);

impl Graph {
    /// Adds a value. A graph never has more than a pickle's bytes, so 32 bits number them.
    pub fn add(&mut self, node: Node) -> Id {
        self.0.push(node);
        Id((self.0.len() - 1) as u32)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A value.
    pub fn get(&self, id: Id) -> &Node {
        &self.0[id.0 as usize]
    }

    /// A value that is to be filled.
    pub fn get_mut(&mut self, id: Id) -> &mut Node {
        &mut self.0[id.0 as usize]
    }

    /// Keys and values, of a dictionary or of what is used as one.
    pub fn pairs(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Node::Dict(pairs) => Some(pairs),
            Node::Object(object) if !object.items.is_empty() || object.is_dictionary() => {
                Some(&object.items)
            }
            _ => None,
        }
    }

    /// Elements of a tuple or list.
    pub fn elements(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Node::Tuple(elements) | Node::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// Text of a value.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value under a key of text.
    pub fn item(&self, dictionary: Id, key: &str) -> Option<Id> {
        let mut pairs = self.pairs(dictionary)?.iter();
        pairs.find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// Bytes of an element of each storage, by the storage's name.
    pub fn storages(&self) -> HashMap<&str, usize> {
        let storages = self.0.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some((storage.key.as_str(), storage.element_size)),
            _ => None,
        });
        storages.collect()
    }

    /// A key as a part of a name; text stands as it is.
    pub fn key(&self, id: Id) -> String {
        match self.get(id) {
            Node::Text(text) => text.clone(),
            Node::Int(number) => number.to_string(),
            Node::Float(number) => format!("{number:?}"),
            Node::Bool(true) => "True".to_string(),
            Node::Bool(false) => "False".to_string(),
            Node::None => "None".to_string(),
            Node::Tuple(_) => "(…)".to_string(),
            Node::Class(name) => name.to_string(),
            _ => "?".to_string(),
        }
    }
}

impl Object {
    fn is_dictionary(&self) -> bool {
        matches!(&*self.class, "collections.OrderedDict" | "collections.defaultdict")
    }
}
