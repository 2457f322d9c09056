//! One random client: what it asks, how its bytes travel, and whether the answers may be.

use std::collections::VecDeque;

use cairn_engine::base::random::Random;
use cairn_format::resp::value::{ReplyScanner, ReplyStep, Value, write_command};

use crate::host::World;
use crate::ledger::{Item, Ledger, Speaker};
use crate::net::Plug;

/// Requests without an answer that one client has at most.
const DEPTH_MAX: usize = 24;
/// A value whose reply does not fit into most sockets, bytes.
pub const LARGE: usize = 100_000;

/// What is to be answered next.
#[derive(Debug)]
enum Expect {
    Id,
    /// INCR, sent when the counter stood at `floor`.
    Made {
        counter: usize,
        floor: i64,
    },
    Read {
        counter: usize,
        floor: i64,
    },
    /// The value that a transaction will be built on.
    Seen {
        counter: usize,
        floor: i64,
    },
    Pushed {
        queue: usize,
        item: Item,
    },
    Taken {
        queue: usize,
    },
    /// BLPOP that waits until this time, microseconds.
    Awaited {
        queue: usize,
        until_us: u64,
    },
    /// SET to `number` and nothing else, of a transaction that watched.
    Watched {
        counter: usize,
        floor: i64,
        number: i64,
    },
    /// INCR and RPUSH in one transaction.
    Both {
        counter: usize,
        floor: i64,
        queue: usize,
        item: Item,
    },
    Spoken,
    Listening,
    Large,
    /// Of a fixed answer.
    Word(&'static [u8]),
    /// Anything: it depends on who is at work.
    Anything,
}

/// One client. When its connection ends it makes another.
pub struct Client {
    speaker: Speaker,
    plug: Option<Plug>,
    id: Option<i64>,
    /// It listens to the channel and asks nothing else.
    listens: bool,
    said: u64,
    out: Vec<u8>,
    inbox: Vec<u8>,
    scanner: ReplyScanner,
    expected: VecDeque<Expect>,
    /// A transaction waits for the value that it watches.
    watches: bool,
    wants_end: bool,
    half_closed: bool,
    /// It asked for its own end.
    leaves: bool,
}

impl Client {
    /// A client that is not yet connected.
    pub fn new(listens: bool) -> Client {
        Client {
            speaker: 0,
            plug: None,
            id: None,
            listens,
            said: 0,
            out: Vec::new(),
            inbox: Vec::new(),
            scanner: ReplyScanner::new(),
            expected: VecDeque::new(),
            watches: false,
            wants_end: false,
            half_closed: false,
            leaves: false,
        }
    }

    /// From now on replies find room: large ones need no thousand turns.
    pub fn widen(&self) {
        if let Some(plug) = &self.plug {
            plug.widen();
        }
    }

    /// Nothing is sent any more and everything is answered.
    pub fn is_idle(&self) -> bool {
        self.out.is_empty() && self.expected.is_empty()
    }

    fn connect(&mut self, world: &World, ledger: &mut Ledger) {
        let Some(plug) = world.net.connect() else {
            return;
        };
        ledger.speakers += 1;
        *self = Client {
            speaker: ledger.speakers,
            plug: Some(plug),
            ..Client::new(self.listens)
        };
        self.request(&[b"CLIENT", b"ID"], Expect::Id);
        if self.listens {
            self.request(&[b"SUBSCRIBE", b"ch"], Expect::Listening);
        }
    }

    fn request(&mut self, words: &[&[u8]], expect: Expect) {
        write_command(&mut self.out, words);
        if sloppy(self.speaker, self.expected.len()) {
            // The two bytes behind an argument are not looked at.
            let end = self.out.len() - 2;
            self.out[end..].copy_from_slice(b"??");
        }
        self.expected.push_back(expect);
    }

    /// Does one of the things that clients do. With `calm` it only brings to an end what was begun.
    ///
    /// # Errors
    /// An answer that cannot be.
    pub fn act(
        &mut self,
        world: &World,
        random: &mut Random,
        ledger: &mut Ledger,
        calm: bool,
    ) -> Result<(), String> {
        if self.plug.is_none() {
            if !calm {
                self.connect(world, ledger);
            }
            return Ok(());
        }
        match random.below(100) {
            0..40 if !calm && !self.wants_end => self.ask(world, random, ledger),
            0..70 => self.send(random),
            70..96 => self.receive(world, random, ledger)?,
            96..98 if !calm && random.below(3) == 0 => self.wants_end = true,
            98 if !calm && random.below(3) == 0 => self.vanish(ledger),
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, world: &World, random: &mut Random, ledger: &mut Ledger) {
        if self.listens || self.watches || self.expected.len() > DEPTH_MAX {
            return;
        }
        for _ in 0..1 + random.below(4) {
            match random.below(100) {
                0..30 => self.count(random, ledger),
                30..60 => self.give_or_take(world, random, ledger),
                60..72 => {
                    self.watch(random, ledger);
                    return;
                }
                72..80 => self.both(random, ledger),
                80..88 => {
                    self.said += 1;
                    let item = Item(self.speaker, self.said);
                    self.request(&[b"PUBLISH", b"ch", &item.text()], Expect::Spoken);
                }
                88..94 => self.request(&[b"GET", b"large"], Expect::Large),
                94..96 => self.kill(random, ledger),
                _ => self.disturb(random, ledger.log_may_change),
            }
        }
    }

    fn count(&mut self, random: &mut Random, ledger: &mut Ledger) {
        let counter = random.index(ledger.counters.len());
        let floor = ledger.counters[counter].floor();
        let key = format!("c:{counter}").into_bytes();
        if random.below(3) == 0 {
            return self.request(&[b"GET", &key], Expect::Read { counter, floor });
        }
        ledger.counters[counter].begin();
        self.request(&[b"INCR", &key], Expect::Made { counter, floor });
    }

    fn give_or_take(&mut self, world: &World, random: &mut Random, ledger: &mut Ledger) {
        let queue = random.index(ledger.queues.len());
        let key = format!("q:{queue}").into_bytes();
        match random.below(6) {
            0..3 => {
                self.said += 1;
                let item = Item(self.speaker, self.said);
                ledger.queues[queue].begin(item);
                self.request(
                    &[b"RPUSH", &key, &item.text()],
                    Expect::Pushed { queue, item },
                );
            }
            3 => self.request(&[b"LPOP", &key], Expect::Taken { queue }),
            _ => {
                let wait_ms = 1 + random.below(100);
                let now_us = cairn_server::host::Clock::monotonic_us(&*world.clock);
                let until_us = now_us + wait_ms * 1000;
                let wait = format!("{}", wait_ms as f64 / 1000.0).into_bytes();
                self.request(
                    &[b"BLPOP", &key, &wait],
                    Expect::Awaited { queue, until_us },
                );
            }
        }
    }

    /// The first half of a transaction on what it reads; the second follows when it is read.
    fn watch(&mut self, random: &mut Random, ledger: &Ledger) {
        let counter = random.index(ledger.counters.len());
        let floor = ledger.counters[counter].floor();
        let key = format!("c:{counter}").into_bytes();
        self.request(&[b"WATCH", &key], Expect::Word(b"OK"));
        self.request(&[b"GET", &key], Expect::Seen { counter, floor });
        self.watches = true;
    }

    fn set_watched(&mut self, ledger: &mut Ledger, counter: usize, seen: i64) {
        self.watches = false;
        if self.wants_end {
            return;
        }
        let key = format!("c:{counter}").into_bytes();
        let number = seen + 1;
        ledger.counters[counter].begin();
        self.request(&[b"MULTI"], Expect::Word(b"OK"));
        let text = number.to_string().into_bytes();
        self.request(&[b"SET", &key, &text], Expect::Word(b"QUEUED"));
        let watched = Expect::Watched {
            counter,
            floor: seen,
            number,
        };
        self.request(&[b"EXEC"], watched);
    }

    fn both(&mut self, random: &mut Random, ledger: &mut Ledger) {
        let counter = random.index(ledger.counters.len());
        let queue = random.index(ledger.queues.len());
        let floor = ledger.counters[counter].floor();
        self.said += 1;
        let item = Item(self.speaker, self.said);
        ledger.counters[counter].begin();
        ledger.queues[queue].begin(item);
        self.request(&[b"MULTI"], Expect::Word(b"OK"));
        let (c, q) = (format!("c:{counter}"), format!("q:{queue}"));
        self.request(&[b"INCR", c.as_bytes()], Expect::Word(b"QUEUED"));
        self.request(
            &[b"RPUSH", q.as_bytes(), &item.text()],
            Expect::Word(b"QUEUED"),
        );
        self.request(
            &[b"EXEC"],
            Expect::Both {
                counter,
                floor,
                queue,
                item,
            },
        );
    }

    fn kill(&mut self, random: &mut Random, ledger: &mut Ledger) {
        if ledger.ids.is_empty() || random.below(4) > 0 {
            return;
        }
        let id = ledger.ids[random.index(ledger.ids.len())];
        if Some(id) == self.id {
            return;
        }
        ledger.marked.insert(id);
        let text = id.to_string().into_bytes();
        self.request(&[b"CLIENT", b"KILL", b"ID", &text], Expect::Anything);
    }

    fn disturb(&mut self, random: &mut Random, log_may_change: bool) {
        match random.below(6) {
            5 if log_may_change => {
                let word = [b"yes".as_slice(), b"no"][random.index(2)];
                let words = [b"CONFIG".as_slice(), b"SET", b"appendonly", word];
                self.request(&words, Expect::Anything);
            }
            0 => self.request(&[b"BGSAVE", b"SCHEDULE"], Expect::Anything),
            1 => self.request(&[b"BGREWRITEAOF"], Expect::Anything),
            2 => self.request(&[b"SAVE"], Expect::Anything),
            3 => self.pause(random),
            _ => {
                self.request(&[b"QUIT"], Expect::Word(b"OK"));
                self.leaves = true;
                self.wants_end = true;
            }
        }
    }

    /// Clients are paused for a while, or not any more. Nobody is answered wrongly for that, only later.
    fn pause(&mut self, random: &mut Random) {
        let wait_ms = (1 + random.below(60)).to_string().into_bytes();
        let words: &[&[u8]] = match random.below(4) {
            0 => &[b"PING"],
            1 => &[b"CLIENT", b"UNPAUSE"],
            2 => &[b"CLIENT", b"PAUSE", &wait_ms, b"WRITE"],
            _ => &[b"CLIENT", b"PAUSE", &wait_ms],
        };
        let answer: &[u8] = if words.len() == 1 { b"PONG" } else { b"OK" };
        self.request(words, Expect::Word(answer));
    }

    fn send(&mut self, random: &mut Random) {
        let Some(plug) = &self.plug else {
            return;
        };
        let count = match random.below(3) {
            0 => random.index(self.out.len() + 1),
            _ => self.out.len(),
        };
        plug.send(&self.out[..count]);
        self.out.drain(..count);
        if self.out.is_empty() && self.wants_end && !self.half_closed && !self.watches {
            plug.half_close();
            self.half_closed = true;
        }
    }

    /// Reads and judges.
    ///
    /// # Errors
    /// An answer, or the end of the connection, that cannot be.
    pub fn receive(
        &mut self,
        world: &World,
        random: &mut Random,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        let Some(plug) = &self.plug else {
            return Ok(());
        };
        let most = [1, 10, 3000, usize::MAX][random.index(4)];
        plug.receive_into(&mut self.inbox, most);
        let is_over = plug.is_over();
        let mut judged = 0;
        while let ReplyStep::Complete { end } = self
            .scanner
            .next(&self.inbox, judged)
            .map_err(|e| e.to_string())?
        {
            let (value, _) = Value::decode(&self.inbox[judged..]).map_err(|e| e.to_string())?;
            judged = end;
            ledger.replies += 1;
            self.judge(world, ledger, value)
                .map_err(|error| format!("connection {}: {error}", self.speaker))?;
        }
        self.inbox.drain(..judged);
        if is_over {
            self.ended(ledger)?;
        }
        Ok(())
    }

    /// The server is gone: takes what it had sent, and judges that.
    ///
    /// # Errors
    /// An answer that cannot be.
    pub fn last_words(
        &mut self,
        world: &World,
        random: &mut Random,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        // The end of the connection needs no reason any more.
        self.leaves = true;
        for _ in 0..4 {
            self.receive(world, random, ledger)?;
        }
        self.vanish(ledger);
        Ok(())
    }

    fn ended(&mut self, ledger: &mut Ledger) -> Result<(), String> {
        let marked = self.id.is_some_and(|id| ledger.marked.contains(&id));
        let is_excused = self.leaves || marked || ledger.limited;
        let waited = matches!(self.expected.front(), Some(Expect::Awaited { .. }));
        if !is_excused && self.half_closed && waited {
            // A wait ends without an answer when nothing more comes, and with it all that is behind: no element was taken.
            self.expected
                .retain(|e| !matches!(e, Expect::Awaited { .. } | Expect::Taken { .. }));
        } else if !(is_excused || self.half_closed && self.expected.is_empty()) {
            return Err(format!(
                "connection {} was closed with {} answers missing, the first {:?}",
                self.speaker,
                self.expected.len(),
                self.expected.front()
            ));
        }
        self.vanish(ledger);
        Ok(())
    }

    /// The connection is gone: what was not answered may have happened or not.
    fn vanish(&mut self, ledger: &mut Ledger) {
        if let Some(plug) = self.plug.take() {
            plug.reset();
        }
        if self.listens {
            ledger.channel.lose();
        }
        ledger.ids.retain(|id| Some(*id) != self.id);
        for expect in self.expected.drain(..) {
            match expect {
                Expect::Made { counter, .. } | Expect::Watched { counter, .. } => {
                    ledger.counters[counter].give_up();
                }
                Expect::Both { counter, .. } => ledger.counters[counter].give_up(),
                Expect::Taken { queue } | Expect::Awaited { queue, .. } => {
                    ledger.queues[queue].give_up_take();
                }
                Expect::Spoken => ledger.channel.lose(),
                _ => {}
            }
        }
        self.out.clear();
    }

    fn judge(&mut self, world: &World, ledger: &mut Ledger, value: Value) -> Result<(), String> {
        if self.listens && self.hears(ledger, &value)? {
            return Ok(());
        }
        let Some(expect) = self.expected.pop_front() else {
            return Err(format!("an answer to nothing: {value:?}"));
        };
        if ledger.troubled && is_refusal(&value) {
            refused(&expect, ledger);
            return Ok(());
        }
        let wrong = |expect: &Expect| Err(format!("{expect:?} was answered by {value:?}"));
        match (&expect, &value) {
            (Expect::Anything, _) => {}
            (Expect::Word(word), Value::Simple(text)) if word == text => {}
            (Expect::Id, Value::Int(id)) => {
                self.id = Some(*id);
                ledger.ids.push(*id);
            }
            (Expect::Made { counter, floor }, Value::Int(number)) => {
                ledger.counters[*counter].made(*floor, *number)?;
            }
            (Expect::Read { counter, floor }, Value::Bulk(_) | Value::Null) => {
                ledger.counters[*counter].read(*floor, number_of(&value)?)?;
            }
            (Expect::Seen { counter, floor }, Value::Bulk(_) | Value::Null) => {
                let seen = number_of(&value)?;
                ledger.counters[*counter].read(*floor, seen)?;
                self.set_watched(ledger, *counter, seen);
            }
            (Expect::Pushed { queue, item }, Value::Int(1..)) => {
                ledger.queues[*queue].acknowledged(*item);
            }
            (Expect::Taken { .. }, Value::Null) => {}
            (Expect::Taken { queue }, Value::Bulk(text)) => {
                ledger.queues[*queue].taken(self.speaker, Item::parse(text)?)?;
            }
            (Expect::Awaited { until_us, .. }, Value::Null) => {
                let now_us = cairn_server::host::Clock::monotonic_us(&*world.clock);
                // The server counts in milliseconds.
                if now_us + 1000 < *until_us {
                    return Err(format!("a wait ended {} us early", until_us - now_us));
                }
            }
            (Expect::Awaited { queue, .. }, Value::Array(parts)) => {
                let [_, Value::Bulk(text)] = &parts[..] else {
                    return wrong(&expect);
                };
                ledger.queues[*queue].taken(self.speaker, Item::parse(text)?)?;
            }
            (Expect::Watched { counter, .. }, Value::Null) => ledger.counters[*counter].refused(),
            (
                Expect::Watched {
                    counter,
                    floor,
                    number,
                },
                Value::Array(parts),
            ) => {
                if parts[..] != [Value::Simple(b"OK".to_vec())] {
                    return wrong(&expect);
                }
                ledger.counters[*counter].made(*floor, *number)?;
            }
            (
                Expect::Both {
                    counter,
                    floor,
                    queue,
                    item,
                },
                Value::Array(parts),
            ) => {
                let [Value::Int(number), Value::Int(1..)] = parts[..] else {
                    return wrong(&expect);
                };
                ledger.counters[*counter].made(*floor, number)?;
                ledger.queues[*queue].acknowledged(*item);
            }
            (Expect::Spoken, Value::Int(listeners @ 0..)) => ledger.channel.spoken(*listeners),
            (Expect::Large, Value::Bulk(text)) if text.len() == LARGE => {}
            _ => return wrong(&expect),
        }
        Ok(())
    }

    /// Takes what a listener gets: its subscription, and messages. False for anything else.
    fn hears(&mut self, ledger: &mut Ledger, value: &Value) -> Result<bool, String> {
        let Value::Array(parts) = value else {
            return Ok(false);
        };
        match &parts[..] {
            [Value::Bulk(kind), _, Value::Bulk(text)] if kind == b"message" => {
                ledger.channel.heard(self.speaker, Item::parse(text)?)?;
                Ok(true)
            }
            [Value::Bulk(kind), _, Value::Int(1)] if kind == b"subscribe" => {
                Ok(matches!(self.expected.pop_front(), Some(Expect::Listening)))
            }
            _ => Ok(false),
        }
    }
}

/// Whether a write was refused because the disk failed, or a transaction with one.
fn is_refusal(value: &Value) -> bool {
    let Value::Error(text) = value else {
        return false;
    };
    text.starts_with(b"MISCONF") || text.starts_with(b"EXECABORT")
}

/// What was refused has not happened.
fn refused(expect: &Expect, ledger: &mut Ledger) {
    match expect {
        Expect::Made { counter, .. }
        | Expect::Watched { counter, .. }
        | Expect::Both { counter, .. } => ledger.counters[*counter].refused(),
        _ => {}
    }
}

/// Whether a client ends a request as no protocol has it: some connections do now and then.
fn sloppy(speaker: Speaker, waiting: usize) -> bool {
    speaker.is_multiple_of(4) && waiting.is_multiple_of(3)
}

/// A counter as GET answers it.
fn number_of(value: &Value) -> Result<i64, String> {
    match value {
        Value::Null => Ok(0),
        Value::Bulk(text) => {
            let number = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
            number.ok_or_else(|| format!("a counter is {value:?}"))
        }
        _ => Err(format!("a counter is {value:?}")),
    }
}
