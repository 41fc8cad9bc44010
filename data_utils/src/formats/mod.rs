//! Bounded readers and writers of the files the field exchanges. None trusts a size that a file declares.

pub mod npy;
pub mod ply;
