use std::fs;

use crate::support::process::Server;
use crate::support::told;
use crate::support::{Folder, Setup, wait_until};

/// A start that fails, and what it printed and logged.
fn refused(setup: Setup) -> String {
    let ended = setup.run();
    assert!(!ended.status.success(), "it starts");
    ended.log
}

/// Each user's line, those of the passwords too.
fn list(server: &Server) -> String {
    told(&server.connect().call(&["ACL", "LIST"]))
}

const LINES: &str = "user anna on >pw ~cached:* resetchannels &news +@read -keys (%R~log:* \"+get\" +set)\n\
    USER bert off \"#5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\" ~\"say\\\"so\" -@all\n\
    user default on nopass ~* +@all -flushall\n";

#[test]
fn users_of_the_configuration_file_are_there_at_start_and_written_back() {
    let folder = Folder::new();
    let path = folder.path("server.conf");
    fs::write(&path, LINES).unwrap();
    let setup = || Setup::cairn(&folder).only(path.to_str().unwrap());
    let server = setup().start();
    let first = list(&server);
    for part in [
        "user anna on sanitize-payload #30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4 ~cached:* resetchannels &news -@all +@read -keys (%R~log:* resetchannels -@all +get +set)",
        "user default on nopass sanitize-payload ~* resetchannels +@all -flushall",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let notice = "The user 'bert' is disabled";
    assert!(server.log().contains(notice));
    let mut admin = server.connect();
    assert_eq!(told(&admin.call(&["AUTH", "anna", "pw"])), "OK");
    let mut admin = server.connect();
    admin.good("ACL SETUSER carl on >x ~it's +@all");
    admin.good("ACL DELUSER bert");
    let changed = list(&server);
    admin.good("CONFIG REWRITE");
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written.matches("user ").count(), 3, "{written}");
    server.stop();
    let again = setup().start();
    assert_eq!(list(&again), changed);
    again.stop();
    // The reference reads what was written, and the same users come of it.
    let reference_path = folder.path("reference.conf");
    let users: Vec<&str> = written
        .lines()
        .filter(|line| line.starts_with("user "))
        .collect();
    fs::write(&reference_path, users.join("\n")).unwrap();
    let elsewhere = Folder::new();
    let reference = Setup::reference(&elsewhere)
        .only(reference_path.to_str().unwrap())
        .start();
    let mut client = reference.connect();
    for (user, password, allowed) in [("anna", "pw", "cached:1"), ("carl", "x", "it's")] {
        assert_eq!(told(&client.call(&["AUTH", user, password])), "OK");
        assert_eq!(told(&client.call(&["GET", allowed])), "Null");
        assert!(told(&client.call(&["GET", "other"])).starts_with("-NOPERM"));
    }
}

#[test]
fn a_line_of_a_user_that_cannot_be_ends_the_start_with_its_word() {
    let folder = Folder::new();
    let path = folder.path("server.conf");
    for (text, reason) in [
        (
            "user a on foo",
            "Error in user declaration 'foo': Syntax error",
        ),
        (
            "user a on +nothing",
            "Error in user declaration '+nothing': Unknown command or category name in ACL",
        ),
        (
            "user a (+get",
            "Error in user declaration '(+get': Unmatched parenthesis in selector definition.",
        ),
        ("user a on\nuser a off", "Duplicate user found."),
        (
            "user a on\naclfile users.acl",
            "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid.",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let told = refused(Setup::cairn(&folder).only(path.to_str().unwrap()));
        assert!(told.contains(reason), "{text}: {told}");
    }
}

#[test]
fn users_are_saved_in_their_file_and_loaded_again() {
    let folder = Folder::new();
    let file = folder.data().join("users.acl");
    fs::create_dir_all(folder.data()).unwrap();
    fs::write(
        &file,
        "user anna on >pw ~a* &* +@all\r\n\n  user bert on nopass -@all +ping\n",
    )
    .unwrap();
    let setup = || Setup::cairn(&folder).with("--aclfile users.acl");
    let server = setup().start();
    let [mut admin, mut anna, mut other] = [server.connect(), server.connect(), server.connect()];
    assert_eq!(told(&anna.call(&["AUTH", "anna", "pw"])), "OK");
    admin.good("ACL SETUSER anna ~b*");
    admin.good("ACL SETUSER default -debug");
    admin.good("ACL SAVE");
    let saved = list(&server);
    admin.good("ACL SETUSER anna off");
    admin.good("ACL SETUSER carl");
    admin.good("ACL LOAD");
    assert_eq!(list(&server), saved);
    // Who had logged in has to do so again; who had not goes on, with the rules of now.
    wait_until("the connection of a user ends", || {
        anna.try_call(&["PING"]).is_err()
    });
    assert_eq!(told(&other.call(&["PING"])), "PONG");
    assert!(told(&other.call(&["DEBUG", "JMAP"])).starts_with("-NOPERM"));
    assert_eq!(told(&other.call(&["AUTH", "anna", "pw"])), "OK");
    assert_eq!(
        told(&other.call(&["ACL", "LOAD"])),
        "OK",
        "the reply comes before the end"
    );
    wait_until("its own connection ends, too", || {
        other.try_call(&["PING"]).is_err()
    });
    admin.good("CONFIG SET requirepass x");
    server.stop();
    let again = setup().start();
    assert_eq!(list(&again), saved, "what was not saved is gone");
}

#[test]
fn a_file_that_cannot_be_changes_nothing_and_all_of_its_faults_are_told() {
    let texts = [
        "user anna on foo >secret-word +nothing bar +other\nuser bert (+get\n",
        "# no comments\nuser\nusers x\n",
        "user a on\nuser a off\n",
        "user \"a b\" on\n",
        "user a on ~x  +get \t\nuser b\ton\n",
        "user a +get|x +config|nothing %Q~x ~* ~y\n",
    ];
    let folder = Folder::new();
    fs::create_dir_all(folder.data()).unwrap();
    let file = folder.data().join("users.acl");
    fs::write(
        &file,
        "user default on nopass ~* &* +@all\nuser keep on nopass ~* +@all\n",
    )
    .unwrap();
    let both = [Setup::cairn(&folder), Setup::reference(&folder)];
    let both = both.map(|setup| setup.with("--aclfile users.acl").start());
    let before = both.each_ref().map(list);
    for text in texts {
        fs::write(&file, text).unwrap();
        let replies = both
            .each_ref()
            .map(|server| told(&server.connect().call(&["ACL", "LOAD"])));
        // The reference begins one of its lines with a stray quote.
        assert_eq!(
            replies[0],
            replies[1].replace("'users.acl:", "users.acl:"),
            "{text}"
        );
        assert!(!replies[0].contains("secret-word"), "{text}");
        assert_eq!(both.each_ref().map(list), before, "{text}");
    }
    fs::remove_file(&file).unwrap();
    let replies = both
        .each_ref()
        .map(|server| told(&server.connect().call(&["ACL", "LOAD"])));
    assert_eq!(replies[0], replies[1]);
    let [cairn, reference] = both;
    cairn.stop();
    reference.stop();
    let told = refused(Setup::cairn(&folder).with("--aclfile users.acl"));
    assert!(told.contains("Aborting Redis startup because of ACL errors: Error loading ACLs, opening file 'users.acl': No such file or directory"), "{told}");
}
