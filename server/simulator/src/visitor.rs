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

/// One visitor. When its connection ends it makes another.
#[derive(Default)]
pub struct Visitor {
    plug: Option<Plug>,
    out: Vec<u8>,
    inbox: Vec<u8>,
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
            return Ok(());
        };
        let count = random.index(self.out.len() + 1);
        plug.send(&self.out[..count]);
        self.out.drain(..count);
        self.inbox.extend(plug.receive(random.index(4000)));
        match random.below(60) {
            0 => plug.reset(),
            1 => plug.half_close(),
            _ if !plug.is_over() => return self.judge(),
            _ => self.inbox.extend(plug.receive(usize::MAX)),
        }
        self.judge()?;
        self.plug = None;
        Ok(())
    }

    /// Every answer so far is the one that was to come, or the word that time has run out.
    fn judge(&self) -> Result<(), String> {
        let text = String::from_utf8_lossy(&self.inbox);
        let heads = text.match_indices("HTTP/1.1 ");
        // The pages name no version, so each of these begins an answer.
        for (number, (at, _)) in heads.enumerate() {
            let status = &text[at + "HTTP/1.1 ".len()..];
            let fits = |wanted: &str| status.starts_with(wanted) || wanted.starts_with(status);
            let wanted = self.expected.get(number);
            if !wanted.is_some_and(|wanted| fits(wanted)) && !fits("408 Request Timeout") {
                return Err(format!("the metrics port says {text}, not {wanted:?}"));
            }
        }
        Ok(())
    }
}
