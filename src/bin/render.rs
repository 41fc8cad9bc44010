//! Makes a trained head talk.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{exit, interrupt, render, threads};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    interrupt::watch();
    let flags = render::RenderFlags::parse_from(exit::arguments());
    exit::run(|| render::run(&flags))
}
