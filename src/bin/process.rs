//! Makes a talking-head dataset from a video.

use clap::Parser as _;
use std::process::ExitCode;
use surfeltalk::cli::process::{ProcessFlags, run};
use surfeltalk::cli::{exit, interrupt, threads};

fn main() -> ExitCode {
    threads::settle();
    interrupt::watch();
    let flags = ProcessFlags::parse_from(exit::arguments());
    exit::run(|| run(&flags))
}
