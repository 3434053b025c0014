//! A pickle's opcodes, one after another, as CPython's `Lib/pickletools.py` describes them.
//!
//! `archive` and `stream` run it on bytes that lie in memory. It calls nothing and follows no reference; every opcode
//! takes constant time but for what it moves from the stack.

use std::collections::HashMap;
use std::rc::Rc;

use super::graph::{Graph, Id, Node, Object};
use super::input::Input;
use super::rebuild::{self, Made};

/// More values than any checkpoint has beside its tensors.
const VALUES: usize = 4 << 20;
/// The longest name of a class with its module.
const LONGEST_CLASS: usize = 1000;

/// Why bytes are no pickle that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// They end before the pickle does.
    #[error("ends in the middle")]
    CutOff,
    /// An opcode that does not exist or cannot stand there.
    #[error("is damaged at byte {at} of its pickle")]
    Damaged {
        /// The opcode's place.
        at: usize,
    },
    /// As `pickle_protocol=0` writes it.
    #[error("is written with pickle protocol 0, which PyTorch cannot load either")]
    TextualIds,
    /// More values than memory should hold.
    #[error("has more than {VALUES} values beside its tensors")]
    TooLarge,
}

/// The value that the pickle at the start of `input` describes, and how many bytes that has.
///
/// # Errors
/// The bytes are no whole pickle.
pub fn run(input: &[u8], graph: &mut Graph) -> Result<(Id, usize), PickleError> {
    let (stack, marks) = (Vec::new(), Vec::new());
    let input = Input::new(input);
    let (memo, budget) = (HashMap::new(), VALUES);
    let mut machine = Machine { input, graph, stack, marks, memo, budget };
    loop {
        let at = machine.input.at();
        let opcode = machine.input.bytes(1)?[0];
        let damaged = |()| PickleError::Damaged { at };
        if opcode == b'.' {
            return Ok((machine.pop().ok_or(()).map_err(damaged)?, machine.input.at()));
        }
        let heights = machine.stack.len().max(machine.marks.len());
        if machine.graph.len().max(heights) > VALUES {
            return Err(PickleError::TooLarge);
        }
        machine.step(opcode)?.ok_or(()).map_err(damaged)?;
    }
}

struct Machine<'a> {
    input: Input<'a>,
    graph: &'a mut Graph,
    stack: Vec<Id>,
    /// Heights of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Values that may still be copied.
    budget: usize,
}

/// Nothing where the opcode cannot stand there.
type Step = Result<Option<()>, PickleError>;

impl Machine<'_> {
    fn step(&mut self, opcode: u8) -> Step {
        if let Some(scalar) = self.input.scalar(opcode)? {
            self.push(scalar);
            return Ok(Some(()));
        }
        match opcode {
            // Protocol and frame: they change nothing.
            0x80 => drop(self.input.bytes(1)?),
            0x95 => drop(self.input.bytes(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => return self.remember(opcode),
            b'P' => return Err(PickleError::TextualIds),
            b'c' => {
                let class = format!("{}.{}", self.input.line()?, self.input.line()?);
                self.push(Node::Class(class.into()));
            }
            // A class by a number that only the writer's program knows.
            0x82..=0x84 => {
                self.input.bytes(1 << (opcode - 0x82))?;
                self.push(Node::Class("a registered extension".into()));
            }
            b'i' => {
                let class = format!("{}.{}", self.input.line()?, self.input.line()?);
                return Ok(self.take_to_mark().map(|_| self.push_object(class.into())));
            }
            _ => return Ok(self.arrange(opcode)),
        }
        Ok(Some(()))
    }

    /// What is kept under a number, and taken from there.
    fn remember(&mut self, opcode: u8) -> Step {
        let index = match opcode {
            b'g' | b'p' => match self.input.line()?.parse() {
                Ok(index) => index,
                Err(_) => return Ok(None),
            },
            b'h' | b'q' => self.input.array::<1>()?[0].into(),
            b'j' | b'r' => u32::from_le_bytes(self.input.array()?),
            _ => self.memo.len() as u32,
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            return Ok(self.memo.get(&index).map(|id| self.stack.push(*id)));
        }
        let Some(top) = self.top() else { return Ok(None) };
        self.memo.insert(index, top);
        Ok(Some(()))
    }

    /// What is made of values on the stack.
    fn arrange(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            b')' => self.push(Node::Tuple(Vec::new())),
            b']' | 0x8f => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let mut elements = (0..count).map(|_| self.pop()).collect::<Option<Vec<_>>>()?;
                elements.reverse();
                self.push(Node::Tuple(elements));
            }
            b't' => {
                let elements = self.take_to_mark()?;
                self.push(Node::Tuple(elements));
            }
            b'l' | 0x91 => {
                let elements = self.take_to_mark()?;
                self.push(Node::List(elements));
            }
            b'd' => {
                let pairs = pairs(&self.take_to_mark()?)?;
                self.push(Node::Dict(pairs));
            }
            b'a' => {
                let element = self.pop()?;
                self.extend(vec![element])?;
            }
            b'e' | 0x90 => {
                let elements = self.take_to_mark()?;
                self.extend(elements)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.take_to_mark()?;
                self.insert(&items)?;
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.take_to_mark()?),
            b'2' => self.stack.push(self.top()?),
            _ => return self.make(opcode),
        }
        Some(())
    }

    /// Classes, objects and tensors.
    fn make(&mut self, opcode: u8) -> Option<()> {
        match opcode {
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.graph.text(module)?, self.graph.text(name)?);
                if module.len() + name.len() > LONGEST_CLASS {
                    return None;
                }
                let class = format!("{module}.{name}");
                self.push(Node::Class(class.into()));
            }
            b'Q' => {
                let id = self.pop()?;
                let node = match rebuild::storage(self.graph, id) {
                    Some(storage) => Node::Storage(Rc::new(storage)),
                    None => Node::Other,
                };
                self.push(node);
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let class = self.class(function);
                match rebuild::call(self.graph, &class, arguments, &mut self.budget) {
                    Some(Made::New(node)) => self.push(node),
                    Some(Made::Same(id)) => self.stack.push(id),
                    None => self.push_object(class),
                }
            }
            0x92 => {
                let (_, _, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.push_object(self.class(class));
            }
            b'o' => {
                let class = *self.take_to_mark()?.first()?;
                self.push_object(self.class(class));
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                if let Node::Object(object) = self.graph.get_mut(target) {
                    object.state = Some(state);
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn class(&self, id: Id) -> Rc<str> {
        match self.graph.get(id) {
            Node::Class(name) => Rc::clone(name),
            Node::Object(object) => Rc::clone(&object.class),
            _ => "an unknown class".into(),
        }
    }

    fn extend(&mut self, elements: Vec<Id>) -> Option<()> {
        let target = self.top()?;
        match self.graph.get_mut(target) {
            Node::List(list) => list.extend(elements),
            Node::Object(object) => object.list.extend(elements),
            _ => return None,
        }
        Some(())
    }

    fn insert(&mut self, items: &[Id]) -> Option<()> {
        let (items, target) = (pairs(items)?, self.top()?);
        match self.graph.get_mut(target) {
            Node::Dict(dictionary) => dictionary.extend(items),
            Node::Object(object) => object.items.extend(items),
            _ => return None,
        }
        Some(())
    }

    fn push(&mut self, node: Node) {
        let id = self.graph.add(node);
        self.stack.push(id);
    }

    fn push_object(&mut self, class: Rc<str>) {
        self.push(Node::Object(Box::new(Object { class, ..Object::default() })));
    }

    fn top(&self) -> Option<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..)?.last().copied()
    }

    fn pop(&mut self) -> Option<Id> {
        self.top()?;
        self.stack.pop()
    }

    fn take_to_mark(&mut self) -> Option<Vec<Id>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }
}

fn pairs(items: &[Id]) -> Option<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks();
    rest.is_empty().then(|| pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(input: &[u8]) -> Node {
        let mut graph = Graph::default();
        let (id, length) = run(input, &mut graph).unwrap();
        assert_eq!(length, input.len());
        graph.get(id).clone()
    }

    #[test]
    fn numbers_of_every_protocol() {
        let check = |input: &[u8], expected: i64| {
            assert!(matches!(root(input), Node::Int(found) if found == expected), "{expected}");
        };
        check(b"I-3\n.", -3);
        check(b"L1099511627776L\n.", 1 << 40);
        check(b"\x80\x02J\xff\xff\xff\xff.", -1);
        check(b"M\x00\x01.", 256);
        check(b"\x8a\x00.", 0);
        check(b"\x8a\x01\xff.", -1);
        check(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", i64::MAX);
        assert!(matches!(root(b"\x8a\x09\0\0\0\0\0\0\0\0\x01."), Node::Other));
        assert!(matches!(root(b"I01\n."), Node::Bool(true)));
    }

    #[test]
    fn a_call_is_not_made() {
        let node = root(b"cos\nsystem\n(S'true'\ntR.");
        assert!(matches!(node, Node::Object(object) if &*object.class == "os.system"));
    }

    #[test]
    fn what_is_shared_is_not_copied() {
        // Twenty tuples, each of the one before, twice: a million leaves where they are copied.
        let doubled = b"h\x00h\x00\x86q\x00".repeat(20);
        let pickle = [&b"\x89q\x00"[..], &doubled, b"."].concat();
        let mut graph = Graph::default();
        run(&pickle, &mut graph).unwrap();
        assert_eq!(graph.len(), 21);
    }

    #[test]
    fn a_small_pickle_cannot_ask_for_much() {
        // A list of a million pairs that is made a set, and a dictionary, again and again.
        let pairs = b"h\x01".repeat(1 << 20);
        let list = [&b"NN\x86q\x010]q\x00("[..], &pairs, b"e0"].concat();
        let sets = b"c__builtin__\nset\nh\x00\x85R".repeat(1 << 12);
        let ordered = b"ccollections\nOrderedDict\nh\x00\x85R".repeat(1 << 12);
        let mut graph = Graph::default();
        run(&[&list[..], &sets, &ordered, b"."].concat(), &mut graph).unwrap();
        // A call whose arguments are themselves.
        let rebuild =
            &b"]q\x00ctorch._tensor\n_rebuild_from_type_v2\nq\x01aNah\x00ah\x01h\x00R."[..];
        assert!(matches!(root(rebuild), Node::Object(_)));
        let name = [&b"X\x00\x00\x10\x00"[..], &b"a".repeat(1 << 20), b"q\x00h\x00\x93."].concat();
        assert!(run(&name, &mut Graph::default()).is_err());
        let marks = b"(".repeat(VALUES + 2);
        assert_eq!(run(&marks, &mut Graph::default()).unwrap_err(), PickleError::TooLarge);
    }

    #[test]
    fn what_is_no_pickle_is_refused() {
        let check = |input: &[u8], expected: PickleError| {
            assert_eq!(run(input, &mut Graph::default()).unwrap_err(), expected, "{input:?}");
        };
        check(b"", PickleError::CutOff);
        check(b"X\xff\xff\xff\xffhi.", PickleError::CutOff);
        check(b".", PickleError::Damaged { at: 0 });
        check(b"(0t.", PickleError::Damaged { at: 2 });
        check(b"K\x01K\x02s.", PickleError::Damaged { at: 4 });
        check(b"}(K\x01u.", PickleError::Damaged { at: 4 });
        check(b"h\x07.", PickleError::Damaged { at: 0 });
        check(b"\xfe.", PickleError::Damaged { at: 0 });
        check(b"P1\n.", PickleError::TextualIds);
    }
}
