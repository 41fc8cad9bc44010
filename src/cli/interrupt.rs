//! Ctrl-C asks long work to stop at the next safe place; a second one ends the program at once.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static INSTALLED: OnceLock<Interrupt> = OnceLock::new();

/// A flag that Ctrl-C and SIGTERM raise.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The program's flag; the first call installs the handler.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system refuses the handler.
    pub fn get() -> Result<Self> {
        if let Some(flag) = INSTALLED.get() {
            return Ok(flag.clone());
        }
        let flag = INSTALLED.get_or_init(Interrupt::default).clone();
        let raised = flag.0.clone();
        ctrlc::set_handler(move || {
            if raised.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nstopping after this step; press Ctrl-C again to stop at once");
        })
        .map_err(|e| Error::Internal(format!("Ctrl-C handler: {e}")))?;
        Ok(flag)
    }

    /// True once it was asked to stop.
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
