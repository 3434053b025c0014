//! The settings that a communicator begins with. Called by `super::Communicator`.

use std::ffi::c_int;
use std::ptr;

use cudarc::nccl::sys;

use super::OLDEST;

/// What marks settings as such (`NCCL_CONFIG_INITIALIZER` in nccl.h).
const CONFIG_MAGIC: u32 = 0xcafe_beef;
/// A setting that is left to NCCL.
const UNDEFINED: c_int = c_int::MIN;

/// Settings of a communicator whose calls return at once.
pub(super) fn without_blocking() -> sys::ncclConfig_t {
    sys::ncclConfig_t {
        size: size_of::<sys::ncclConfig_t>(),
        magic: CONFIG_MAGIC,
        version: OLDEST.0,
        blocking: 0,
        cgaClusterSize: UNDEFINED,
        minCTAs: UNDEFINED,
        maxCTAs: UNDEFINED,
        netName: ptr::null(),
        splitShare: UNDEFINED,
        trafficClass: UNDEFINED,
        commName: ptr::null(),
        collnetEnable: UNDEFINED,
        CTAPolicy: UNDEFINED,
        shrinkShare: UNDEFINED,
        nvlsCTAs: UNDEFINED,
        nChannelsPerNetPeer: UNDEFINED,
        nvlinkCentricSched: UNDEFINED,
    }
}
