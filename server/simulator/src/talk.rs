//! One connection of a client: words out, answers in.

use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};

use crate::net::{Net, Plug};

/// A connection.
pub struct Talk {
    plug: Plug,
    inbox: Vec<u8>,
    scanner: ReplyScanner,
}

impl Talk {
    /// Connects; none while nobody listens.
    pub fn new(net: &Net) -> Option<Talk> {
        let plug = net.connect()?;
        plug.widen();
        Some(Talk {
            plug,
            inbox: Vec::new(),
            scanner: ReplyScanner::new(),
        })
    }

    /// Sends a request.
    pub fn ask(&self, words: &[&str]) {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        self.plug.send(&bytes);
    }

    /// What was answered since.
    ///
    /// # Errors
    /// No answer of the protocol.
    pub fn answers(&mut self) -> Result<Vec<Value>, String> {
        self.plug.receive_into(&mut self.inbox, usize::MAX);
        let (mut judged, mut answers) = (0, Vec::new());
        while let ReplyStep::Complete { end } = self
            .scanner
            .next(&self.inbox, judged)
            .map_err(|e| e.to_string())?
        {
            let (value, _) = Value::decode(&self.inbox[judged..]).map_err(|e| e.to_string())?;
            answers.push(value);
            judged = end;
        }
        self.inbox.drain(..judged);
        Ok(answers)
    }

    /// The server has hung up, and all was read.
    pub fn is_over(&self) -> bool {
        self.plug.is_over()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.plug.reset();
    }
}
