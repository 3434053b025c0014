//! The tensors of a pickle by the names that they have in its object, and what was passed over on the way.
//!
//! A name is the keys and positions that lead to the tensor, joined by dots, as in a state dict. A pickled
//! `torch.nn.Module` stands for its state dict.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use super::graph::{Graph, Id, Node, Object};
use super::rebuild::Tensor;

/// What a pickle holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Tensors with their names.
    pub tensors: Vec<(String, Rc<Tensor>)>,
    /// Objects that may hold something but were not looked into, each with its class.
    pub passed_over: Vec<String>,
}

/// Levels of dictionaries, lists and modules that are followed.
const DEPTH: usize = 64;
/// Values that are looked at: what is shared counts wherever it is met.
const VISITS: usize = 16 << 20;
/// The longest part of a name, and all names together, in bytes.
const NAMES: [usize; 2] = [1 << 10, 64 << 20];
/// Objects that are named.
const NAMED: usize = 10;

/// Whether plain data of a checkpoint has this class, so that it need not be named.
fn is_plain(class: &str) -> bool {
    let of_python = ["builtins.", "__builtin__.", "_codecs.encode", "collections."];
    let of_torch = ["torch.Size", "torch.device"];
    of_python.iter().any(|start| class.starts_with(start)) || of_torch.contains(&class)
}

/// Looks through everything that `root` leads to.
pub fn walk(graph: &Graph, root: Id) -> Found {
    let mut walker = Walker::new(graph);
    walker.visit(root);
    let is_spent = walker.is_spent();
    let mut found = walker.found;
    let named: Vec<_> = walker.passed_over.into_iter().collect();
    let rest = named.len().saturating_sub(NAMED);
    found
        .passed_over
        .extend(named.into_iter().take(NAMED).map(|(class, name)| format!("{name} ({class})")));
    if is_spent {
        found.passed_over.push(format!("whatever follows the first {VISITS} values"));
    }
    if rest > 0 {
        found.passed_over.push(format!("objects of {rest} other classes"));
    }
    found
}

struct Walker<'a> {
    graph: &'a Graph,
    /// From the root to where the walk is.
    path: Vec<(Id, String)>,
    visits: usize,
    /// Bytes of all names.
    named: usize,
    found: Found,
    /// The first object of each class.
    passed_over: BTreeMap<String, String>,
}

impl<'a> Walker<'a> {
    fn new(graph: &'a Graph) -> Self {
        let (path, found, passed_over) = (Vec::new(), Found::default(), BTreeMap::new());
        Self { graph, path, visits: 0, named: 0, found, passed_over }
    }

    fn visit(&mut self, id: Id) {
        let is_inside_itself = self.path.iter().any(|(above, _)| *above == id);
        if is_inside_itself || self.path.len() > DEPTH || self.is_spent() {
            return;
        }
        match self.graph.get(id) {
            Node::Tensor(tensor) => {
                let (name, tensor) = (self.name(), Rc::clone(tensor));
                self.named += name.len();
                self.found.tensors.push((name, tensor));
            }
            Node::Tuple(elements) | Node::List(elements) => self.elements(id, elements),
            Node::Dict(pairs) => self.pairs(id, pairs),
            Node::Object(object) => self.object(id, object),
            _ => {}
        }
    }

    fn object(&mut self, id: Id, object: &'a Object) {
        // To look for a module's tables takes as long as its state is.
        let state = object.state.and_then(|state| self.graph.pairs(state));
        self.visits += state.map_or(0, <[_]>::len);
        let tables = object.state.and_then(|state| module(self.graph, state));
        if let Some(tables) = tables {
            self.pairs(id, &tables);
        } else if self.graph.pairs(id).is_some() {
            self.pairs(id, &object.items);
        } else if !object.list.is_empty() {
            self.elements(id, &object.list);
        } else if !is_plain(&object.class) && !self.passed_over.contains_key(&*object.class) {
            self.passed_over.insert(object.class.to_string(), self.name());
        }
    }

    fn pairs(&mut self, above: Id, pairs: &[(Id, Id)]) {
        for (key, value) in pairs {
            self.visits += 1;
            let is_short = self.graph.text(*key).is_none_or(|key| key.len() <= NAMES[0]);
            if is_short && self.leads_on(*value) {
                self.path.push((above, self.graph.key(*key)));
                self.visit(*value);
                self.path.pop();
            }
        }
    }

    fn elements(&mut self, above: Id, elements: &[Id]) {
        for (position, element) in elements.iter().enumerate() {
            self.visits += 1;
            if self.leads_on(*element) {
                self.path.push((above, position.to_string()));
                self.visit(*element);
                self.path.pop();
            }
        }
    }

    /// Whether more was looked at than any checkpoint has.
    fn is_spent(&self) -> bool {
        self.visits > VISITS || self.named > NAMES[1]
    }

    /// Numbers and text need no name.
    fn leads_on(&self, id: Id) -> bool {
        matches!(
            self.graph.get(id),
            Node::Tensor(_) | Node::Tuple(_) | Node::List(_) | Node::Dict(_) | Node::Object(_)
        )
    }

    fn name(&self) -> String {
        let keys: Vec<&str> = self.path.iter().map(|(_, key)| key.as_str()).collect();
        keys.join(".")
    }
}

/// The entries of a module's state dict, of the attributes that every `torch.nn.Module` has; nothing for others.
fn module(graph: &Graph, attributes: Id) -> Option<Vec<(Id, Id)>> {
    let table = |name| graph.pairs(graph.item(attributes, name)?);
    let (parameters, buffers, modules) =
        (table("_parameters")?, table("_buffers")?, table("_modules")?);
    let not_kept = graph.item(attributes, "_non_persistent_buffers_set");
    let not_kept = not_kept.and_then(|set| graph.elements(set)).unwrap_or_default();
    let not_kept: HashSet<_> = not_kept.iter().filter_map(|name| graph.text(*name)).collect();
    let is_kept = |key: &Id| graph.text(*key).is_none_or(|key| !not_kept.contains(key));
    let buffers = buffers.iter().filter(|(key, _)| is_kept(key));
    Some(parameters.iter().chain(buffers).chain(modules).copied().collect())
}
