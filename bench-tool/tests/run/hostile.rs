//! Files and words of strangers, cut at each byte and with each byte changed: a value or an error, and no panic.

use bench_tool::{requests_of_file, requests_of_words, words_of_line};

const FILE: &str = "keys = 50\n[load]\nclients = 2\nrate = \"5,8\"\n[distribution.sizes]\nquantiles = [[0.0, 3], [1.0, 90]]\n\
                    [distribution.hot]\nranks = [[1, 0.3], [9, 1.0]]\n[[command]]\nrun = \"SET {key:@hot} {data:@sizes}\"\nweight = 9\n\
                    [[prefill]]\nrun = \"SET {key:seq} {data:4}\"\ncount = 5\n";
const WORDS: &str = "HSET user:{=id:int:zipf:1000:0.99} id {=id} \"a {field:10}\" {data:lognormal:20:0.5:100,compress=50} ; GET {{t}}{key:insert:100}";
const LINE: &str = "1700000000.123456 [0 [::1]:50412] \"SET\" \"key\" \"a\\x00b\"";

/// All texts that differ from this one by a cut or by one byte.
fn variants(text: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    let bytes = text.as_bytes();
    let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
    let changed = (0..bytes.len()).flat_map(move |at| {
        [b'{', b'}', b'"', b'9', b':', b'\n', 0, 0xff].map(|byte| {
            let mut other = bytes.to_vec();
            other[at] = byte;
            other
        })
    });
    cut.chain(changed)
}

#[test]
fn nothing_from_outside_is_believed() {
    assert!(!requests_of_file(FILE).unwrap().is_empty());
    assert!(!requests_of_words(WORDS).unwrap().is_empty());
    assert_eq!(words_of_line(LINE.as_bytes()).unwrap().unwrap().len(), 3);
    for text in variants(FILE) {
        if let Ok(text) = std::str::from_utf8(&text)
            && let Err((line, column, what)) = requests_of_file(text)
        {
            assert!(
                line > 0
                    && line <= text.matches('\n').count() + 1
                    && column > 0
                    && !what.is_empty(),
                "{text}"
            );
        }
    }
    for text in variants(WORDS) {
        if let Ok(text) = std::str::from_utf8(&text)
            && let Ok(requests) = requests_of_words(text)
        {
            assert!(
                requests
                    .iter()
                    .all(|(bytes, commands)| bytes.starts_with(b"*") && *commands > 0),
                "{text}"
            );
        }
    }
    for line in variants(LINE) {
        if let Ok(Some(words)) = words_of_line(&line) {
            assert!(!words.is_empty());
        }
    }
}
