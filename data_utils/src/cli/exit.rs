//! How a program ends: 0 done, 1 our fault, 2 the user's input, 3 the device was lost, 128 and the number of a signal
//! that stopped it (130 for Ctrl-C).

use super::output;
use crate::{Error, Result};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs a program's body and turns its error into one message on stderr and an exit code. A panic is our
/// fault and ends with 1.
pub fn run(body: impl FnOnce() -> Result<()> + std::panic::UnwindSafe) -> ExitCode {
    match std::panic::catch_unwind(body) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            match error {
                Error::Interrupted { .. } => output::tell(&error),
                _ => output::tell(format_args!("error: {error}")),
            }
            ExitCode::from(error.exit_code())
        }
        Err(_) => {
            output::tell(
                "error: this is a bug of surfeltalk; please report it with the command that led here",
            );
            ExitCode::from(1)
        }
    }
}

/// The command line with `-` and `_` treated alike in the names of flags: `--custom-aud` is `--custom_aud`.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().map(same_dashes).collect()
}

fn same_dashes(argument: OsString) -> OsString {
    let Some(text) = argument.to_str() else { return argument };
    let Some(flag) = text.strip_prefix("--") else { return argument };
    let (name, value) = flag.split_at(flag.find('=').unwrap_or(flag.len()));
    format!("--{}{value}", name.replace('-', "_")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_underscores_name_the_same_flag() {
        for (given, meant) in [
            ("--custom-aud", "--custom_aud"),
            ("--custom-aud=my-voice.wav", "--custom_aud=my-voice.wav"),
            ("--", "--"),
            ("my-file", "my-file"),
            ("-s", "-s"),
        ] {
            assert_eq!(same_dashes(given.into()), OsString::from(meant));
        }
    }
}
