//! Servers that follow each other.

use cairn_format::resp::value::Value;

use crate::support::connection::info_fields;
use crate::support::dataset::digest;
use crate::support::process::{Program, Server};
use crate::support::{Connection, Folder, Setup, wait_until};

/// One server with its folder.
pub struct Member {
    pub program: Program,
    pub server: Server,
    pub folder: Folder,
    setup: Setup,
}

impl Member {
    /// `options` beside those that make tests short.
    pub fn start(program: Program, options: &str) -> Member {
        let folder = Folder::new();
        let setup = Setup::new(program, &folder)
            .with("--repl-diskless-sync-delay 0 --repl-ping-replica-period 3600")
            .with(options);
        Member {
            program,
            server: setup.start(),
            setup,
            folder,
        }
    }

    /// Follows `of` from its start on.
    pub fn following(program: Program, of: &Member, options: &str) -> Member {
        let port = of.server.port;
        Member::start(program, &format!("--replicaof 127.0.0.1 {port} {options}"))
    }

    pub fn connect(&self) -> Connection {
        self.server.connect()
    }

    /// Starts it again in its folder, at its port.
    pub fn restart(&mut self) {
        let port = self.server.port;
        self.server = self.setup.clone().on_port(port).start();
    }

    /// Asks on a connection of its own; again where that is killed, as a sentinel does with all of a server whose role it changes.
    pub fn ask(&self, line: &str) -> Value {
        let mut reply = None;
        wait_until("a reply", || {
            reply = self.connect().try_line(line).ok();
            reply.is_some()
        });
        reply.expect("it was waited for")
    }

    /// One field of INFO.
    pub fn field(&self, section: &str, name: &str) -> String {
        let fields = info_fields(&said(&self.ask(&format!("INFO {section}"))));
        fields.get(name).cloned().unwrap_or_default()
    }

    pub fn offset(&self) -> String {
        self.field("replication", "master_repl_offset")
    }
}

/// Waits until the link is up and both are at the same offset.
pub fn in_step(primary: &Member, replica: &Member) {
    wait_until("the replica is in step", || {
        replica.field("replication", "master_link_status") == "up"
            && primary.offset() == replica.offset()
    });
}

/// All are in step, one behind the other.
pub fn all_in_step(chain: &[&Member]) {
    for pair in chain.windows(2) {
        in_step(pair[0], pair[1]);
    }
}

/// All are in step, one behind the other, and hold the same.
pub fn all_equal(chain: &[&Member]) {
    all_in_step(chain);
    same_digest(chain);
}

/// All hold the same.
pub fn same_digest(chain: &[&Member]) {
    let digests: Vec<String> = chain
        .iter()
        .map(|member| digest(&mut member.connect()))
        .collect();
    assert!(
        digests.iter().all(|other| *other == digests[0]),
        "{digests:?}"
    );
}

/// Full and partial synchronizations that a server has given.
pub fn syncs(member: &Member) -> (String, String) {
    let fields = member.connect().info("stats");
    (
        fields["sync_full"].clone(),
        fields["sync_partial_ok"].clone(),
    )
}

/// A reply in words: a status, an error, a number, or several.
pub fn said(value: &Value) -> String {
    match value {
        Value::Simple(text) | Value::Error(text) | Value::Bulk(text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        Value::Int(number) => number.to_string(),
        Value::Array(values) => values.iter().map(said).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}
