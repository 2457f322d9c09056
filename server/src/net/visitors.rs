//! Who asks at the metrics port: few connections with little memory each, apart from the clients.
//!
//! ```text
//!   accepted ──bytes──> asking ──a whole head──> answered ──sent──> idle ──bytes──> asking ...
//!       └───────────────── too slow, garbage, its side closed: what is to be said is sent, then the end
//! ```
//!
//! One request is answered a turn, so that no number of visitors keeps the clients waiting for longer than one answer takes.

use std::io::{self, Read, Write};

use mio::{Interest, Registry, Token};

use super::http::{self, Answer, HEAD_MAX, Status, Step};
use super::{Accepting, FIRST_BUS_LISTENER, FIRST_VISITOR, Listeners};
use crate::host::{Readiness, Stream};

/// Connections at the same time; who comes beyond waits in the system's queue.
const VISITORS_MAX: usize = 32;
const _: () = assert!(VISITORS_MAX <= FIRST_BUS_LISTENER - FIRST_VISITOR);
/// A head must be whole after so long, milliseconds.
const ASK_MS: u64 = 5_000;
/// An answer must be taken after so long, milliseconds.
const TAKE_MS: u64 = 10_000;
/// Between two requests, milliseconds.
const IDLE_MS: u64 = 75_000;
/// While all places are taken, who has not asked for so long makes room, milliseconds.
const CROWDED_MS: u64 = 1_000;
/// Bytes behind a refused request that are read away, so that the refusal arrives.
const DISCARD_MAX: usize = 64 * 1024;

#[derive(Debug)]
struct Visitor {
    stream: Stream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that have left.
    sent: usize,
    /// Begin of its request, of its answer or of its idle time, milliseconds.
    since_ms: u64,
    /// At least one answer has left whole.
    is_known: bool,
    /// It ends when its output has left.
    ends: bool,
    /// The poll said that there may be something to do.
    is_ready: bool,
}

/// What a visitor asks.
#[derive(Debug)]
pub struct Question {
    place: usize,
    /// What is asked for.
    pub path: String,
    is_head: bool,
    keep_alive: bool,
}

/// What became of a visit.
enum Visit {
    Waits,
    Asks(Question),
    Over,
}

impl Visitor {
    fn new(stream: Stream, now_ms: u64) -> Visitor {
        Visitor {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            since_ms: now_ms,
            is_known: false,
            ends: false,
            is_ready: true,
        }
    }

    fn is_idle(&self) -> bool {
        self.is_known && self.input.is_empty() && self.output.is_empty()
    }

    fn limit_ms(&self) -> u64 {
        match (self.output.is_empty(), self.is_idle()) {
            (false, _) => TAKE_MS,
            (true, true) => IDLE_MS,
            (true, false) => ASK_MS,
        }
    }

    /// Sends and reads as far as it goes without waiting. An error is the end of the connection.
    fn visit(&mut self, place: usize, now_ms: u64) -> io::Result<Visit> {
        if !self.send(now_ms)? {
            return Ok(Visit::Waits);
        }
        if self.ends {
            return Ok(Visit::Over);
        }
        let was_idle = self.is_idle();
        let is_over = self.receive()?;
        if was_idle && !self.input.is_empty() {
            self.since_ms = now_ms;
        }
        match http::read(&self.input) {
            Step::Incomplete if is_over => Ok(Visit::Over),
            Step::Incomplete => Ok(Visit::Waits),
            Step::Refused(status) => {
                self.discard()?;
                self.refuse(status, now_ms)
            }
            Step::Request(request, end) => {
                debug_assert!(end <= self.input.len(), "a head that is not there");
                let question = Question {
                    place,
                    path: request.path.to_owned(),
                    is_head: request.is_head,
                    keep_alive: request.keep_alive,
                };
                self.input.drain(..end);
                Ok(Visit::Asks(question))
            }
        }
    }

    fn refuse(&mut self, status: Status, now_ms: u64) -> io::Result<Visit> {
        debug_assert!(self.output.is_empty(), "one answer after the other");
        Answer::refusal(status).write(false, false, &mut self.output);
        self.input = Vec::new();
        self.ends = true;
        self.since_ms = now_ms;
        Ok(match self.send(now_ms)? {
            true => Visit::Over,
            false => Visit::Waits,
        })
    }

    /// Sends what waits; whether nothing is left of it.
    fn send(&mut self, now_ms: u64) -> io::Result<bool> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !self.output.is_empty() {
            (self.output, self.sent) = (Vec::new(), 0);
            self.is_known = true;
            self.since_ms = now_ms;
        }
        Ok(true)
    }

    /// Reads what has come, no more than a head may have; whether the other side has ended.
    fn receive(&mut self) -> io::Result<bool> {
        let mut room = [0; 1024];
        while self.input.len() < HEAD_MAX {
            match self.stream.read(&mut room) {
                Ok(0) => return Ok(true),
                Ok(count) => self.input.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        debug_assert!(
            self.input.len() < HEAD_MAX + room.len(),
            "more is kept than a head may have"
        );
        Ok(false)
    }

    /// A connection that is closed with unread bytes may lose what was sent last.
    fn discard(&mut self) -> io::Result<()> {
        let mut bytes = 0;
        self.input.clear();
        while bytes < DISCARD_MAX && !self.receive()? && !self.input.is_empty() {
            bytes += self.input.len();
            self.input.clear();
        }
        Ok(())
    }
}

/// The visitors and what they come through. The place of a visitor is its token.
#[derive(Debug)]
pub struct Visitors {
    places: Vec<Option<Visitor>>,
    listeners: Option<Listeners>,
    first_token: usize,
    /// Places of listeners at which somebody may wait.
    knocks: Vec<usize>,
    /// Those for which no descriptor was left.
    later: Vec<usize>,
    /// The place that is looked at first next time.
    next: usize,
    /// The next turn must not wait: somebody may be to be answered.
    pub work_left: bool,
}

impl Visitors {
    /// Nobody, and nothing listened on; visitors will have the tokens from `first_token` on.
    pub fn new(first_token: usize) -> Visitors {
        Visitors {
            places: Vec::new(),
            listeners: None,
            first_token,
            knocks: Vec::new(),
            later: Vec::new(),
            next: 0,
            work_left: false,
        }
    }

    /// Listens with these from now on, and no longer with those of before. Who is connected stays.
    pub fn listen(&mut self, listeners: Option<Listeners>, registry: &Registry) {
        if let Some(mut before) = std::mem::replace(&mut self.listeners, listeners) {
            before.close(registry);
        }
        self.knocks.clear();
        self.later.clear();
    }

    /// The addresses listened on.
    pub fn names(&self) -> Vec<String> {
        self.listeners.iter().flat_map(|l| l.names()).collect()
    }

    /// Number of visitors.
    pub fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes an event of the poll, if it is of a visitor or of what they come through.
    pub fn take(&mut self, event: Readiness) -> bool {
        if let Some(place) = self
            .listeners
            .as_ref()
            .and_then(|l| l.place_of(Token(event.token)))
        {
            if !self.knocks.contains(&place) {
                self.knocks.push(place);
            }
        } else if let Some(place) = event.token.checked_sub(self.first_token)
            && place < VISITORS_MAX
        {
            if let Some(Some(visitor)) = self.places.get_mut(place) {
                visitor.is_ready = true;
            }
        } else {
            return false;
        }
        self.work_left = true;
        true
    }

    /// Lets in who waits, and looks at all who may have something to ask until one has. Its answer must follow.
    pub fn next(&mut self, registry: &Registry, now_ms: u64) -> Option<Question> {
        self.let_in(registry, now_ms);
        let count = self.places.len();
        let asked = (0..count).find_map(|step| {
            let place = (self.next + step) % count;
            let visitor = self.places[place].as_mut()?;
            if !std::mem::take(&mut visitor.is_ready) {
                return None;
            }
            match visitor.visit(place, now_ms) {
                Ok(Visit::Waits) => self.watch(registry, place),
                Ok(Visit::Asks(question)) => return Some(question),
                Ok(Visit::Over) | Err(_) => self.remove(registry, place),
            }
            None
        });
        self.note_work();
        asked
    }

    /// Answers a question of [`Visitors::next`].
    pub fn reply(
        &mut self,
        registry: &Registry,
        now_ms: u64,
        question: &Question,
        answer: &Answer,
    ) {
        let place = question.place;
        // The others come first next time.
        self.next = place + 1;
        let Some(visitor) = &mut self.places[place] else {
            return;
        };
        debug_assert!(visitor.output.is_empty(), "one answer after the other");
        answer.write(question.is_head, question.keep_alive, &mut visitor.output);
        visitor.ends = !question.keep_alive;
        visitor.since_ms = now_ms;
        match visitor.send(now_ms) {
            Ok(true) if visitor.ends => self.remove(registry, place),
            Ok(sent) => {
                // Its next request may be there already.
                visitor.is_ready = sent;
                self.watch(registry, place);
            }
            Err(_) => self.remove(registry, place),
        }
        self.note_work();
    }

    fn note_work(&mut self) {
        debug_assert!(
            self.places.len() <= VISITORS_MAX,
            "a token of somebody else"
        );
        let has_room = self.len() < VISITORS_MAX;
        self.work_left = self.places.iter().flatten().any(|v| v.is_ready)
            || (has_room && !self.knocks.is_empty());
    }

    /// Ends those who are too slow, and has those looked at who still wait outside. Called some times a second.
    pub fn tick(&mut self, registry: &Registry, now_ms: u64) {
        for place in 0..self.places.len() {
            let Some(visitor) = &mut self.places[place] else {
                continue;
            };
            debug_assert!(visitor.since_ms <= now_ms, "it waits since a time to come");
            if now_ms.saturating_sub(visitor.since_ms) < visitor.limit_ms() {
                continue;
            }
            if visitor.output.is_empty() && !visitor.input.is_empty() {
                // It is told why, if its socket takes that at once.
                let _ = visitor.refuse(Status::Timeout, now_ms);
            }
            self.remove(registry, place);
        }
        self.knocks.append(&mut self.later);
        self.work_left |= !self.knocks.is_empty();
    }

    fn let_in(&mut self, registry: &Registry, now_ms: u64) {
        let (Some(mut listeners), knocks) =
            (self.listeners.take(), std::mem::take(&mut self.knocks))
        else {
            return;
        };
        for door in knocks {
            loop {
                let Some(place) = self.free_place(registry, now_ms) else {
                    self.knocks.push(door);
                    break;
                };
                match listeners.accept_one(door) {
                    Ok(stream) => self.seat(registry, place, stream, now_ms),
                    Err(Accepting::Exhausted(_)) => {
                        self.later.push(door);
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
        self.listeners = Some(listeners);
    }

    fn seat(&mut self, registry: &Registry, place: usize, mut stream: Stream, now_ms: u64) {
        let _ = stream.set_nodelay(true);
        let token = Token(self.first_token + place);
        assert!(self.places[place].is_none(), "somebody sits there");
        // Without a descriptor for it the poll is of no use, and the stream ends by going out of scope.
        if registry
            .register(&mut stream, token, Interest::READABLE)
            .is_ok()
        {
            self.places[place] = Some(Visitor::new(stream, now_ms));
        }
    }

    /// A place for one more. When all are taken, who has been idle for longest makes room, or who has been asking for too
    /// long.
    fn free_place(&mut self, registry: &Registry, now_ms: u64) -> Option<usize> {
        if let Some(free) = self.places.iter().position(Option::is_none) {
            return Some(free);
        }
        if self.places.len() < VISITORS_MAX {
            self.places.push(None);
            return Some(self.places.len() - 1);
        }
        let may_go = |visitor: &Visitor| {
            let waited_ms = now_ms.saturating_sub(visitor.since_ms);
            let is_slow = visitor.output.is_empty() && waited_ms >= CROWDED_MS;
            !visitor.is_ready && (visitor.is_idle() || is_slow)
        };
        let seated = self.places.iter().enumerate();
        let (place, _) = seated
            .filter_map(|(place, visitor)| Some((place, visitor.as_ref()?)))
            .filter(|(_, visitor)| may_go(visitor))
            .min_by_key(|(_, visitor)| (!visitor.is_idle(), visitor.since_ms))?;
        self.remove(registry, place);
        Some(place)
    }

    /// Asks the poll for what the visitor waits for. Asking again rearms the edge.
    fn watch(&mut self, registry: &Registry, place: usize) {
        let token = Token(self.first_token + place);
        let Some(visitor) = &mut self.places[place] else {
            return;
        };
        let interest = match visitor.output.is_empty() {
            true => Interest::READABLE,
            false => Interest::READABLE | Interest::WRITABLE,
        };
        if registry
            .reregister(&mut visitor.stream, token, interest)
            .is_err()
        {
            self.remove(registry, place);
        }
    }

    fn remove(&mut self, registry: &Registry, place: usize) {
        if let Some(mut visitor) = self.places[place].take() {
            // A socket that failed may be unknown to the poll already.
            let _ = registry.deregister(&mut visitor.stream);
            visitor.stream.shutdown();
        }
    }

    /// What must hold between turns.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        for (place, visitor) in self.places.iter().enumerate() {
            let Some(visitor) = visitor else { continue };
            if visitor.input.len() > HEAD_MAX + 1024 || visitor.sent > visitor.output.len() {
                return Err(format!("visitor {place} has too much: {visitor:?}"));
            }
            if visitor.is_ready && !self.work_left {
                return Err(format!("visitor {place} is ready and not looked at"));
            }
        }
        match self.places.len() <= VISITORS_MAX {
            true => Ok(()),
            false => Err(format!("{} places", self.places.len())),
        }
    }
}
