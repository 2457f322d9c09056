//! A list in a document that a table of the server makes.

/// Compares what stands between two lines of `docs/NAME` with what it should be. With CAIRN_WRITE_DOCS=1 it is written there
/// instead.
pub fn assert_listed(name: &str, topic: &str, expected: &str) {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(&path).unwrap();
    let (start, end) = (
        format!("<!-- {topic}: begin -->\n"),
        format!("<!-- {topic}: end -->\n"),
    );
    let begin = document.find(&start).expect("the list's begin") + start.len();
    let end = document.find(&end).expect("the list's end");
    if std::env::var_os("CAIRN_WRITE_DOCS").is_some() {
        let new = [&document[..begin], expected, &document[end..]].concat();
        std::fs::write(path, new).unwrap();
        return;
    }
    assert_eq!(
        &document[begin..end],
        expected,
        "run this test with CAIRN_WRITE_DOCS=1 to bring the document up to date"
    );
}
