//! `seeds FOLDER [TARGET...]`: writes the inputs and words that targets begin with, and says how each is run.
//!
//! Below FOLDER: `TARGET/` with the inputs, `TARGET.dict` with the words if there are any. On standard output a line for each
//! target: its name and the longest input in bytes. Without targets: all of them.

use std::io::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, wanted)) = args.split_first() else {
        eprintln!("seeds: a folder is needed");
        std::process::exit(2);
    };
    if let Some(name) = wanted
        .iter()
        .find(|name| !entries::TARGETS.iter().any(|t| t.name == *name))
    {
        eprintln!("seeds: there is no target {name}");
        std::process::exit(2);
    }
    for target in entries::TARGETS
        .iter()
        .filter(|t| wanted.is_empty() || wanted.iter().any(|name| name == t.name))
    {
        write_target(Path::new(folder), target)?;
        println!("{} {}", target.name, target.len_max);
    }
    Ok(())
}

fn write_target(folder: &Path, target: &entries::Target) -> std::io::Result<()> {
    let inputs = folder.join(target.name);
    std::fs::create_dir_all(&inputs)?;
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(inputs.join(format!("seed-{number:03}")), seed)?;
    }
    let words = (target.words)();
    if words.is_empty() {
        return Ok(());
    }
    let mut dict = std::fs::File::create(folder.join(format!("{}.dict", target.name)))?;
    for word in words {
        let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        writeln!(dict, "\"{escaped}\"")?;
    }
    Ok(())
}
