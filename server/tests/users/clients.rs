use crate::support::told;
use crate::support::{Folder, Setup};

/// The fields of a map in RESP2.
fn field(map: &str, name: &str) -> String {
    let mark = format!("\"{name}\", \"");
    let (_, rest) = map.split_once(&mark).expect("it has the field");
    rest.split('"').next().expect("it ends").to_owned()
}

#[test]
fn a_client_is_told_by_its_user() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let (mut admin, mut client) = (server.connect(), server.connect());
    admin.call(&[
        "ACL",
        "SETUSER",
        "anna",
        "on",
        ">pw",
        "+@all",
        "~k",
        "-flushall",
    ]);
    assert!(told(&client.call(&["CLIENT", "INFO"])).contains(" user=default redir=-1 "));
    client.call(&["AUTH", "anna", "pw"]);
    assert!(told(&client.call(&["CLIENT", "INFO"])).contains(" user=anna redir=-1 "));
    client.call(&["CLIENT", "SETNAME", "hers"]);
    client.call(&["GET", "x"]);
    let log = told(&admin.call(&["ACL", "LOG", "1"]));
    let log = log.replace("\\\"", "\"");
    let line = field(&log, "client-info");
    assert!(
        line.contains(" name=hers ") && line.contains(" cmd=get user=anna "),
        "{line}"
    );
    let unknown = told(&admin.call(&["CLIENT", "KILL", "USER", "nobody"]));
    assert_eq!(unknown, "-ERR No such user 'nobody'");
    assert_eq!(
        told(&admin.call(&["CLIENT", "KILL", "USER", "anna"])),
        "Int(1)"
    );
    assert!(
        client.try_call(&["PING"]).is_err(),
        "its connection is closed"
    );
}

#[test]
fn what_is_refused_is_counted_and_kept_as_configured() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).with("--acllog-max-len 2").start();
    let (mut admin, mut client) = (server.connect(), server.connect());
    admin.call(&[
        "ACL", "SETUSER", "u", "on", "nopass", "+get", "+publish", "~k",
    ]);
    client.call(&["AUTH", "u", ""]);
    for words in [
        &["GET", "x"][..],
        &["DEL", "k"],
        &["PUBLISH", "c", "m"],
        &["AUTH", "u2", "x"],
    ] {
        assert!(told(&client.call(words)).starts_with('-'));
    }
    let log = admin.call(&["ACL", "LOG"]);
    assert_eq!(log.as_array().map(<[_]>::len), Some(2));
    let stats = told(&admin.call(&["INFO", "stats"]));
    for kind in ["auth", "cmd", "key", "channel"] {
        assert!(
            stats.contains(&format!("acl_access_denied_{kind}:1\\r\\n")),
            "{kind}: {stats}"
        );
    }
    let words = [
        told(&admin.call(&["ACL", "GENPASS"])),
        told(&admin.call(&["ACL", "GENPASS"])),
    ];
    assert!(words[0] != words[1] && words[0].len() == 64, "{words:?}");
}

#[test]
fn new_users_have_the_channels_that_are_configured() {
    let folder = Folder::new();
    let setup = Setup::cairn(&folder).with("--acl-pubsub-default allchannels");
    let server = setup.start();
    let mut admin = server.connect();
    admin.call(&["ACL", "SETUSER", "a"]);
    admin.call(&["CONFIG", "SET", "acl-pubsub-default", "resetchannels"]);
    admin.call(&["ACL", "SETUSER", "b"]);
    let list = told(&admin.call(&["ACL", "LIST"]));
    let lines = [
        "user a off sanitize-payload &* -@all",
        "user b off sanitize-payload resetchannels -@all",
    ];
    assert!(lines.iter().all(|line| list.contains(line)), "{list}");
}

#[test]
fn the_password_of_the_server_is_that_of_the_default_user() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut client = server.connect();
    server
        .connect()
        .call(&["CONFIG", "SET", "requirepass", "one"]);
    // Who is there already goes on; who comes has to log in.
    assert_eq!(told(&client.call(&["PING"])), "PONG");
    client = server.connect();
    assert_eq!(
        told(&client.call(&["PING"])),
        "-NOAUTH Authentication required."
    );
    client.call(&["AUTH", "one"]);
    client.call(&["ACL", "SETUSER", "default", ">two"]);
    let asked = |password: &str| told(&server.connect().call(&["AUTH", password]));
    assert!(
        [asked("one"), asked("two")]
            .iter()
            .all(|reply| reply == "OK")
    );
    client.call(&["CONFIG", "SET", "requirepass", "three"]);
    assert!(asked("one").starts_with("-WRONGPASS") && asked("two").starts_with("-WRONGPASS"));
    assert_eq!(asked("three"), "OK");
    client.call(&["CONFIG", "SET", "requirepass", ""]);
    assert_eq!(told(&server.connect().call(&["PING"])), "PONG");
}
