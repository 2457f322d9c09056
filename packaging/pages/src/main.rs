//! Writes manual pages and completions of shells into a folder: `cargo run -p cairn-pages -- FOLDER`.
//!
//! ```text
//! FOLDER/man1/rdb-tool.1, rdb-tool-inspect.1, ...    one for each program and each of its commands
//! FOLDER/bash/rdb-tool, zsh/_rdb-tool, fish/rdb-tool.fish
//! ```
//!
//! The tools' command lines are read from the tools; the server's options are the directives of its configuration.
#![forbid(unsafe_code)]

mod server;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("cairn-pages: usage: cairn-pages FOLDER");
        return ExitCode::from(2);
    };
    match write_all(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-pages: {}: {error}", folder.display());
            ExitCode::from(2)
        }
    }
}

fn write_all(folder: &Path) -> io::Result<()> {
    let programs = [
        server::command_line(),
        rdb_tool::command_line(),
        aof_tool::command_line(),
        bench_tool::command_line(),
    ];
    let pages = folder.join("man1");
    std::fs::create_dir_all(&pages)?;
    for program in programs {
        clap_mangen::generate_to(program.clone(), &pages)?;
        for (shell, name) in [
            (Shell::Bash, "bash"),
            (Shell::Zsh, "zsh"),
            (Shell::Fish, "fish"),
        ] {
            write_completion(program.clone(), shell, &folder.join(name))?;
        }
    }
    Ok(())
}

/// Under the name that the shell looks for.
fn write_completion(mut program: Command, shell: Shell, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = program.get_name().to_string();
    let file = match shell {
        Shell::Zsh => format!("_{name}"),
        Shell::Fish => format!("{name}.fish"),
        _ => name.clone(),
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut text);
    std::fs::write(folder.join(file), text)
}
