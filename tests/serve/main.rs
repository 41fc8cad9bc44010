//! The live service as its clients see it: the real server on a free port, asked by clients that know nothing of it.

mod calls;
mod conversation;
mod curl;
mod endpoints;
mod faults;
mod hostile;
mod operation;
mod server;
