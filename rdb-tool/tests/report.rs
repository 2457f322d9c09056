//! The page of `report`, looked at in a browser: Chromium without a window, which `scripts/setup` installs.

#[path = "../../toolkit/tests/support/browser.rs"]
mod browser;
mod common;

use browser::browse;
use common::{code, golden, run, stderr};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn report(words: &[&str], file: &Path, folder: &Path) -> PathBuf {
    let page = folder.join("report.html");
    let output = run(&[
        &["report", "--force", "-o", page.to_str().unwrap()],
        words,
        &[file.to_str().unwrap()],
    ]
    .concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    page
}

fn json(words: &[&str], file: &Path) -> Value {
    let output = run(&[words, &["--json", file.to_str().unwrap()]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The element with an id, to its end.
fn part<'d>(dom: &'d str, id: &str, end: &str) -> &'d str {
    let from = dom
        .find(&format!("id=\"{id}\""))
        .unwrap_or_else(|| panic!("no {id}"));
    let len = dom[from..].find(end).unwrap();
    &dom[from..from + len]
}

/// The values of `data-NAME` in a piece of the page, in order.
fn data(dom: &str, name: &str) -> Vec<String> {
    let begin = format!("data-{name}=\"");
    let pieces = dom.split(&begin).skip(1);
    pieces
        .map(|piece| piece.split('"').next().unwrap().to_owned())
        .collect()
}

fn numbers(dom: &str, name: &str) -> Vec<u64> {
    data(dom, name)
        .iter()
        .map(|number| number.parse().unwrap())
        .collect()
}

#[test]
fn the_numbers_in_the_browser_are_those_of_the_other_commands() {
    let file = golden("redis-5.0.14/all.rdb");
    let folder = tempfile::tempdir().unwrap();
    let page = report(
        &["--for", "valkey-9.1", "--top", "50"],
        &file,
        folder.path(),
    );
    let seen = browse(&page, &["--dump-dom"]);
    assert!(seen.complaints().is_empty(), "{:?}", seen.complaints());
    let dom = &seen.dom;
    let memory = json(
        &[
            "memory",
            "--for",
            "valkey-9.1",
            "--prefix",
            ":",
            "--top",
            "50",
        ],
        &file,
    );
    let inspected = json(&["inspect", "--top", "50"], &file);
    let fact = |id: &str| numbers(part(dom, id, "</div>"), "value")[0];
    assert_eq!(inspected["keys"], fact("keys"));
    assert_eq!(inspected["bytes"], fact("bytes"));
    assert_eq!(memory["bytes"], fact("memory"));
    assert_eq!(memory["used_memory"], fact("used-memory"));
    for list in ["expiry", "sizes", "lengths"] {
        let table = part(dom, list, "</table>");
        let bins = inspected[list]
            .as_array()
            .unwrap()
            .iter()
            .filter(|bin| bin["keys"] != 0);
        let expected: Vec<(u64, u64)> = bins
            .map(|bin| {
                (
                    bin["keys"].as_u64().unwrap(),
                    bin["bytes"].as_u64().unwrap(),
                )
            })
            .collect();
        let shown: Vec<(u64, u64)> = numbers(table, "keys")
            .into_iter()
            .zip(numbers(table, "bytes"))
            .collect();
        assert_eq!(shown, expected, "{list}");
    }
    let bytes = |list: &Value, field: &str| -> Vec<u64> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|part| part[field].as_u64().unwrap())
            .collect()
    };
    assert_eq!(
        numbers(part(dom, "largest-memory", "</table>"), "value"),
        bytes(&memory["largest"], "bytes")
    );
    assert_eq!(
        numbers(part(dom, "most-elements", "</table>"), "value"),
        bytes(&inspected["most_elements"], "elements")
    );
    assert_eq!(
        numbers(part(dom, "largest-element", "</table>"), "value"),
        bytes(&inspected["largest_element"], "element_bytes")
    );
    for picture in ["prefix-map", "prefix-flame"] {
        let svg = part(dom, picture, "</svg>");
        let shown: Vec<(String, u64)> = data(svg, "what")
            .into_iter()
            .zip(numbers(svg, "bytes"))
            .collect();
        for prefix in memory["prefixes"]["listed"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|prefix| prefix["depth"] == 1)
        {
            // Others are quoted, which is tested elsewhere.
            let text = prefix["prefix"].as_str().unwrap_or_default();
            if !text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b':')
            {
                continue;
            }
            let name = format!("&quot;{text}&quot;");
            let found = shown
                .iter()
                .find(|(what, _)| *what == name)
                .unwrap_or_else(|| panic!("{picture} has no {name}"));
            assert_eq!(prefix["bytes"], found.1);
        }
    }
    let types = part(dom, "type-map", "</svg>");
    let shown: Vec<(String, u64)> = data(types, "what")
        .into_iter()
        .zip(numbers(types, "bytes"))
        .collect();
    for encoding in memory["encodings"].as_array().unwrap() {
        let name = format!(
            "{} as {}",
            encoding["type"].as_str().unwrap(),
            encoding["encoding"].as_str().unwrap()
        );
        let found = shown.iter().find(|(what, _)| *what == name);
        if let Some((_, bytes)) = found {
            assert_eq!(encoding["bytes"], *bytes, "{name}");
        }
    }
    assert!(shown.len() > 8, "{shown:?}");
}

#[test]
fn a_picture_of_the_page_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let page = report(&[], &golden("redis-7.2.4/all.rdb"), folder.path());
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.png");
    let _ = fs::remove_file(&picture);
    browse(&page, &[&format!("--screenshot={}", picture.display())]);
    let bytes = fs::read(&picture).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "it is a picture");
    let [width, height] =
        [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
    assert_eq!((width, height), (1280, 3400));
    // A page with nothing on it compresses to a tenth of that.
    assert!(bytes.len() > 100_000, "{} bytes", bytes.len());
}

#[test]
fn nothing_of_the_data_becomes_a_part_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.rdb");
    let mut bytes = b"REDIS0009\xfe\x00".to_vec();
    for key in [
        "<script>console.error(1)</script>:",
        "\"><img src=http://localhost/x onerror=console.error(2)>:a:b",
        "&lt;:x",
    ] {
        bytes.extend_from_slice(&[0, key.len() as u8]);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(b"\x01v");
    }
    bytes.extend_from_slice(b"\xff\0\0\0\0\0\0\0\0");
    fs::write(&file, bytes).unwrap();
    let page = report(&[], &file, folder.path());
    let text = fs::read_to_string(&page).unwrap();
    for word in [
        "<script",
        "<img",
        "<link rel=\"stylesheet",
        "src=\"",
        "url(",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    let seen = browse(&page, &["--dump-dom"]);
    assert!(seen.complaints().is_empty(), "{:?}", seen.complaints());
    assert!(
        seen.dom
            .contains("&lt;script&gt;console.error(1)&lt;/script&gt;:")
    );
    // The log would have it.
    let control = folder.path().join("control.html");
    fs::write(&control, "<script>console.error(1)</script>").unwrap();
    assert_eq!(browse(&control, &["--dump-dom"]).complaints().len(), 1);
}

#[test]
fn a_page_that_is_there_is_kept_and_an_empty_file_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = golden("redis-7.2.4/empty.rdb");
    let page = report(&[], &file, folder.path());
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("id=\"keys\" data-value=\"0\""), "{text}");
    let output = run(&[
        "report",
        "-o",
        page.to_str().unwrap(),
        file.to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("is there already"),
        "{}",
        stderr(&output)
    );
}
