//! The unit of systemd, and the file that a container is built from.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::packaged;
use crate::support::process::run_program;
use crate::support::{Folder, PATIENCE, Setup, left_out};

fn unit() -> String {
    std::fs::read_to_string(packaged("cairn.service")).unwrap()
}

/// The value of a line of the unit.
fn value_of<'u>(unit: &'u str, name: &str) -> &'u str {
    let mut found = unit
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = found.next().unwrap_or_else(|| panic!("{name} in the unit"));
    assert!(found.next().is_none(), "{name} stands there once");
    value
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        return left_out("packaging::service", "no systemd-analyze");
    }
    let folder = Folder::new();
    let path = folder.path("cairn.service");
    // It looks for the program, and for manual pages, which are not installed here.
    let here = unit().replace("/usr/bin/cairn-server", env!("CARGO_BIN_EXE_cairn-server"));
    std::fs::write(&path, here).unwrap();
    let (status, said) = run_program(
        "systemd-analyze",
        &["verify", "--man=no", path.to_str().unwrap()],
    );
    assert!(status.success(), "{said}");
    let about_us = said.lines().filter(|line| line.contains("cairn"));
    assert_eq!(about_us.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_unit_starts_a_server_that_reports() {
    let unit = unit();
    assert_eq!(value_of(&unit, "Type"), "notify");
    assert_eq!(value_of(&unit, "NoNewPrivileges"), "yes");
    let mut words = value_of(&unit, "ExecStart").split(' ');
    assert_eq!(words.next(), Some("/usr/bin/cairn-server"));
    assert_eq!(words.next(), Some("/etc/cairn/cairn.conf"));
    let folder = Folder::new();
    let socket = folder.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let options = format!(
        "{} {}",
        packaged("cairn.conf").display(),
        words.collect::<Vec<_>>().join(" ")
    );
    let variable = format!("NOTIFY_SOCKET={}", socket.display());
    let server = Setup::cairn(&folder)
        .only(&options)
        .under(&["env", &variable])
        .start();
    let mut heard = String::new();
    while !heard.contains("READY=1\n") {
        let mut bytes = [0; 200];
        let count = manager.recv(&mut bytes).expect("news");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    server.stop();
}

#[test]
fn the_container_is_made_of_what_is_there_and_runs_as_nobody() {
    let text = std::fs::read_to_string(packaged("Dockerfile")).unwrap();
    let instructions: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let of = |name: &str| {
        let all = instructions.iter().filter(|(word, _)| *word == name);
        all.map(|(_, rest)| *rest).collect::<Vec<_>>()
    };
    assert_eq!(
        of("FROM").len(),
        2,
        "it is built in one stage and kept in another"
    );
    let toolchain = std::fs::read_to_string(packaged("../rust-toolchain.toml")).unwrap();
    let version = of("FROM")[0].split([':', '-']).nth(1).unwrap();
    assert!(
        toolchain.contains(&format!("channel = \"{version}.0\"")),
        "{version}"
    );
    assert_eq!(of("FROM")[1], "scratch");
    let user: Vec<u32> = of("USER")[0]
        .split(':')
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(user.iter().all(|id| *id > 0));
    assert_eq!(of("HEALTHCHECK").len(), 1);
    for script in ["scripts/package", "packaging/cairn.conf"] {
        assert!(
            text.contains(script) && packaged("..").join(script).exists(),
            "{script}"
        );
    }
    // The words that the server is started with are ones that it takes.
    let words: Vec<&str> = of("CMD")[0].split('"').skip(1).step_by(2).collect();
    assert_eq!(words[..2], ["cairn-server", "/etc/cairn/cairn.conf"]);
    let folder = Folder::new();
    let options = format!(
        "{} {}",
        packaged("cairn.conf").display(),
        words[2..].join(" ")
    );
    Setup::cairn(&folder).only(&options).start().stop();
}
