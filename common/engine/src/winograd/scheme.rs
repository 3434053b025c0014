//! A scheme's transforms in one dimension.

use super::super::vector::Vector;

/// F(M, R): M outputs of a filter with R numbers, by N = M + R − 1 products. With the matrices of Lavin & Gray, the outputs
/// are `Aᵀ((G·g) ∘ (Bᵀ·d))`.
///
/// Each is a fixed sequence of operations, which every implementation has to keep to for equal bits.
pub trait Scheme<const N: usize, const M: usize, const R: usize>: Send + Sync {
    /// Of the inputs, Bᵀ.
    fn input<V: Vector>(inputs: [V; N]) -> [V; N];
    /// Its adjoint, B.
    fn input_adjoint<V: Vector>(points: [V; N]) -> [V; N];
    /// Of the products, Aᵀ.
    fn output<V: Vector>(points: [V; N]) -> [V; M];
    /// Its adjoint, A.
    fn output_adjoint<V: Vector>(outputs: [V; M]) -> [V; N];
    /// Of the filter, G.
    fn kernel<V: Vector>(filter: [V; R]) -> [V; N];
    /// Its adjoint, Gᵀ.
    fn kernel_adjoint<V: Vector>(points: [V; N]) -> [V; R];
}
