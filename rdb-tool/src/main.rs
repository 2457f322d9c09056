//! The program rdb-tool: see the crate's map.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rdb_tool::main()
}
