//! See the module map in DESIGN; filled by its own change.
