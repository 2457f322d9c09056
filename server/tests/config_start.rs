//! Files, standard input and the command line; what is refused and warned about at start.

use std::path::Path;

use cairn_server::config::choice::{AppendFsync, LogLevel, MaxmemoryPolicy};
use cairn_server::config::{Config, Invocation, SavePoint, StartError, start, start_as, table};

fn run_in(folder: &Path, args: &[&str], stdin: &str) -> Result<Config, StartError> {
    let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    match start(&args, folder, &mut stdin.as_bytes())? {
        Invocation::Run(start) => Ok(*start),
        other => panic!("{other:?}"),
    }
}

/// Starts with options only.
fn run(args: &[&str]) -> Result<Config, StartError> {
    run_in(Path::new("/tmp"), args, "")
}

/// Starts with a file of this text.
fn run_file(text: &str, args: &[&str]) -> Result<Config, StartError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("redis.conf"), text).unwrap();
    let args: Vec<&str> = ["redis.conf"].iter().chain(args).copied().collect();
    run_in(folder.path(), &args, "")
}

fn text(config: &Config, name: &str) -> String {
    let found = config.matching(&[name.as_bytes()]);
    String::from_utf8(found[0].1.clone()).unwrap()
}

#[test]
fn a_file_is_read_with_quotes_comments_units_and_aliases() {
    let config = run_file(
        "# a comment\n\n  port 7000 \r\nlogfile ''\nAPPENDFSYNC Always\nrequirepass \"a b\\x41\"\n\
         slave-priority 7\nhash-max-ziplist-entries 3\nclient-query-buffer-limit 2mb\n\
         bind 127.0.0.1 -::1\nport 7001\nlua-replicate-commands yes\nrdb-save-version redis-6.2\n\
         shutdown-on-sigterm force now\nuser default on nopass ~* &* +@all >secret\n",
        &[],
    )
    .unwrap();
    assert_eq!(config.get(table::PORT), 7001);
    assert_eq!(config.get(table::APPENDFSYNC), AppendFsync::Always);
    assert_eq!(config.get(table::REQUIREPASS), b"a bA");
    let user = &config.users()[0];
    assert_eq!((&user.name[..], user.words.len()), (&b"default"[..], 6));
    assert_eq!(config.get(table::REPLICA_PRIORITY), 7);
    assert_eq!(config.get(table::HASH_MAX_LISTPACK_ENTRIES), 3);
    assert_eq!(config.get(table::CLIENT_QUERY_BUFFER_LIMIT), 2 << 20);
    assert_eq!(
        config.get(table::BIND),
        [b"127.0.0.1".to_vec(), b"-::1".to_vec()]
    );
    assert_eq!(config.rdb_save_version().unwrap().version(), 9);
    assert!(config.get(table::SHUTDOWN_ON_SIGTERM).force);
    assert!(!config.get(table::SHUTDOWN_ON_SIGTERM).save);
}

#[test]
fn save_lines_add_up_and_the_command_line_adds_to_them() {
    let one = SavePoint {
        seconds: 10,
        changes: 1,
    };
    let two = SavePoint {
        seconds: 20,
        changes: 2,
    };
    let file = "save 10 1\n";
    assert_eq!(
        run_file(file, &["--save", "20 2"])
            .unwrap()
            .get(table::SAVE),
        [one, two]
    );
    assert_eq!(
        run_file(file, &["--save", "20", "2"])
            .unwrap()
            .get(table::SAVE),
        [one, two]
    );
    assert_eq!(
        run_file("save 10 1\nsave 20 2", &[])
            .unwrap()
            .get(table::SAVE),
        [one, two]
    );
    assert_eq!(
        run_file("save 10 1 20 2", &[]).unwrap().get(table::SAVE),
        [one, two]
    );
    assert_eq!(
        run_file("save ''\nsave 20 2", &[])
            .unwrap()
            .get(table::SAVE),
        [two]
    );
    for args in [
        &["--save", ""][..],
        &["--save"],
        &["--save", "--port", "7000"],
    ] {
        assert_eq!(
            run_file(file, args).unwrap().get(table::SAVE),
            [],
            "{args:?}"
        );
    }
    assert_eq!(run(&[]).unwrap().get(table::SAVE).len(), 3);
}

/// What 7.0.15 does with a name alone, or with an empty value, for each directive that takes several.
#[test]
fn a_name_alone_is_an_empty_list_where_there_may_be_one() {
    let limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
    for (name, value) in [
        ("save", ""),
        ("bind", ""),
        ("latency-tracking-info-percentiles", ""),
        ("client-output-buffer-limit", limits),
    ] {
        let file = run_file(&format!("{name}\n"), &[]).unwrap();
        assert_eq!(text(&file, name), value, "{name} in a file");
        for empty in ["\"\"", "''", "\" \""] {
            let line = format!("{name} {empty}\n");
            let Ok(start) = run_file(&line, &[]) else {
                assert_eq!(
                    (name, empty != "\" \""),
                    ("client-output-buffer-limit", true)
                );
                continue;
            };
            assert_eq!(text(&start, name), value, "{line}");
        }
        let option = format!("--{name}");
        assert_eq!(text(&run(&[&option]).unwrap(), name), value, "{option}");
    }
    for (name, reason) in [
        ("oom-score-adj-values", "wrong number of arguments"),
        ("replicaof", "wrong number of arguments"),
        ("dir", "wrong number of arguments"),
        ("notify-keyspace-events", "wrong number of arguments"),
        (
            "shutdown-on-sigterm",
            "argument(s) must be one of the following: default, save, nosave, now, force",
        ),
        ("replicaof ''", "wrong number of arguments"),
        ("replicaof ' '", "wrong number of arguments"),
        ("dir ''", "No such file or directory"),
    ] {
        let error = run_file(&format!("{name}\n"), &[]).unwrap_err();
        assert_eq!(error.reason, reason, "{name}");
    }
    // No digits are 0, as `strtol` has it.
    let start = run_file("unixsocketperm ''\n", &[]).unwrap();
    assert_eq!(text(&start, "unixsocketperm"), "0");
}

#[test]
fn a_bare_save_line_adds_nothing_and_an_empty_one_begins_again() {
    for (lines, points) in [
        ("save\n", ""),
        ("save\nsave 900 1\n", "900 1"),
        ("save 900 1\nsave\n", "900 1"),
        ("save 900 1\nsave\nsave 60 1\n", "900 1 60 1"),
        ("save 900 1\nsave ''\n", ""),
        ("save 900 1\nsave ''\nsave 60 1\n", "60 1"),
    ] {
        let config = run_file(lines, &[]).unwrap();
        assert_eq!(text(&config, "save"), points, "{lines:?}");
    }
}

#[test]
fn options_follow_the_rules_of_redis() {
    let config = run(&[
        "--port 7000",
        "--loglevel",
        "verbose",
        "--maxmemory-policy 'volatile-lru'",
    ])
    .unwrap();
    assert_eq!(config.get(table::PORT), 7000);
    assert_eq!(config.get(table::LOGLEVEL), LogLevel::Verbose);
    assert_eq!(
        config.get(table::MAXMEMORY_POLICY),
        MaxmemoryPolicy::VolatileLru
    );

    // A value may begin with dashes if it is the only one.
    let config = run(&["--proc-title-template", "--my--title", "--port", "7000"]).unwrap();
    assert_eq!(config.get(table::PROC_TITLE_TEMPLATE), b"--my--title");
    assert_eq!(config.get(table::PORT), 7000);

    // After a file the first name may come without dashes.
    let config = run_file("", &["loglevel", "verbose", "--port", "7000"]).unwrap();
    assert_eq!(config.get(table::LOGLEVEL), LogLevel::Verbose);
    assert_eq!(config.get(table::PORT), 7000);

    let config = run(&[
        "--bind",
        "127.0.0.1",
        "::1",
        "--shutdown-on-sigint",
        "nosave force",
    ])
    .unwrap();
    assert_eq!(text(&config, "bind"), "127.0.0.1 ::1");
    assert_eq!(text(&config, "shutdown-on-sigint"), "nosave force");
}

#[test]
fn file_then_standard_input_then_options() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("redis.conf"),
        "port 1\nhz 11\ntimeout 1\n",
    )
    .unwrap();
    for args in [
        &["redis.conf", "--port", "3", "-"][..],
        &["./redis.conf", "--port", "3", "-"],
    ] {
        let config = run_in(folder.path(), args, "port 2\nhz 12\n").unwrap();
        assert_eq!(config.get(table::PORT), 3);
        assert_eq!(config.get(table::HZ), 12);
        assert_eq!(config.get(table::TIMEOUT), 1);
        assert_eq!(
            config.file(),
            Some(folder.path().join("redis.conf").as_path())
        );
    }
    let config = run_in(folder.path(), &["-"], "port 2").unwrap();
    assert_eq!(config.get(table::PORT), 2);
    assert_eq!(config.file(), None);
}

#[test]
fn the_folder_is_absolute_and_files_are_not_looked_for_in_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("redis.conf"), "dir ./data\n").unwrap();
    let config = run_in(folder.path(), &["./redis.conf"], "").unwrap();
    assert_eq!(config.dir(), folder.path().join("data"));
    assert_eq!(config.file().unwrap(), folder.path().join("redis.conf"));
}

#[test]
fn includes_take_patterns() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("conf.d")).unwrap();
    std::fs::write(path("conf.d/10-a.conf"), "port 1\nhz 20\n").unwrap();
    std::fs::write(path("conf.d/20-b.conf"), "port 2\n").unwrap();
    std::fs::write(path("conf.d/other"), "port 3\n").unwrap();
    std::fs::write(
        path("redis.conf"),
        "include conf.d/*.conf\ninclude none/*.conf\n",
    )
    .unwrap();
    let config = run_in(folder.path(), &["redis.conf"], "").unwrap();
    assert_eq!((config.get(table::PORT), config.get(table::HZ)), (2, 20));

    std::fs::write(path("redis.conf"), "include missing.conf\n").unwrap();
    let error = run_in(folder.path(), &["redis.conf"], "")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Fatal error, can't open config file"),
        "{error}"
    );
    assert!(
        error.contains("missing.conf': No such file or directory"),
        "{error}"
    );

    std::fs::write(path("redis.conf"), "include redis.conf\n").unwrap();
    let error = run_in(folder.path(), &["redis.conf"], "")
        .unwrap_err()
        .to_string();
    assert!(error.contains("include each other"), "{error}");
}

#[test]
fn errors_name_line_reason_file_and_directive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.conf");
    std::fs::write(&path, "# x\nport 6379\n  port 99999  \n").unwrap();
    let error = run_in(folder.path(), &["redis.conf"], "")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, at line 3\n\
             >>> 'port 99999'\nargument must be between 0 and 65535 inclusive\n\
             cairn-server: {}: line 3: directive 'port'",
            path.display()
        )
    );
}

/// Lines and reasons that 7.0.15 shows for the same options.
#[test]
fn errors_of_options_are_those_of_redis() {
    for (args, line, reason) in [
        (
            &["--foo", "bar"][..],
            "foo \"bar\"",
            "Bad directive or wrong number of arguments",
        ),
        (&["--port"], "port", "wrong number of arguments"),
        (
            &["--port", "0", "xx"],
            "port \"0\" \"xx\"",
            "wrong number of arguments",
        ),
        (
            &["--port", "--hz", "20"],
            "port \"--hz\" \"20\"",
            "wrong number of arguments",
        ),
        (
            &["--timeout", "1a"],
            "timeout \"1a\"",
            "argument couldn't be parsed into an integer",
        ),
        (
            &["--replicaof", "--a", "--b"],
            "replicaof \"--a\"",
            "wrong number of arguments",
        ),
        (
            &["--port", "--dir"],
            "port \"--dir\"",
            "argument couldn't be parsed into an integer",
        ),
        (
            &["--loglevel", "--dir"],
            "loglevel \"--dir\"",
            "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
        ),
        (
            &["--replicaof", "a"],
            "replicaof \"a\"",
            "wrong number of arguments",
        ),
        (
            &["--replicaof", "a", "b"],
            "replicaof \"a\" \"b\"",
            "Invalid master port",
        ),
        (
            &["--replicaof", "a", "70000"],
            "replicaof \"a\" \"70000\"",
            "Invalid master port",
        ),
        (&["--save", "1"], "save \"1\"", "Invalid save parameters"),
        (
            &["--appendfilename", "a/b"],
            "appendfilename \"a/b\"",
            "appendfilename can't be a path, just a filename",
        ),
        (
            &["--unixsocketperm", "999"],
            "unixsocketperm \"999\"",
            "argument couldn't be parsed as an octal number",
        ),
        (
            &["--appendfsync", "x"],
            "appendfsync \"x\"",
            "argument(s) must be one of the following: everysec, always, no",
        ),
        (
            &["--shutdown-on-sigint", "\"now force\""],
            "shutdown-on-sigint \"\\\"now force\\\"\"",
            "argument(s) must be one of the following: default, save, nosave, now, force",
        ),
        (&["--logfile", "a\" b"], "logfile \"a\\\" b\"", ""),
        (
            &["--sanitize 'x"],
            "sanitize 'x",
            "Unbalanced quotes in configuration line",
        ),
        (
            &["--sentinel.x", "1"],
            "sentinel.x \"1\"",
            "modules are not supported yet",
        ),
    ] {
        match run(args) {
            Ok(config) => {
                assert_eq!(reason, "", "{args:?} is accepted");
                assert_eq!(config.get(table::LOGFILE), b"a\" b");
            }
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(&format!(">>> '{line}'\n")), "{error}");
                assert!(error.contains(reason) && !reason.is_empty(), "{error}");
                assert!(error.contains("FATAL CONFIG FILE ERROR"), "{error}");
            }
        }
    }
}

#[test]
fn what_guards_data_and_does_not_work_is_refused_by_name() {
    let (line, name) = ("loadmodule /x.so a b", "loadmodule");
    let error = run_file(&format!("port 7000\n{line}\n"), &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("'{name}' is refused")),
        "{line}: {error}"
    );
    assert!(error.contains("at line 2\n"), "{line}: {error}");
    assert!(error.contains(&format!(">>> '{line}'")), "{line}: {error}");
    for line in [
        "maxmemory 0",
        "tls-port 0",
        "cluster-enabled no",
        "replicaof no one",
        "aclfile ''",
    ] {
        assert!(run_file(line, &[]).is_ok(), "{line}");
    }
}

#[test]
fn an_effect_that_fails_is_told_with_its_line() {
    let config = run_file("port 7000\ndir /nonexistent\n", &[]).unwrap();
    let error = config
        .start_error(table::DIR.directive(), "No such file or directory")
        .to_string();
    assert!(
        error.contains("at line 2\n>>> 'dir /nonexistent'\nNo such file or directory\n"),
        "{error}"
    );
    let error = config
        .start_error(table::PIDFILE.directive(), "x")
        .to_string();
    assert!(
        error.ends_with("x\ncairn-server: directive 'pidfile'"),
        "{error}"
    );
}

#[test]
fn asks_for_help_and_version_are_answered() {
    for (arg, word) in [
        ("-v", "v="),
        ("--version", "7.2.4"),
        ("-h", "Usage: cairn-server"),
        ("--help", "--appendonly yes"),
    ] {
        match start(&[arg.into()], Path::new("/"), &mut std::io::empty()) {
            Ok(Invocation::Print(text)) => assert!(text.contains(word), "{text}"),
            other => panic!("{arg}: {other:?}"),
        }
    }
    let check = start(
        &["--check-system".into()],
        Path::new("/"),
        &mut std::io::empty(),
    );
    assert!(matches!(check, Ok(Invocation::CheckSystem)));
    for (program, line) in [
        (
            "/usr/bin/redis-server",
            "Redis server v=7.2.4 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0\n",
        ),
        (
            "./cairn-server",
            "Cairn server v=0.1.0 (Redis server v=7.2.4 ",
        ),
    ] {
        match start_as(
            program,
            &["-v".into()],
            Path::new("/"),
            &mut std::io::empty(),
        ) {
            Ok(Invocation::Print(text)) => assert!(text.starts_with(line), "{text}"),
            other => panic!("{program}: {other:?}"),
        }
    }
    let sentinel = start_as("redis-sentinel", &[], Path::new("/"), &mut std::io::empty());
    assert!(
        sentinel
            .unwrap_err()
            .to_string()
            .contains("no sentinel mode")
    );
    for (args, name) in [
        (&["--test-memory", "10"][..], "--test-memory"),
        (&["x.conf", "--sentinel"], "--sentinel"),
    ] {
        let error = run(args).unwrap_err().to_string();
        assert!(
            error.contains(&format!("'{name}' is not supported")),
            "{error}"
        );
    }
    let error = run(&["/nonexistent/redis.conf"]).unwrap_err().to_string();
    assert!(
        error.contains(
            "can't open config file '/nonexistent/redis.conf': No such file or directory"
        ),
        "{error}"
    );
}

/// The configuration that test suites start servers with.
#[test]
fn the_usual_configuration_of_test_suites_is_accepted() {
    let start = run_file(
        "always-show-logo yes\nnotify-keyspace-events KEA\ndaemonize no\npidfile /var/run/redis.pid\nport 6379\n\
         timeout 0\nbind 127.0.0.1\nloglevel verbose\nlogfile ''\ndatabases 16\nlatency-monitor-threshold 1\n\
         repl-diskless-sync-delay 0\nsave ''\nrdbcompression yes\ndbfilename dump.rdb\ndir ./\n\
         slave-serve-stale-data yes\nappendonly no\nappendfsync everysec\nno-appendfsync-on-rewrite no\n\
         activerehashing yes\nenable-protected-configs yes\nenable-debug-command yes\nenable-module-command yes\n\
         propagation-error-behavior panic\nshutdown-on-sigterm force\nunixsocket /tmp/socket\nkey-load-delay 500\n",
        &[],
    )
    .unwrap();
    assert_eq!(start.get(table::SAVE), []);
    assert_eq!(start.get(table::UNIXSOCKET), b"/tmp/socket");
    assert_eq!(start.get(table::KEY_LOAD_DELAY), 500);
}
