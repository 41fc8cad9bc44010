//! Trains a talking head.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{exit, interrupt, threads, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    interrupt::watch();
    let flags = train::TrainFlags::parse_from(exit::arguments());
    exit::run(|| train::run(&flags))
}
