//! What several test files share.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod branches;
pub mod compare;
pub mod device;
pub mod goals;
pub mod head;
pub mod lpips;
pub mod memory;
pub mod reference;
pub mod scene;
pub mod talker;
pub mod twins;
