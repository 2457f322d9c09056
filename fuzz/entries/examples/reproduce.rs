//! `reproduce TARGET [FILE...]`: runs inputs through a target, without a fuzzer; without files, its seeds. A failure shows
//! its panic; all inputs are run. A seed that fails is written to `fuzz/artifacts/TARGET/`.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;

use entries::Target;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let found = args
        .first()
        .and_then(|name| entries::TARGETS.iter().find(|t| t.name == name));
    let Some(target) = found else {
        let names: Vec<&str> = entries::TARGETS.iter().map(|target| target.name).collect();
        eprintln!("reproduce: a target is needed: {}", names.join(" "));
        return ExitCode::from(2);
    };
    match if args.len() > 1 {
        run_files(target, &args[1..])
    } else {
        run_seeds(target)
    } {
        Ok(failed) => {
            println!("{failed} failed");
            ExitCode::from(u8::from(failed > 0))
        }
        Err(error) => {
            eprintln!("reproduce: {error}");
            ExitCode::from(2)
        }
    }
}

fn holds(target: &Target, input: &[u8], name: &str) -> bool {
    let holds = catch_unwind(|| (target.run)(input)).is_ok();
    if !holds {
        eprintln!("reproduce: {name} fails");
    }
    holds
}

fn run_files(target: &Target, files: &[String]) -> Result<usize, String> {
    let mut failed = 0;
    for file in files {
        let input = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        failed += usize::from(!holds(target, &input, file));
    }
    Ok(failed)
}

fn run_seeds(target: &Target) -> Result<usize, String> {
    let folder = PathBuf::from("fuzz/artifacts").join(target.name);
    let mut failed = 0;
    for (number, seed) in (target.seeds)().iter().enumerate() {
        let path = folder.join(format!("seed-{number:03}"));
        if !holds(target, seed, &path.display().to_string()) {
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            std::fs::write(&path, seed).map_err(|error| format!("{}: {error}", path.display()))?;
            failed += 1;
        }
    }
    Ok(failed)
}
