//! `redis://user:password@host:port/db`: where a server is, and as whom we come.

use super::sign::Sign;
use super::stream::Place;
use super::tls::Tls;
use crate::outcome::Failure;
use cairn_format::resp::reply::Protocol;
use std::fmt;

/// The port when none is named.
const PORT: u16 = 6379;
/// The variable that `redis-cli` takes a password from.
const PASSWORD: &str = "REDISCLI_AUTH";

/// Begins an address, and one of an encrypted connection.
const UNENCRYPTED: &str = "redis://";
const ENCRYPTED: &str = "rediss://";

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    place: Place,
    sign: Sign,
    tls: Option<Tls>,
    db: Option<u64>,
}

/// Without what is secret.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match &self.tls {
            Some(_) => ENCRYPTED,
            None => UNENCRYPTED,
        };
        write!(f, "{scheme}{}", self.place)?;
        self.db.map_or(Ok(()), |db| write!(f, "/{db}"))
    }
}

impl Address {
    /// Reads an address; `None` if `text` does not begin as one.
    pub fn parse(text: &str) -> Result<Option<Address>, Failure> {
        let (rest, tls) = match (text.strip_prefix(UNENCRYPTED), text.strip_prefix(ENCRYPTED)) {
            (Some(rest), _) => (rest, None),
            (_, Some(rest)) => {
                let (rest, query) = rest.rsplit_once('?').unwrap_or((rest, ""));
                let tls = Tls::parse(query).ok_or_else(|| {
                    Failure::new("expected an address as in rediss://host:6379/0?cacert=FILE")
                        .hint("behind the ? stand cacert, cert and key, sni and insecure=yes, with & between them")
                })?;
                (rest, Some(tls))
            }
            _ => return Ok(None),
        };
        Address::of(rest, tls).map(Some).ok_or_else(|| {
            Failure::new("expected an address as in redis://user:password@host:6379/0")
        })
    }

    fn of(rest: &str, tls: Option<Tls>) -> Option<Address> {
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
        let sign = Sign {
            user: some(decoded(user)?),
            password: some(decoded(password)?).or_else(|| std::env::var(PASSWORD).ok()),
            db: db.unwrap_or(0),
            protocol: Protocol::Resp2,
        };
        Some(Address {
            place: Place::Tcp(host.to_owned(), port),
            sign,
            tls,
            db,
        })
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is said first.
    pub fn sign(&self) -> &Sign {
        &self.sign
    }

    /// How the way there is encrypted, if it is.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The one database that is meant, if not all are.
    pub fn db(&self) -> Option<u64> {
        self.db
    }

    /// The same server of a cluster at another place.
    pub fn at(&self, host: &str, port: u16) -> Address {
        Address {
            place: Place::Tcp(host.to_owned(), port),
            ..self.clone()
        }
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
        assert_eq!(*full.place(), Place::Tcp("db.example".into(), 7000));
        assert_eq!(full.sign().user.as_deref(), Some("ann"));
        assert_eq!(full.sign().password.as_deref(), Some("p@ss:w"));
        assert_eq!(full.db(), Some(3));
        assert_eq!(full.to_string(), "redis://db.example:7000/3");
        assert!(!format!("{full:?}").contains("p@ss"));
        assert_eq!(
            *address("redis://").place(),
            Place::Tcp("localhost".into(), 6379)
        );
        assert_eq!(address("redis://:x@h/").sign().commands(), [["AUTH", "x"]]);
        assert_eq!(
            *address("redis://[::1]:7001").place(),
            Place::Tcp("::1".into(), 7001)
        );
        let encrypted = address("rediss://h/1?cacert=/ca.crt&insecure=yes");
        assert!(encrypted.tls().is_some());
        assert_eq!(encrypted.to_string(), "rediss://h:6379/1");
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
        for wrong in ["rediss://h?x=1", "rediss://h?cert=c", "rediss://h?insecure"] {
            let failure = Address::parse(wrong).unwrap_err();
            assert!(failure.line().unwrap().contains("?cacert=FILE"), "{wrong}");
        }
    }
}
