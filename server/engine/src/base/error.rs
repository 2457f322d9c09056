//! Error replies: the texts of Redis 7.2, the first word above all, because clients match on it.

use std::borrow::Cow;

/// An error reply without its leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub Cow<'static, str>);

/// What a handler returns; a reply was written if it is `Ok`.
pub type Outcome = Result<(), Error>;

impl Error {
    /// A constant text.
    pub const fn new(text: &'static str) -> Error {
        Error(Cow::Borrowed(text))
    }

    /// A text made on the spot; line breaks become blanks and those around it go, as Redis does.
    pub fn text(text: impl Into<String>) -> Error {
        let text: String = text.into();
        Error(Cow::Owned(if text.contains(['\r', '\n']) {
            let breaks = ['\r', '\n'];
            text.trim_matches(breaks).replace(breaks, " ")
        } else {
            text
        }))
    }

    /// The bytes of the reply: the text, with what [`lossless`] hid in it.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        if !self.0.contains(|c| c >= HIDDEN) {
            return Cow::Borrowed(self.0.as_bytes());
        }
        let mut bytes = Vec::with_capacity(self.0.len());
        for c in self.0.chars() {
            match u32::from(c).checked_sub(u32::from(HIDDEN)) {
                Some(byte) => bytes.push(byte as u8),
                None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Cow::Owned(bytes)
    }

    /// The first word, by which errorstats counts; what has no second word counts as `ERR`, as in Redis.
    pub fn prefix(&self) -> &str {
        self.0.split_once(' ').map_or("ERR", |(word, _)| word)
    }
}

#[allow(missing_docs)]
mod texts {
    use crate::base::error::Error;
    pub const WRONG_TYPE: Error =
        Error::new("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub const SYNTAX: Error = Error::new("ERR syntax error");
    pub const NOT_INTEGER: Error = Error::new("ERR value is not an integer or out of range");
    pub const NOT_FLOAT: Error = Error::new("ERR value is not a valid float");
    pub const OUT_OF_RANGE: Error = Error::new("ERR value is out of range");
    pub const MUST_BE_POSITIVE: Error = Error::new("ERR value is out of range, must be positive");
    pub const NO_SUCH_KEY: Error = Error::new("ERR no such key");
    pub const INDEX_OUT_OF_RANGE: Error = Error::new("ERR index out of range");
    pub const OVERFLOW: Error = Error::new("ERR increment or decrement would overflow");
    pub const STRING_TOO_LONG: Error =
        Error::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    pub const NO_MEMORY: Error = Error::new("ERR Insufficient memory for a string of this length");
    pub const NO_AUTH: Error = Error::new("NOAUTH Authentication required.");
    pub const OUT_OF_MEMORY: Error =
        Error::new("OOM command not allowed when used memory > 'maxmemory'.");
    pub const NO_REPLICAS: Error = Error::new("NOREPLICAS Not enough good replicas to write.");
    pub const READ_ONLY: Error =
        Error::new("READONLY You can't write against a read only replica.");
    pub const MASTER_DOWN: Error = Error::new(
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    );
    pub const LOADING: Error = Error::new("LOADING Redis is loading the dataset in memory");
    pub const EXEC_ABORT: Error =
        Error::new("EXECABORT Transaction discarded because of previous errors.");
    pub const DB_INDEX: Error = Error::new("ERR DB index is out of range");
    pub const NO_CLUSTER: Error = Error::new("ERR This instance has cluster support disabled");
}
pub use texts::*;

/// The first of the 256 highest code points, which stand for bytes that are no text.
const HIDDEN: char = '\u{10ff00}';

/// What a client sent, to be shown in an error: bytes that are no UTF-8 are hidden in code points that nobody uses, so
/// that [`Error::bytes`] finds them again and the client reads exactly what it wrote, as from Redis.
pub fn lossless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let hide = |c: char| if c >= HIDDEN { '\u{fffd}' } else { c };
        text.extend(chunk.valid().chars().map(hide));
        let hidden = |byte: &u8| char::from_u32(u32::from(HIDDEN) + u32::from(*byte));
        text.extend(chunk.invalid().iter().filter_map(hidden));
    }
    text
}

/// `ERR wrong number of arguments for 'x' command`; `x` may be `config|get`.
pub fn wrong_arity(name: &str) -> Error {
    Error::text(format!(
        "ERR wrong number of arguments for '{name}' command"
    ))
}

/// `ERR invalid expire time in 'x' command`.
pub fn invalid_expire(name: &str) -> Error {
    Error::text(format!("ERR invalid expire time in '{name}' command"))
}

/// The error for a subcommand that a container does not have.
pub fn unknown_subcommand(container: &str, sub: &[u8]) -> Error {
    let sub = lossless(&sub[..sub.len().min(128)]);
    Error::text(format!(
        "ERR unknown subcommand '{sub}'. Try {} HELP.",
        container.to_ascii_uppercase()
    ))
}

/// The error for options that a subcommand does not have, with the word of the client as C's `%.128s` shows it.
pub fn bad_subcommand(container: &str, sub: &[u8]) -> Error {
    let sub = &sub[..sub.len().min(128)];
    let sub = lossless(sub.split(|b| *b == 0).next().unwrap_or_default());
    Error::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wrote_comes_back_as_it_was() {
        let sent = b"caf\xc3\xa9 \xff\xfe\x80";
        let error = Error::text(format!("ERR {}", lossless(sent)));
        assert_eq!(error.bytes().as_ref(), [b"ERR ".as_slice(), sent].concat());
        assert_eq!(error.prefix(), "ERR");
    }
}
