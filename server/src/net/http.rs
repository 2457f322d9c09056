//! HTTP/1.1 as the metrics port speaks it: requests without a body, read strictly, and answers.
//!
//! ```text
//! GET /metrics HTTP/1.1 CR LF        method, target, version, one blank between them
//! Host: 127.0.0.1:9121 CR LF         fields; exactly one Host in 1.1
//! CR LF
//! ```
//!
//! What is read of a head depends only on the bytes up to there: a beginning is incomplete, or it is judged as the whole is.

use std::io::Write;

/// Longest head of a request, bytes.
pub const HEAD_MAX: usize = 8192;

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Here it is.
    Ok,
    /// This is no request.
    BadRequest,
    /// Nothing has this name.
    NotFound,
    /// Only reading is possible.
    MethodNotAllowed,
    /// The request did not come in time.
    Timeout,
    /// The head is longer than [`HEAD_MAX`].
    HeadTooLarge,
    /// Not now.
    Unavailable,
    /// Not HTTP/1.0 or 1.1.
    VersionNotSupported,
}

impl Status {
    /// Code and words, as the status line has them.
    pub fn words(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::Timeout => "408 Request Timeout",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
            Status::Unavailable => "503 Service Unavailable",
            Status::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is asked for, without what follows a `?`.
    pub path: &'a str,
    /// The answer goes without its body.
    pub is_head: bool,
    /// The connection stays for a next one.
    pub keep_alive: bool,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A beginning.
    Incomplete,
    /// A request, and where it ends.
    Request(Request<'a>, usize),
    /// Nothing that can be answered otherwise; nothing behind it is read.
    Refused(Status),
}

/// Reads the request at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Step<'_> {
    let head = &bytes[..bytes.len().min(HEAD_MAX)];
    match read_head(head) {
        Err(status) => Step::Refused(status),
        Ok(Some((request, end))) => {
            debug_assert!(head[..end].ends_with(b"\r\n\r\n") && request.path.starts_with('/'));
            Step::Request(request, end)
        }
        Ok(None) if bytes.len() >= HEAD_MAX => Step::Refused(Status::HeadTooLarge),
        Ok(None) => Step::Incomplete,
    }
}

fn read_head(head: &[u8]) -> Result<Option<(Request<'_>, usize)>, Status> {
    let Some((first, mut at)) = line(head, 0)? else {
        return Ok(None);
    };
    let (mut request, is_newer) = request_line(first)?;
    let mut hosts = 0;
    while let Some((text, next)) = line(head, at)? {
        at = next;
        if text.is_empty() {
            // A server that forwards could be told two things by two of them, or none.
            return match is_newer && hosts != 1 {
                true => Err(Status::BadRequest),
                false => Ok(Some((request, at))),
            };
        }
        field(text, &mut request, &mut hosts)?;
    }
    Ok(None)
}

/// The line at `at` without its end, and where the next begins; none while its end has not come.
fn line(head: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Status> {
    let rest = &head[at..];
    // TAB is allowed, other control bytes are not: who sends them speaks another protocol.
    let end = rest
        .iter()
        .position(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f);
    match end.map(|end| (end, &rest[end..])) {
        Some((end, [b'\r', b'\n', ..])) => Ok(Some((&rest[..end], at + end + 2))),
        None | Some((_, [b'\r'])) => Ok(None),
        Some(_) => Err(Status::BadRequest),
    }
}

/// The first line, and whether it is of HTTP/1.1.
fn request_line(text: &[u8]) -> Result<(Request<'_>, bool), Status> {
    let text = std::str::from_utf8(text).map_err(|_| Status::BadRequest)?;
    let mut words = text.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Status::BadRequest);
    };
    let is_newer = match version.strip_prefix("HTTP/") {
        Some("1.1") => true,
        Some("1.0") => false,
        Some(other) if is_version(other) => return Err(Status::VersionNotSupported),
        _ => return Err(Status::BadRequest),
    };
    let is_token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_token || !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Status::BadRequest);
    }
    let is_head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Status::MethodNotAllowed),
    };
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let request = Request {
        path,
        is_head,
        keep_alive: is_newer,
    };
    Ok((request, is_newer))
}

/// `2.0` and the like.
fn is_version(text: &str) -> bool {
    matches!(text.as_bytes(), [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// One field of the head.
fn field(text: &[u8], request: &mut Request, hosts: &mut u32) -> Result<(), Status> {
    let colon = text.iter().position(|byte| *byte == b':');
    let (name, value) = text.split_at(colon.ok_or(Status::BadRequest)?);
    // No name, a blank in or behind it, a line that goes on with the field before: all ways to be read in two ways.
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(is_token) {
        return Err(Status::BadRequest);
    }
    let value = value[1..].trim_ascii();
    if name.eq_ignore_ascii_case(b"host") {
        *hosts += 1;
    } else if name.eq_ignore_ascii_case(b"connection") {
        let closes = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(b"close");
        request.keep_alive &= !value.split(|byte| *byte == b',').any(closes);
    } else if name.eq_ignore_ascii_case(b"transfer-encoding")
        || (name.eq_ignore_ascii_case(b"content-length") && value != b"0")
    {
        // Nothing here takes a body.
        return Err(Status::BadRequest);
    }
    Ok(())
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// How it went.
    pub status: Status,
    /// Media type of the body.
    pub content_type: &'static str,
    /// What was asked for.
    pub body: String,
}

impl Answer {
    /// A line of text.
    pub fn text(status: Status, line: &str) -> Answer {
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{line}\n"),
        }
    }

    /// The words of a status alone.
    pub fn refusal(status: Status) -> Answer {
        Answer::text(status, status.words())
    }

    /// Appends the answer as it travels.
    pub fn write(&self, is_head: bool, keep_alive: bool, out: &mut Vec<u8>) {
        debug_assert!(
            !self.content_type.contains(['\r', '\n']),
            "a field would end early"
        );
        let allow = match self.status {
            Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let connection = match keep_alive {
            true => "",
            false => "Connection: close\r\n",
        };
        // Writing into a vector cannot fail.
        let _ = write!(
            out,
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}{connection}\r\n",
            self.status.words(),
            self.content_type,
            self.body.len()
        );
        if !is_head {
            out.extend_from_slice(self.body.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> Status {
        match read(bytes) {
            Step::Refused(status) => status,
            other => panic!("{}: {other:?}", bytes.escape_ascii()),
        }
    }

    #[test]
    fn a_request_is_its_head() {
        let bytes = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a:1\r\nAccept:\t*/* \r\n\r\nGET ";
        let request = Request {
            path: "/metrics",
            is_head: false,
            keep_alive: true,
        };
        assert_eq!(read(bytes), Step::Request(request, bytes.len() - 4));
        let old = Request {
            path: "/",
            is_head: true,
            keep_alive: false,
        };
        assert_eq!(read(b"HEAD / HTTP/1.0\r\n\r\n"), Step::Request(old, 19));
        for (value, keep_alive) in [
            ("close", false),
            ("x, Close", false),
            ("keep-alive", true),
            ("closed", true),
        ] {
            let text = format!("GET / HTTP/1.1\r\nhost:\r\nCONNECTION: {value}\r\n\r\n");
            let Step::Request(request, _) = read(text.as_bytes()) else {
                panic!("{text}");
            };
            assert_eq!(request.keep_alive, keep_alive, "{value}");
        }
        let none = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(read(none), Step::Request(..)));
    }

    #[test]
    fn a_beginning_waits() {
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Step::Incomplete, "{end}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let bad = [
            "PING\r\n",
            "\r\n",
            "*1\r\n$4\r\nPING\r\n",
            "get / HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET /\r\n",
            "GET x HTTP/1.1\r\n",
            "GET http://a/ HTTP/1.1\r\n",
            "GET / HTTP/1\r\n",
            "GET / http/1.1\r\n",
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1\rx",
            "GET /\0 HTTP/1.1",
            "\x16\x03\x01",
            "GET /\u{e9} HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n",
            "GET / HTTP/1.1\r\n: a\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n",
            "GET / HTTP/1.1\r\nHost\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 00\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        ];
        for text in bad {
            assert_eq!(refused(text.as_bytes()), Status::BadRequest, "{text:?}");
        }
        assert_eq!(refused(b"GET /\xff HTTP/1.1\r\n"), Status::BadRequest);
        assert_eq!(refused(b"POST / HTTP/1.1\r\n"), Status::MethodNotAllowed);
        let newer = refused(b"PRI * HTTP/2.0\r\n");
        assert_eq!(newer, Status::VersionNotSupported);
    }

    #[test]
    fn a_head_has_a_largest_size() {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        head.resize(HEAD_MAX - 4, b'x');
        assert_eq!(read(&head), Step::Incomplete);
        let mut whole = head.clone();
        whole.extend(b"\r\n\r\n");
        assert!(matches!(read(&whole), Step::Request(_, HEAD_MAX)));
        head.extend(b"x\r\n\r\n");
        assert_eq!(refused(&head), Status::HeadTooLarge);
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = Answer::text(Status::Ok, "fine");
        let mut out = Vec::new();
        answer.write(false, true, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nfine\n"
        );
        let mut out = Vec::new();
        Answer::refusal(Status::MethodNotAllowed).write(true, false, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.ends_with("Allow: GET, HEAD\r\nConnection: close\r\n\r\n"),
            "{text}"
        );
    }
}
