//! Which way a layer is lowered, and the passes as they are compiled: once for each kind of number, here, and not again in
//! every crate that calls them.

use super::direct::Direct;
use super::memory::Workspace;
use super::prepare::{self, Lowered, Purpose};
use super::shape::Shape;
use super::threads::Engine;
use super::winograd::{Five, Three, Winograd};
use super::{backward, forward};

/// Channels of input and output from which on tiles are worth their transforms.
const CHANNELS: usize = 16;

/// A way to lower a layer.
#[derive(Debug)]
pub struct Method(By);

#[derive(Debug)]
enum By {
    Direct(Direct),
    Three(Winograd<Three, 6, 4, 3>),
    Five(Winograd<Five, 8, 4, 5>),
}

impl Method {
    /// The fastest for a shape, which is a question of the shape alone.
    pub(super) fn of(shape: Shape) -> Self {
        Self(if !tiles_are_worth_it(&shape) {
            By::Direct(Direct::new(shape))
        } else if shape.kernel == 3 {
            By::Three(Winograd::new(shape))
        } else {
            By::Five(Winograd::new(shape))
        })
    }

    /// The sum of the definition.
    pub(super) fn direct(shape: Shape) -> Self {
        Self(By::Direct(Direct::new(shape)))
    }
}

/// Whether tiles take fewer operations than the definition: channels enough, and not too much of the tiles outside.
fn tiles_are_worth_it(shape: &Shape) -> bool {
    let products = match (shape.kernel, shape.stride) {
        (3, 1) => 36,
        (5, 1) => 64,
        _ => return false,
    };
    let tiles = shape.output_height().div_ceil(4) * shape.output_width().div_ceil(4);
    let outputs = shape.output_height() * shape.output_width();
    shape.inputs.min(shape.outputs) >= CHANNELS
        && 3 * tiles * products <= 2 * outputs * shape.taps()
}

/// The passes for a kind of number.
///
/// All are unsafe for the reason that the tensors are given as places, which have to be those of the method's layer.
pub trait Passes: Sized {
    #[doc(hidden)]
    unsafe fn prepare(
        method: &Method,
        engine: Engine<'_>,
        kernel: *const Self,
        purpose: Purpose,
        lowered: &mut Lowered,
    );

    #[doc(hidden)]
    unsafe fn forward(
        method: &Method,
        engine: Engine<'_>,
        tensors: forward::Tensors<'_, Self>,
        workspace: &mut Workspace,
    );

    #[doc(hidden)]
    unsafe fn backward(
        method: &Method,
        engine: Engine<'_>,
        tensors: backward::Tensors<'_, Self>,
        workspace: &mut Workspace,
    );
}

/// A pass of the way that a method is.
macro_rules! lowered_by {
    ($method:ident, $by:ident => $pass:expr) => {
        match &$method.0 {
            By::Direct($by) => $pass,
            By::Three($by) => $pass,
            By::Five($by) => $pass,
        }
    };
}

macro_rules! passes {
    ($($number:ty)*) => {$(
        impl Passes for $number {
            unsafe fn prepare(
                method: &Method,
                engine: Engine<'_>,
                kernel: *const Self,
                purpose: Purpose,
                lowered: &mut Lowered,
            ) {
                // SAFETY: the caller's promise.
                unsafe { lowered_by!(method, by => prepare::prepare(engine, by, kernel, purpose, lowered)) }
            }

            unsafe fn forward(
                method: &Method,
                engine: Engine<'_>,
                tensors: forward::Tensors<'_, Self>,
                workspace: &mut Workspace,
            ) {
                // SAFETY: the caller's promise.
                unsafe { lowered_by!(method, by => forward::forward(engine, by, tensors, workspace)) }
            }

            unsafe fn backward(
                method: &Method,
                engine: Engine<'_>,
                tensors: backward::Tensors<'_, Self>,
                workspace: &mut Workspace,
            ) {
                // SAFETY: the caller's promise.
                unsafe { lowered_by!(method, by => backward::backward(engine, by, tensors, workspace)) }
            }
        }
    )*};
}

passes!(f32 f64);
