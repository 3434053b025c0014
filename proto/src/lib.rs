//! The service between coordinator and workers, as generated from `concentric.proto`; nothing else.
//!
//! Domain types live in `common`, which also holds the one place where the two are converted.

#![allow(missing_docs, reason = "generated code; the .proto file holds the documentation")]
#![allow(unused_qualifications, reason = "generated code")]
#![allow(clippy::allow_attributes_without_reason, reason = "generated code")]
#![allow(clippy::large_enum_variant, reason = "generated code; a session has one Hello")]

tonic::include_proto!("concentric.v1");

/// Version of the conversation. A worker of another version is refused when it joins.
pub const PROTOCOL_VERSION: u32 = 7;
