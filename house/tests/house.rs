//! The rules of the house: what `docs/architecture.md` shows as floors is what the code does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cairn_house::crates::{self, Crate};
use cairn_house::{plan, surface};

/// Lines that no file of a program or library may have more of.
const LINES_MAX: usize = 700;

/// Public items that only tests and fuzz targets call, each with what it is for.
const FOR_TESTS: &str = include_str!("for_tests.txt");

fn all() -> Vec<Crate> {
    crates::read_all(&crates::root()).expect("the workspace can be read")
}

#[test]
fn arrows_go_down() {
    let document = crates::root().join("docs/architecture.md");
    let document = std::fs::read_to_string(document).expect("the map is there");
    let crates = all();
    let plans = plan::plans(&document);
    for name in [
        "cairn-format",
        "cairn-engine",
        "cairn-server",
        "cairn-simulator",
    ] {
        assert!(
            plans.iter().any(|p| p.krate == name),
            "the map has no floors of {name}"
        );
    }
    let mut faults = Vec::new();
    for plan in &plans {
        let krate = crates.iter().find(|krate| krate.name == plan.krate);
        let krate = krate.unwrap_or_else(|| panic!("there is no crate {}", plan.krate));
        faults.extend(plan.faults(krate));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    for krate in &all() {
        for file in &krate.product {
            let lines = file.source.lines;
            assert!(lines <= LINES_MAX, "{}: {lines} lines", file.path.display());
        }
    }
}

/// One style: what has files below it is the `mod.rs` of their folder.
#[test]
fn a_folder_has_its_own_file() {
    for krate in &all() {
        for file in &krate.product {
            let folder = crates::root().join(&file.path).with_extension("");
            assert!(
                !folder.is_dir(),
                "{} should be {}/mod.rs",
                file.path.display(),
                folder.display()
            );
        }
    }
}

/// The documents name files by the end of their path.
#[test]
fn files_that_documents_name_are_there() {
    let crates = all();
    let files: Vec<String> = crates
        .iter()
        .flat_map(|krate| krate.product.iter().chain(&krate.tests))
        .map(|file| format!("/{}", file.path.display()))
        .collect();
    let mut gone = Vec::new();
    for document in documents(&crates::root().join("docs")) {
        let text = std::fs::read_to_string(&document).expect("a document");
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = name.ends_with(".rs") && !name.contains([' ', '*', '{']);
            if is_path && !files.iter().any(|file| file.ends_with(&format!("/{name}"))) {
                gone.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(gone.is_empty(), "{}", gone.join("\n"));
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => documents(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
        .collect()
}

#[test]
fn every_dependency_is_used() {
    let idle = surface::idle_dependencies(&all());
    assert!(idle.is_empty(), "{}", idle.join("\n"));
}

#[test]
fn what_is_public_is_called_from_elsewhere() {
    let listed: BTreeSet<&str> = FOR_TESTS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut crates = all();
    // Its own face is for these tests.
    crates.retain(|krate| krate.name != "cairn-house");
    let idle = surface::without_caller(&crates);
    let names: BTreeSet<&str> = idle.iter().map(|item| item.name.as_str()).collect();
    let unlisted: Vec<String> = idle
        .iter()
        .filter(|item| !listed.contains(item.name.as_str()))
        .map(|item| {
            format!(
                "{}: {} has no caller outside its file",
                item.place, item.name
            )
        })
        .collect();
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n"));
    let stale: Vec<&&str> = listed.difference(&names).collect();
    assert!(
        stale.is_empty(),
        "listed, but called by now or gone: {stale:?}"
    );
}

/// A merge that was not finished is no text.
#[test]
fn no_file_has_the_marks_of_a_merge() {
    let listed = std::process::Command::new("git")
        .args([
            "-C",
            &crates::root().display().to_string(),
            "ls-files",
            "-z",
        ])
        .output();
    // An unpacked archive has no list of its files.
    let Some(listed) = listed.ok().filter(|listed| listed.status.success()) else {
        return;
    };
    let marks = ["<<<<<<< ".as_bytes(), ">>>>>>> ".as_bytes()];
    let mut found = Vec::new();
    for name in String::from_utf8_lossy(&listed.stdout).split('\0') {
        let Ok(text) = std::fs::read(crates::root().join(name)) else {
            continue;
        };
        let begins = |line: &[u8]| marks.iter().any(|mark| line.starts_with(mark));
        if !name.is_empty() && text.split(|byte| *byte == b'\n').any(begins) {
            found.push(name.to_owned());
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
