//! All programs in one, a subcommand each.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{Surfeltalk, exit, interrupt, threads};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    interrupt::watch();
    let program = Surfeltalk::parse_from(exit::arguments());
    exit::run(|| program.run())
}
