//! Heads of HTTP requests, as the metrics port reads them.

use cairn_server::net::http::{HEAD_MAX, Step, read};

/// A beginning waits or is judged as the whole is; a request lies within the bytes, and the same bytes alone are that request.
pub fn run(bytes: &[u8]) {
    let whole = read(bytes);
    match whole {
        Step::Incomplete => assert!(bytes.len() < HEAD_MAX, "a head without an end"),
        Step::Request(request, end) => {
            assert!(end <= bytes.len() && end <= HEAD_MAX && bytes[..end].ends_with(b"\r\n\r\n"));
            assert!(request.path.starts_with('/') && request.path.is_ascii());
            assert_eq!(read(&bytes[..end]), whole);
        }
        Step::Refused(_) => {}
    }
    let step = (bytes.len() / 256).max(1);
    for end in (0..bytes.len()).step_by(step) {
        let part = read(&bytes[..end]);
        assert!(
            part == Step::Incomplete || part == whole,
            "{end}: {part:?}, {whole:?}"
        );
    }
}
