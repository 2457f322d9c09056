//! The program aof-tool: see the crate's map.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    aof_tool::main()
}
