//! Every finding of the past, through the entry that found it; and the targets as model tests, without a fuzzer.

use std::panic::catch_unwind;

use cairn_engine::base::random::Random;
use entries::seeds::{files, testdata};
use entries::{TARGETS, Target};

/// Runs an input and names it if it fails.
fn run(target: &Target, input: &[u8], name: &str) {
    if catch_unwind(|| (target.run)(input)).is_err() {
        eprintln!("the input: b\"{}\"", input.escape_ascii());
        panic!(
            "{}: {name} fails; the first lines above say why",
            target.name
        );
    }
}

#[test]
fn findings_of_the_past_stay_mended() {
    let hostile = testdata().join("hostile");
    let mut count = 0;
    for path in files(&hostile, "") {
        let folder = path
            .parent()
            .and_then(|p| p.file_name())
            .expect("a file in a folder")
            .to_string_lossy();
        if path.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        let target = TARGETS.iter().find(|t| t.name == folder);
        let target = target.unwrap_or_else(|| panic!("{}: no target of this name", path.display()));
        let input = std::fs::read(&path).expect("a readable file");
        run(target, &input, &path.display().to_string());
        count += 1;
    }
    assert!(count > 0, "{} is empty", hostile.display());
}

#[test]
fn each_finding_is_told_in_the_readme() {
    let hostile = testdata().join("hostile");
    let readme = std::fs::read_to_string(hostile.join("README.md")).expect("a README");
    for path in files(&hostile, "")
        .iter()
        .filter(|path| !path.ends_with("README.md"))
    {
        let name = path
            .strip_prefix(&hostile)
            .expect("below the folder")
            .to_string_lossy()
            .into_owned();
        assert!(
            readme.contains(&format!("`{name}`")),
            "{name} has no line in {}/README.md",
            hostile.display()
        );
    }
}

#[test]
fn seeds_hold() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            run(target, seed, &format!("seed {number}"));
        }
    }
}

/// Bytes of random lengths, and seeds with some bytes changed, from a fixed seed.
#[test]
fn random_bytes_hold() {
    for target in TARGETS {
        let mut random = Random::new(17);
        let seeds = (target.seeds)();
        for round in 0..60 {
            let mut bytes = vec![0; random.index(target.len_max.min(3000)) + 1];
            random.fill(&mut bytes);
            run(target, &bytes, &format!("random bytes of round {round}"));
            let mut changed = seeds[random.index(seeds.len())].clone();
            for _ in 0..1 + random.index(4) {
                let at = random.index(changed.len());
                changed[at] = random.next_u64() as u8;
            }
            run(
                target,
                &changed,
                &format!("a changed seed of round {round}"),
            );
        }
    }
}

#[test]
fn every_target_is_built_by_the_fuzz_project() {
    let manifest = include_str!("../../Cargo.toml");
    let built: Vec<&str> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"fuzz_targets/")?
                .strip_suffix(".rs\"")
        })
        .collect();
    let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(built, known);
}
