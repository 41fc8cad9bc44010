//! Makes a sample talker, trains a head on it and lets it say a new sentence.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{demo, exit, interrupt, threads};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    interrupt::watch();
    let flags = demo::DemoFlags::parse_from(exit::arguments());
    exit::run(|| demo::run(&flags))
}
