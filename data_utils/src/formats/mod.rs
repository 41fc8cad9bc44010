//! Bounded readers of the file formats the field uses.
//!
//! Every reader takes a path, trusts nothing the file declares about its own size, and answers a damaged
//! file with [`Error::Input`](crate::Error::Input) that names the file and what is wrong with it.

mod flatbuffer;
pub mod glb;
pub mod mat;
pub mod npy;
pub mod npy_dict;
pub mod npz;
pub mod obj;
mod pickle;
mod pickle_machine;
mod pickle_numpy;
mod pickle_value;
pub mod ply;
mod state_dict;
pub mod tflite;
mod torch_legacy;
mod torch_zip;
pub mod weights;
