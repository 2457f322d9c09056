//! Somebody who listens on the wire between a replica and its primary: what was asked for, and what was answered.

use crate::net::HostId;

/// The stream that a replica wants to go on with, and from where; none if it wants everything.
pub type Asked = Option<(Vec<u8>, u64)>;

/// A synchronization that a replica asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Who asked.
    pub replica: HostId,
    /// Who answered.
    pub primary: HostId,
    /// For what.
    pub asked: Asked,
    /// When the question had arrived, microseconds.
    pub asked_us: u64,
    /// A snapshot comes first.
    pub full: bool,
}

/// Longest part of a connection in which the answer to PSYNC must have come, bytes.
const LISTENED_MAX: usize = 4000;

/// Listens until it knows.
#[derive(Debug)]
pub struct Sniffer {
    replica: HostId,
    primary: HostId,
    /// What either end has said so far; none when all is known.
    said: Option<[Vec<u8>; 2]>,
    /// What was asked for, and when.
    asked: Option<(Asked, u64)>,
}

fn position(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|part| part == word)
}

impl Sniffer {
    /// Of a connection from one machine to another.
    pub fn new(replica: HostId, primary: HostId) -> Sniffer {
        Sniffer {
            replica,
            primary,
            said: Some(Default::default()),
            asked: None,
        }
    }

    /// Hears what an end says, 0 being who connected: there when it arrives, here when it leaves. Answers once, when all is known.
    pub fn take(&mut self, from: usize, bytes: &[u8], now_us: u64) -> Option<Synced> {
        let said = self.said.as_mut()?;
        said[from].extend_from_slice(bytes);
        let [question, answer] = said;
        if self.asked.is_none() {
            self.asked = asked(question).map(|asked| (asked, now_us));
        }
        let is_over = said_too_much(question, answer);
        let synced = self.asked.as_ref().zip(is_full(answer));
        let synced = synced.map(|((asked, asked_us), full)| Synced {
            replica: self.replica,
            primary: self.primary,
            asked: asked.clone(),
            asked_us: *asked_us,
            full,
        });
        if synced.is_some() || is_over {
            self.said = None;
        }
        synced
    }
}

fn said_too_much(question: &[u8], answer: &[u8]) -> bool {
    question.len().max(answer.len()) > LISTENED_MAX
}

/// What PSYNC asks for, once it is there whole; nothing if that is everything.
fn asked(question: &[u8]) -> Option<Asked> {
    let psync = &question[position(question, b"PSYNC\r\n")?..];
    let mut words = psync.split(|byte| *byte == b'\n').skip(1);
    // Each word has its length before it.
    let mut word = || words.nth(1)?.strip_suffix(b"\r");
    let (id, from) = (word()?.to_vec(), word()?);
    let from = std::str::from_utf8(from).ok()?.parse().ok();
    Some(from.filter(|_| id != b"?").map(|from| (id, from)))
}

fn is_full(answer: &[u8]) -> Option<bool> {
    match position(answer, b"+FULLRESYNC ") {
        Some(_) => Some(true),
        None => position(answer, b"+CONTINUE").map(|_| false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_answered_is_heard_in_any_pieces() {
        let ask = |id: &str, from: &str| {
            format!(
                "*1\r\n$4\r\nPING\r\n*3\r\n$5\r\nPSYNC\r\n${}\r\n{id}\r\n$2\r\n{from}\r\n",
                id.len()
            )
        };
        for (question, answer, asked, full) in [
            (
                ask("?", "-1"),
                "+PONG\r\n\n+FULLRESYNC abc 7\r\n",
                None,
                true,
            ),
            (
                ask("abc", "71"),
                "+CONTINUE abc\r\n*1",
                Some((b"abc".to_vec(), 71)),
                false,
            ),
        ] {
            let mut sniffer = Sniffer::new(2, 1);
            let mut heard = Vec::new();
            for byte in question.bytes() {
                heard.extend(sniffer.take(0, &[byte], 5));
            }
            for byte in answer.bytes() {
                heard.extend(sniffer.take(1, &[byte], 6));
            }
            let (replica, primary) = (2, 1);
            assert_eq!(
                heard,
                [Synced {
                    replica,
                    primary,
                    asked,
                    asked_us: 5,
                    full
                }]
            );
        }
    }
}
