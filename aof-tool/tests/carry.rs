//! `aof-tool convert` and `copy`: the same log in another shape, and that of a living server.

#[path = "../../toolkit/tests/support/real_server.rs"]
mod real_server;
mod tool;

use real_server::{Program, RealServer};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tool::{bad, command, golden, goldens, log, run, run_with_stdin};

/// As base64. Where one file follows another there may be one more.
const SELECT: &str = "\"U0VMRUNU\"";

/// Every log of a real server there and back: commands and snapshot are the same bytes.
#[test]
fn every_log_goes_into_a_folder_and_a_file_and_stays_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (number, name) in goldens().into_iter().enumerate() {
        let (file, parts) = (path(&format!("f{number}")), path(&format!("d{number}")));
        let is_folder = Path::new(&name).is_dir();
        if is_folder {
            assert_eq!(
                run(&["convert", "--force", &name, "-o", &file]).code,
                0,
                "{name}"
            );
        } else {
            fs::copy(&name, &file).unwrap();
        }
        let made = run(&["convert", "--force", &file, "-o", &parts]);
        assert_eq!(made.code, 0, "{name}: {made:?}");
        assert_eq!(run(&["check", &parts]).code, 0, "{name}");
        let back = path("back");
        assert_eq!(
            run(&["convert", "--force", &parts, "-o", &back]).code,
            0,
            "{name}"
        );
        assert_eq!(fs::read(&file).unwrap(), fs::read(&back).unwrap(), "{name}");
        // What is not run because the engine lacks it is compared by its commands.
        match run(&["diff", &name, &parts]).code {
            2 => {}
            code => assert_eq!(code, 0, "{name}"),
        }
        let words = |name: &str| {
            let lines = run(&["dump", "--json", "--bytes", "base64", name]).stdout;
            let lines = lines.lines().filter(|line| !line.contains(SELECT));
            let args = lines.filter_map(|line| line.split_once("\"db\":"));
            args.map(|(_, args)| args.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(words(&name), words(&parts), "{name}");
    }
}

#[test]
fn databases_and_annotations_are_kept_in_mind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("d")).unwrap();
    fs::write(path("d/x.1.base.aof"), log(&["SELECT 3", "SET a 1"])).unwrap();
    fs::write(path("d/x.1.incr.aof"), log(&["#TS:5", "SET b 2"])).unwrap();
    let manifest = "file x.1.base.aof seq 1 type b\nfile x.1.incr.aof seq 1 type i\n";
    fs::write(path("d/x.manifest"), manifest).unwrap();
    let new = run(&["convert", "--force", &path("d"), "-o", "-"]);
    let expected = log(&["SELECT 3", "SET a 1", "SELECT 0", "#TS:5", "SET b 2"]);
    assert_eq!((new.code, new.stdout), (0, expected));
    let old = run(&[
        "convert",
        "--force",
        "--to",
        "redis-6.2",
        &path("d"),
        "-o",
        "-",
    ]);
    assert!(!old.stdout.contains("#TS"), "{old:?}");

    for (name, out) in [
        (bad("aof-truncated-060.aof"), "n1"),
        (bad("aof-unknown-command.aof"), "n2"),
        (bad("aof-preamble-crc.aof"), "n3"),
    ] {
        let refused = run(&["convert", "--force", &name, "-o", &path(out)]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(!Path::new(&path(out)).exists());
    }
    // A folder that is not empty, one that is the log itself, a name with a folder.
    let file = bad("ok-base.aof");
    assert_eq!(
        run(&["convert", "--force", &file, "-o", &path("d")]).code,
        2
    );
    assert_eq!(
        run(&[
            "convert",
            "--force",
            "--name",
            "a/b",
            &file,
            "-o",
            &path("n4")
        ])
        .code,
        2
    );
    assert_eq!(run(&["convert", "--force", &file, "-o", "-"]).code, 2);
    let piped = run_with_stdin(
        &["convert", "--force", "-", "-o", &path("n5")],
        command("SET a 1").as_bytes(),
    );
    assert_eq!(piped.code, 0, "{piped:?}");
    assert_eq!(
        fs::read_to_string(path("n5/appendonly.aof.1.base.aof")).unwrap(),
        command("SET a 1")
    );
}

/// Living servers of both times load what was converted, and hold the same.
#[test]
fn servers_load_what_was_converted() {
    let name = golden("redis-6.2.16/appendonly-preamble.aof");
    let data = |folder: &Path| {
        let server = RealServer::start_program(Program::Redis7, folder, &["--appendonly", "yes"]);
        server.ask("DEBUG DIGEST")
    };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::copy(&name, one.path().join("appendonly.aof")).unwrap();
    let parts = other.path().join("appendonlydir");
    assert_eq!(
        run(&["convert", "--force", &name, "-o", parts.to_str().unwrap()]).code,
        0
    );
    assert_eq!(data(one.path()), data(other.path()));
    assert!(data(one.path()).contains("000") || data(one.path()).len() > 40);
}

/// The commands of a copy are those of one moment of the log, whatever the server does meanwhile.
#[test]
fn a_log_that_is_written_and_rewritten_is_copied_whole() {
    let data = tempfile::tempdir().unwrap();
    let options = ["--appendonly", "yes", "--appendfsync", "no"];
    let server = Arc::new(RealServer::start_program(
        Program::Redis7,
        data.path(),
        &options,
    ));
    let ends = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (server, ends) = (server.clone(), ends.clone());
        let unit = [
            "MULTI",
            "INCR n",
            "RPUSH l x",
            "SET big 0123456789012345678901234567890123456789",
            "EXEC",
        ];
        let unit = log(&unit).repeat(200);
        move || {
            while !ends.load(Ordering::SeqCst) {
                server.send(unit.as_bytes());
            }
        }
    });
    let rewriter = std::thread::spawn({
        let (server, ends) = (server.clone(), ends.clone());
        move || {
            let mut rewrites = 0;
            while !ends.load(Ordering::SeqCst) {
                rewrites += u32::from(
                    server
                        .try_ask("BGREWRITEAOF")
                        .is_some_and(|reply| reply.starts_with('+')),
                );
                std::thread::sleep(std::time::Duration::from_millis(150));
            }
            rewrites
        }
    });
    let source = data.path().join("appendonlydir");
    let copies = tempfile::tempdir().unwrap();
    let mut last = 0;
    for number in 0..8 {
        let copy = copies.path().join(format!("copy{number}"));
        let copy = copy.to_str().unwrap();
        let copied = run(&[
            "copy",
            "--tries",
            "1000",
            source.to_str().unwrap(),
            "-o",
            copy,
        ]);
        assert_eq!(copied.code, 0, "{copied:?}");
        let checked = run(&["check", copy]);
        assert_eq!(checked.code, 0, "{checked:?}");
        let made = run(&["rewrite", "--force", copy, "-o", "-"]).stdout;
        let lines = run_with_stdin(&["dump", "--json", "-"], made.as_bytes()).stdout;
        let (mut counted, mut pushed) = (0, 0);
        for line in lines.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let args = line["args"].as_array().unwrap();
            match (
                args[0].as_str().unwrap(),
                args.get(1).and_then(|key| key.as_str()),
            ) {
                ("SET", Some("n")) => counted = args[2].as_str().unwrap().parse().unwrap(),
                ("RPUSH", Some("l")) => pushed += args.len() - 2,
                _ => {}
            }
        }
        assert_eq!(counted, pushed);
        assert!(counted >= last, "{counted} after {last}");
        last = counted;
    }
    ends.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    assert!(rewriter.join().unwrap() > 0, "nothing was rewritten");
    assert!(last > 0, "nothing was written");
}

#[test]
fn what_is_torn_at_the_end_is_not_copied_and_what_is_damaged_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["aof-truncated-060.aof", "aof-multi-open-cut.aof"] {
        let copied = run(&["copy", &bad(name), "-o", &path(name)]);
        assert_eq!(copied.code, 0, "{copied:?}");
        assert_eq!(run(&["check", &path(name)]).code, 0);
    }
    let refused = run(&["copy", &bad("aof-zeros-mid.aof"), "-o", &path("zeros")]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let lost = golden("redis-7.2.4/appendonlydir-multi");
    fs::create_dir(path("lost")).unwrap();
    for entry in fs::read_dir(lost).unwrap().flatten() {
        if !entry.file_name().to_str().unwrap().ends_with(".4.incr.aof") {
            fs::copy(
                entry.path(),
                folder.path().join("lost").join(entry.file_name()),
            )
            .unwrap();
        }
    }
    let refused = run(&["copy", &path("lost"), "-o", &path("new")]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("4.incr.aof: the manifest lists this file, and it is missing"),
        "{refused:?}"
    );
    assert!(!Path::new(&path("new")).exists());
}

/// What is there is replaced only if that is asked for.
#[test]
fn a_file_that_is_there_is_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("log"), tool::log(&["SET a 1", "SET b 2"])).unwrap();
    assert_eq!(
        run(&["convert", &path("log"), "-o", &path("parts")]).code,
        0
    );
    for words in [
        &["rewrite", &path("log")][..],
        &["restore", &path("log")],
        &["copy", &path("log")],
        &["convert", &path("parts")],
    ] {
        fs::write(path("out"), "mine").unwrap();
        let out = path("out");
        let refused = run(&[words, &["-o", &out]].concat());
        assert_eq!(refused.code, 2, "{words:?}: {refused:?}");
        assert!(refused.stderr.contains("is there already"), "{refused:?}");
        assert!(
            refused.stderr.contains("--force replaces it"),
            "{refused:?}"
        );
        assert_eq!(fs::read(&out).unwrap(), b"mine", "{words:?}");
        let replaced = run(&[words, &["--force", "-o", &out]].concat());
        assert_eq!(replaced.code, 0, "{words:?}: {replaced:?}");
        assert_ne!(fs::read(&out).unwrap(), b"mine", "{words:?}");
    }
    let refused = run(&["copy", &path("log"), "-o", &path("no/where")]);
    assert!(
        refused.stderr.contains("its folder is not there"),
        "{refused:?}"
    );
}

/// A compressed log is copied as what is in it, never as nothing.
#[test]
fn a_compressed_log_is_copied_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let log = tool::log(&["SET a 1", "SET b 2"]);
    fs::write(path("log"), &log).unwrap();
    let packed = std::process::Command::new("gzip").arg(path("log")).status();
    assert!(packed.unwrap().success());
    let copied = run(&["copy", &path("log.gz"), "-o", &path("copy")]);
    assert_eq!(copied.code, 0, "{copied:?}");
    assert_eq!(fs::read(path("copy")).unwrap(), log.as_bytes());
    // Nothing is wrong with a log in which nothing was written yet.
    fs::write(path("empty"), "").unwrap();
    let fixed = run(&["fix", &path("empty")]);
    assert_eq!(fixed.code, 0, "{fixed:?}");
    assert!(
        fixed.stdout.contains("nothing is wrong, 0 commands"),
        "{fixed:?}"
    );
}
