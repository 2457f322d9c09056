//! Text in a file of the repository that a table of the server makes.

/// Compares what stands in a file with what it should be: between the two lines that name the topic, or the whole without one.
/// With CAIRN_WRITE_DOCS=1 it is written there instead.
pub fn assert_listed(name: &str, topic: Option<&str>, expected: &str) {
    let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = match topic {
        None => (0, document.len()),
        Some(topic) => {
            let start = format!("<!-- {topic}: begin -->\n");
            let begin = document.find(&start).expect("the list's begin") + start.len();
            let end = document.find(&format!("<!-- {topic}: end -->\n"));
            (begin, end.expect("the list's end"))
        }
    };
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
