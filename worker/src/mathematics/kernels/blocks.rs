//! Neighbouring channels, handled together so that a loop over them vectorises.

/// Channels handled together: as many as the widest vectors hold, few enough that running sums stay in registers.
pub(super) const LANES: usize = 8;

/// The numbers of neighbouring channels at one position.
pub(super) type Block<T> = [T; LANES];

/// Where each block of channels begins. Every layer's channels are a multiple of [`LANES`].
#[inline(always)]
pub(super) fn blocks(channels: usize) -> impl Iterator<Item = usize> {
    assert!(channels.is_multiple_of(LANES), "{channels} channels are not whole blocks");
    (0..channels).step_by(LANES)
}

/// The block that begins at `start`.
#[inline(always)]
pub(super) fn block<T>(numbers: &[T], start: usize) -> &Block<T> {
    numbers[start..start + LANES].try_into().expect("a block is LANES long")
}

/// The block that begins at `start`, to be written.
#[inline(always)]
pub(super) fn block_mut<T>(numbers: &mut [T], start: usize) -> &mut Block<T> {
    (&mut numbers[start..start + LANES]).try_into().expect("a block is LANES long")
}

/// Lane by lane.
#[inline(always)]
pub(super) fn each<R>(lane: impl FnMut(usize) -> R) -> Block<R> {
    std::array::from_fn(lane)
}
