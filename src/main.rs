//! The `bendwave` command.

fn main() -> std::process::ExitCode {
    bendwave::app::main()
}
