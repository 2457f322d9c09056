//! The program bench-tool: see the crate's map.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    bench_tool::main()
}
