//! Servers that are killed.

use crate::real_server::Program;
use crate::{bench, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn lost(json: &serde_json::Value) -> (u64, u64) {
    let rounds = json["policies"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|policy| policy["rounds"].as_array().unwrap());
    rounds.fold((0, 0), |(acknowledged, lost), round| {
        (
            acknowledged + round["acknowledged"].as_u64().unwrap(),
            lost + round["lost"].as_u64().unwrap(),
        )
    })
}

/// Under `always`. With `everysec` servers put off a write for as long as the disk is busy with the last fsync, up to two seconds, and acknowledge meanwhile.
#[test]
fn servers_that_keep_what_they_acknowledge_lose_nothing() {
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_bench-tool")).with_file_name("cairn-server");
    let mut programs = vec![Program::Redis7.path(), Program::Valkey9.path()];
    // Built with the whole workspace, not with this crate alone.
    match own.exists() {
        true => programs.push(own),
        false => eprintln!("{} is not built: only the others are killed", own.display()),
    }
    for program in programs {
        let program = program.to_str().unwrap();
        let (code, json, stderr) = json(&[
            "durability",
            "--policy",
            "always",
            "--rounds",
            "2",
            "--within",
            "0.5",
            "--json",
            "-",
            "--",
            program,
        ]);
        let (acknowledged, lost) = lost(&json);
        assert_eq!((code, lost), (0, 0), "{program}: {stderr}");
        assert!(acknowledged > 100, "{program}: {json:#}");
    }
}

/// A wrapper that cuts the end off the log before the server reads it again: as if the last writes had not been kept. It is more than can be on its way.
#[test]
fn planted_loss_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("forgetful");
    let script = "#!/bin/sh\n\
                  for log in appendonlydir/*.incr.aof; do [ -e \"$log\" ] && truncate -s -20000 \"$log\"; done\n\
                  exec /usr/bin/redis-server \"$@\"\n";
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let words = [
        "durability",
        "--policy",
        "always",
        "--rounds",
        "2",
        "--within",
        "0.5",
        "--folder",
        kept.to_str().unwrap(),
        "--json",
        "-",
        "--",
    ];
    let (code, json, stderr) = json(&[&words[..], &[wrapper.to_str().unwrap()]].concat());
    let (_, lost) = lost(&json);
    assert_eq!(code, 1, "{stderr}");
    assert!(lost > 10, "{json:#}");
    assert!(
        stderr.contains("writes that were acknowledged under appendfsync always are gone"),
        "{stderr}"
    );
    assert!(
        fs::read_dir(&kept).unwrap().count() > 0,
        "the folder is kept"
    );
}

#[test]
fn what_does_not_start_is_told_with_its_last_words() {
    for (words, told) in [
        (&["/nowhere/redis-server"][..], "could not be started"),
        (
            &[
                "/usr/bin/redis-server",
                "--port",
                "{port}",
                "--appendfsync",
                "sometimes",
            ],
            "its last words: ",
        ),
        (&["/bin/sleep", "60"], "does not answer after 0.5 s"),
    ] {
        let output = bench(
            &[
                &["durability", "--rounds", "1", "--patience", "0.5", "--"],
                words,
            ]
            .concat(),
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
}
