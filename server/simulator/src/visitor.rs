//! Somebody at the metrics port, among the clients: asks in pieces, reads slowly, sends nonsense, leaves in the middle.

use cairn_engine::base::random::Random;

use crate::host::World;
use crate::net::Plug;

/// The port, where it is on.
pub const PORT: u16 = 9121;

/// What is sent, and how each of its answers begins.
const ASKED: &[(&str, &[&str])] = &[
    ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", &["200 OK"]),
    (
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /metrics HTTP/1.0\r\n\r\n",
        &["200 OK", "200 OK"],
    ),
    (
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        &["200 OK", "404 Not Found"],
    ),
    ("GET / HTTP/1.1\n", &["400 Bad Request"]),
    ("PING\r\n", &["400 Bad Request"]),
    ("", &[]),
];

/// How each answer begins.
const HEAD: &[u8] = b"HTTP/1.1 ";
/// What may come in place of any answer; none of the others is longer.
const TIMEOUT: &str = "408 Request Timeout";

/// One visitor. When its connection ends it makes another.
#[derive(Default)]
pub struct Visitor {
    plug: Option<Plug>,
    out: Vec<u8>,
    /// What has come and is not judged.
    inbox: Vec<u8>,
    /// Answers judged.
    judged: usize,
    expected: &'static [&'static str],
}

impl Visitor {
    /// Does one of the things that visitors do.
    ///
    /// # Errors
    /// An answer that cannot be.
    pub fn act(&mut self, world: &World, random: &mut Random) -> Result<(), String> {
        let Some(plug) = &self.plug else {
            let (text, expected) = ASKED[random.index(ASKED.len())];
            self.plug = world.net.connect_to(PORT);
            (self.out, self.expected) = (text.as_bytes().to_vec(), expected);
            self.inbox.clear();
            self.judged = 0;
            return Ok(());
        };
        let count = random.index(self.out.len() + 1);
        plug.send(&self.out[..count]);
        self.out.drain(..count);
        plug.receive_into(&mut self.inbox, random.index(4000));
        match random.below(60) {
            0 => plug.reset(),
            1 => plug.half_close(),
            _ if !plug.is_over() => return self.judge(),
            _ => plug.receive_into(&mut self.inbox, usize::MAX),
        }
        self.judge()?;
        self.plug = None;
        Ok(())
    }

    /// Every answer so far is the one that was to come, or the word that time has run out. What was judged is forgotten.
    fn judge(&mut self) -> Result<(), String> {
        // The pages name no version, so each of these begins an answer.
        while let Some(at) = self.inbox.windows(HEAD.len()).position(|w| w == HEAD) {
            self.inbox.drain(..at);
            let status = &self.inbox[HEAD.len()..];
            let fits = |wanted: &str| {
                let count = wanted.len().min(status.len());
                status[..count] == wanted.as_bytes()[..count]
            };
            let wanted = self.expected.get(self.judged);
            if !wanted.is_some_and(|wanted| fits(wanted)) && !fits(TIMEOUT) {
                let text = self.inbox.escape_ascii();
                return Err(format!("the metrics port says {text}, not {wanted:?}"));
            }
            if status.len() < TIMEOUT.len() {
                // More of it is to come.
                return Ok(());
            }
            self.inbox.drain(..HEAD.len());
            self.judged += 1;
        }
        let rest = self.inbox.len().saturating_sub(HEAD.len() - 1);
        self.inbox.drain(..rest);
        Ok(())
    }
}
