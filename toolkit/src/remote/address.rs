//! `redis://user:password@host:port/db`: where a server is, and as whom we come.

use crate::outcome::Failure;
use std::fmt;

/// The port when none is named.
const PORT: u16 = 6379;
/// The variable that `redis-cli` takes a password from.
const PASSWORD: &str = "REDISCLI_AUTH";

/// The address of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<String>,
    db: Option<u64>,
}

/// Passwords are for nobody's eyes.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "redis://[{}]:{}", self.host, self.port)?,
            false => write!(f, "redis://{}:{}", self.host, self.port)?,
        }
        self.db.map_or(Ok(()), |db| write!(f, "/{db}"))
    }
}

impl Address {
    /// Reads an address; `None` if `text` does not begin as one.
    pub fn parse(text: &str) -> Result<Option<Address>, Failure> {
        if text.starts_with("rediss://") {
            return Err(
                Failure::new("rediss:// is not supported: there is no TLS in the tools")
                    .hint("a tunnel does it, for instance `stunnel` or `ssh -L 6379:localhost:6379 host` and redis://localhost"),
            );
        }
        let Some(rest) = text.strip_prefix("redis://") else {
            return Ok(None);
        };
        Address::of(rest).map(Some).ok_or_else(|| {
            Failure::new("expected an address as in redis://user:password@host:6379/0")
        })
    }

    fn of(rest: &str) -> Option<Address> {
        let (sign, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (place, db) = match place.split_once('/') {
            None | Some((_, "")) => (place.trim_end_matches('/'), None),
            Some((place, db)) => (place, Some(db.parse().ok()?)),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match place.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
        let host = if host.is_empty() { "localhost" } else { host };
        let (user, password) = match sign.split_once(':') {
            Some((user, password)) => (user, password),
            // One word before the @ is a user whose password is elsewhere.
            None => (sign, ""),
        };
        Some(Address {
            host: host.to_owned(),
            port,
            user: some(decoded(user)?),
            password: some(decoded(password)?).or_else(|| std::env::var(PASSWORD).ok()),
            db,
        })
    }

    /// Host and port.
    pub(super) fn place(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The words of AUTH, if there is a password.
    pub(super) fn sign(&self) -> Option<Vec<&str>> {
        let password = self.password.as_deref()?;
        Some(match &self.user {
            Some(user) => vec!["AUTH", user, password],
            None => vec!["AUTH", password],
        })
    }

    /// The one database that is meant, if not all are.
    pub(super) fn db(&self) -> Option<u64> {
        self.db
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// `%40` is an `@`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &behind[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap().unwrap()
    }

    #[test]
    fn all_parts_are_read_and_the_password_is_not_shown() {
        let full = address("redis://ann:p%40ss:w@db.example:7000/3");
        assert_eq!(full.place(), ("db.example", 7000));
        assert_eq!(full.sign(), Some(vec!["AUTH", "ann", "p@ss:w"]));
        assert_eq!(full.db(), Some(3));
        assert_eq!(full.to_string(), "redis://db.example:7000/3");
        assert!(!format!("{full:?}").contains("p@ss"));
        assert_eq!(address("redis://").place(), ("localhost", 6379));
        assert_eq!(address("redis://:x@h/").sign(), Some(vec!["AUTH", "x"]));
        assert_eq!(address("redis://[::1]:7001").place(), ("::1", 7001));
        assert_eq!(
            address("redis://[::1]:7001").to_string(),
            "redis://[::1]:7001"
        );
    }

    #[test]
    fn what_is_none_is_a_file_or_refused() {
        assert_eq!(Address::parse("dump.rdb").unwrap(), None);
        for wrong in [
            "redis://h:port",
            "redis://h/x",
            "redis://u:%zz@h",
            "redis://[::1",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        let failure = Address::parse("rediss://h").unwrap_err();
        assert!(failure.line().unwrap().contains("no TLS"), "{failure:?}");
    }
}
