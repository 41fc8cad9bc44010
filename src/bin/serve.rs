//! Lets heads speak live: a web page, an HTTP API and WebSockets.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::{exit, interrupt, serve, threads};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::settle();
    interrupt::watch();
    let flags = serve::ServeFlags::parse_from(exit::arguments());
    exit::run(|| serve::run(&flags))
}
