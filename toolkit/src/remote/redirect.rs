//! Replies that send a request to another node of a cluster.

/// `MOVED 3999 host:port` or `ASK 3999 host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// For this once only: ASK.
    pub once: bool,
    /// The slot that it is about.
    pub slot: u16,
    /// Host of the node; empty for the one that was asked.
    pub host: String,
    /// Port of the node.
    pub port: u16,
}

impl Redirect {
    /// Reads an error, without its `-`; `None` if it says something else.
    pub fn of(line: &[u8]) -> Option<Redirect> {
        let text = std::str::from_utf8(line).ok()?;
        let mut words = text.trim_end().split(' ');
        let once = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words
            .next()?
            .parse()
            .ok()
            .filter(|slot| *slot < cairn_format::crc16::SLOTS)?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirect {
            once,
            slot,
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_nothing_else() {
        let moved = Redirect::of(b"MOVED 3999 ::1:6381").unwrap();
        assert_eq!(
            (moved.once, moved.slot, &*moved.host, moved.port),
            (false, 3999, "::1", 6381)
        );
        assert!(Redirect::of(b"ASK 1 h:1\r\n").unwrap().once);
        for other in [
            &b"MOVED 1"[..],
            b"MOVED 99999 h:1",
            b"+MOVED 1 h:1",
            b"ERR 1 h:1",
            b"\xff",
            b"MOVED 1 host:port",
            b"BUSYKEY Target key name already exists.",
        ] {
            assert_eq!(Redirect::of(other), None);
        }
    }
}
