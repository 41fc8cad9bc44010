//! The `surfeltalk` program: the other programs as subcommands.

use super::process::{self, ProcessFlags};
use super::{convert, demo, export, render, score, train};
use crate::Result;
use clap::{Parser, Subcommand};

/// Talking heads of 2-D Gaussian surfels: train one from a video, drive it with any voice.
///
/// Each subcommand but `convert`, `export` and `score` is a program of its own too, with the same flags: `surfeltalk train` is `train`.
#[derive(Debug, Parser)]
#[command(name = "surfeltalk", version)]
pub struct Surfeltalk {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    Process(ProcessFlags),
    Train(train::TrainFlags),
    Render(render::RenderFlags),
    Convert(convert::ConvertFlags),
    Export(export::ExportFlags),
    Demo(demo::DemoFlags),
    Score(score::ScoreFlags),
    #[cfg(feature = "serve")]
    Serve(super::serve::ServeFlags),
}

impl Surfeltalk {
    /// Runs the subcommand with its flags.
    ///
    /// # Errors
    /// Those of the program.
    pub fn run(&self) -> Result<()> {
        match &self.program {
            Program::Process(flags) => process::run(flags),
            Program::Train(flags) => train::run(flags),
            Program::Render(flags) => render::run(flags),
            Program::Convert(flags) => convert::run(flags),
            Program::Export(flags) => export::run(flags),
            Program::Demo(flags) => demo::run(flags),
            Program::Score(flags) => score::run(flags),
            #[cfg(feature = "serve")]
            Program::Serve(flags) => super::serve::run(flags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn a_subcommand_takes_the_flags_of_its_program() {
        Surfeltalk::command().debug_assert();
        let flags = |command: &clap::Command| -> Vec<String> {
            let own = command.get_arguments().map(|a| a.get_id().to_string());
            own.filter(|id| id != "help" && id != "version").collect()
        };
        let programs = [
            ProcessFlags::command(),
            train::TrainFlags::command(),
            render::RenderFlags::command(),
            convert::ConvertFlags::command(),
            export::ExportFlags::command(),
            demo::DemoFlags::command(),
            score::ScoreFlags::command(),
            #[cfg(feature = "serve")]
            super::super::serve::ServeFlags::command(),
        ];
        let all = Surfeltalk::command();
        assert_eq!(all.get_subcommands().count(), programs.len());
        for program in programs {
            let found = all.find_subcommand(program.get_name()).expect("a subcommand of that name");
            assert_eq!(flags(found), flags(&program), "{}", program.get_name());
            assert_eq!(
                found.get_about().map(ToString::to_string),
                program.get_about().map(ToString::to_string)
            );
        }
    }
}
