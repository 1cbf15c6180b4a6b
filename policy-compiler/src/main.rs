//! `policy-compiler`: the program around the library of the same name. Arguments in, text and exit codes out.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
