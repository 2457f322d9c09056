//! Any bytes as configuration: values or an error, in time, and never a panic.

use std::path::Path;
use std::time::{Duration, Instant};

use cairn_server::config::directive::Directive;
use cairn_server::config::{Caller, Config, Invocation, start, table};
use proptest::prelude::*;

/// Words that lines and values are likely to be made of.
fn word() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<Vec<u8>> = table::all()
        .map(|directive| directive.name.as_bytes().to_vec())
        .chain(
            [
                "yes",
                "no",
                "1",
                "-1",
                "",
                "10%",
                "1gb",
                "\"",
                "'",
                "include",
                "user",
                "default",
                "--",
                "-",
                "{",
                "normal",
                "save",
                "99999999999999999999",
                "/",
                "*",
                "[",
                "auto",
                "a.b",
                "no one",
            ]
            .map(|word| word.into()),
        )
        .collect();
    prop_oneof![
        4 => prop::sample::select(names),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #[test]
    fn any_lines_give_values_or_an_error(lines in prop::collection::vec(prop::collection::vec(word(), 0..5), 0..6)) {
        let text: Vec<u8> = lines.iter().map(|words| words.join(&b' ')).collect::<Vec<_>>().join(&b'\n');
        match start(&[b"-".to_vec()], Path::new("/tmp"), &mut text.as_slice()) {
            Ok(Invocation::Run(first)) => {
                let again = first.rewritten(&text, false, &[]);
                // An included file would be read twice; it may set anything.
                if !text.to_ascii_lowercase().windows(7).any(|w| w == b"include") {
                    let Ok(Invocation::Run(second)) = start(&[b"-".to_vec()], Path::new("/tmp"), &mut again.as_slice()) else {
                        panic!("what was rewritten is refused: {}", String::from_utf8_lossy(&again));
                    };
                    prop_assert_eq!(first.matching(&[b"*"]), second.matching(&[b"*"]));
                }
            }
            Ok(Invocation::Print(text)) => prop_assert!(!text.is_empty()),
            Ok(Invocation::CheckSystem) => {}
            Err(error) => prop_assert!(error.to_string().contains("FATAL CONFIG FILE ERROR")),
        }
    }

    #[test]
    fn any_arguments_give_values_or_an_error(args in prop::collection::vec(word(), 0..7)) {
        let result = start(&args, Path::new("/nonexistent"), &mut std::io::empty());
        if let Err(error) = result {
            prop_assert!(error.to_string().contains("FATAL CONFIG FILE ERROR"));
        }
    }

    #[test]
    fn any_value_is_set_and_set_again_or_refused(name in word(), value in word()) {
        let caller = Caller { local: true, loading: false };
        let mut config = Config::new(Path::new("/"));
        if config.set_many(&[&name, &value], caller, &mut |_, _| Ok(())).is_ok() {
            let printed = config.matching(&[&name]);
            let generation = config.generation();
            config.set_many(&[&name, &printed[0].1], caller, &mut |_, _| Ok(())).unwrap();
            // The value of some names a file, which is read anew.
            let named = |directive: &&Directive| printed[0].0.eq_ignore_ascii_case(directive.name.as_bytes());
            let anew = table::all().find(named).is_some_and(Directive::is_read_anew);
            let expected = generation + u64::from(anew);
            prop_assert_eq!(config.generation(), expected, "{:?} changed by its own value", name);
        }
    }
}

#[test]
fn long_files_take_linear_time() {
    let text = "save 1 1\n# x\ninclude /nonexistent/*.conf\n".repeat(50_000);
    let begin = Instant::now();
    let result = start(&[b"-".to_vec()], Path::new("/"), &mut text.as_bytes()).unwrap();
    let Invocation::Run(start) = result else {
        panic!("it was asked to run")
    };
    assert_eq!(start.get(table::SAVE).len(), 50_000);
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}
