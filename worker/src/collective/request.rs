//! What an exchange may ask for, checked before anything is started. Called by the engines.

use common::ids::{Rank, WorldSize};
use tch::Tensor;

use super::error::CollectiveError;

/// Each peer at most once in a list, none beyond the world, never `own`.
pub(super) fn require_peers(
    own: Rank,
    world_size: WorldSize,
    list: &[(Rank, Tensor)],
) -> Result<(), CollectiveError> {
    let mut seen = vec![false; world_size.index()];
    for (peer, _) in list {
        let problem = match seen.get_mut(peer.index()) {
            None => format!("rank {peer} is not one of {world_size} ranks"),
            Some(_) if *peer == own => format!("rank {own} does not exchange with itself"),
            Some(true) => format!("rank {peer} is twice in one exchange"),
            Some(first) => {
                *first = true;
                continue;
            }
        };
        return Err(CollectiveError::Unsuitable(problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_ranks_and_each_once() {
        let check = |peers: &[u32]| {
            let list: Vec<_> = peers.iter().map(|&peer| (Rank(peer), Tensor::new())).collect();
            require_peers(Rank(1), WorldSize(3), &list).map_err(|error| error.to_string())
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[2, 0]), Ok(()));
        assert_eq!(check(&[3]), Err("rank 3 is not one of 3 ranks".into()));
        assert_eq!(check(&[0, 1]), Err("rank 1 does not exchange with itself".into()));
        assert_eq!(check(&[0, 2, 0]), Err("rank 0 is twice in one exchange".into()));
    }
}
