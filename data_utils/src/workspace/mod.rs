//! A folder that a program writes to: who is writing there now, and which of the files in it that program made.
//!
//! [`Lock`] keeps two runs out of one folder. [`Ledger`] records the files of a run by hash, so that a later run can
//! tell its own files from those of another program and from those that somebody changed by hand. Only a program's
//! own, unchanged files may be replaced or removed without being asked to.

mod digest;
mod ledger;
mod lock;
mod temporaries;

pub use digest::{digest_bytes, digest_file, digest_text};
pub use ledger::{LEDGER_FILE, Ledger, Origin};
pub use lock::{LOCK_FILE, Lock};
pub use temporaries::{remove_temporaries, remove_temporaries_of};
