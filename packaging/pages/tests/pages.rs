//! What is written can be read by those it is for.

use std::path::Path;
use std::process::Command;

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_cairn-pages"))
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn each_program_and_command_has_a_page() {
    let folder = written();
    let pages = names(&folder.path().join("man1"));
    for page in [
        "cairn-server.1",
        "rdb-tool.1",
        "rdb-tool-inspect.1",
        "aof-tool.1",
        "aof-tool-check.1",
        "bench-tool.1",
        "bench-tool-run.1",
        "bench-tool-compare.1",
    ] {
        assert!(pages.iter().any(|name| name == page), "{page} in {pages:?}");
    }
    let server = std::fs::read_to_string(folder.path().join("man1/cairn-server.1")).unwrap();
    for directive in cairn_server::config::table::all() {
        let option = format!("\\-\\-{}", directive.name.replace('-', "\\-"));
        assert_eq!(server.contains(&option), !directive.is_hidden(), "{option}");
    }
    // groff complains of what it does not understand.
    let groff = Command::new("groff").arg("--version").output();
    if groff.is_ok() {
        for page in pages {
            let output = Command::new("groff")
                .args(["-man", "-Tutf8", "-ww", "-z"])
                .arg(folder.path().join("man1").join(&page))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{page}: {said}");
        }
    }
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let folder = written();
    let programs = ["aof-tool", "bench-tool", "cairn-server", "rdb-tool"];
    assert_eq!(names(&folder.path().join("bash")), programs);
    assert_eq!(
        names(&folder.path().join("zsh")),
        programs.map(|name| format!("_{name}"))
    );
    assert_eq!(
        names(&folder.path().join("fish")),
        programs.map(|name| format!("{name}.fish"))
    );
    for program in programs {
        let script = folder.path().join("bash").join(program);
        let status = Command::new("bash")
            .arg("-n")
            .arg(&script)
            .status()
            .unwrap();
        assert!(status.success(), "{program}");
    }
    // What bash offers for the beginning of an option.
    let line = r#"source "$1"; own=$(complete -p cairn-server | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=(cairn-server --appendo); COMP_CWORD=1; $own cairn-server --appendo cairn-server; echo "${COMPREPLY[@]}""#;
    let output = Command::new("bash")
        .args(["-c", line, "bash"])
        .arg(folder.path().join("bash/cairn-server"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "--appendonly"
    );
}
