//! All programs in one, a subcommand each.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{Surfeltalk, exit, threads};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    let program = Surfeltalk::parse_from(exit::arguments());
    exit::run(|| program.run())
}
