//! Trains a talking head.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{exit, threads, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    let flags = train::TrainFlags::parse_from(exit::arguments());
    exit::run(|| train::run(&flags))
}
