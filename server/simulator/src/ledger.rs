//! What the replies so far allow.
//!
//! The clients do only what leaves traces that can be judged without knowing in which order the server ran them:
//!
//! | what | rule |
//! |---|---|
//! | counters | each increment, by INCR or in a transaction, makes a number that no other made, and a higher one than was seen before it was sent; at the end the value is the number of increments, those without an answer counting or not |
//! | queues | what is taken was put in, is taken once, and one taker gets what one giver put in in order; at the end what was put in is there or was taken, by somebody without an answer at most |
//! | channel | a listener gets what one speaker said in order and once; the speaker was told how many would get it |

use std::collections::{HashMap, HashSet};

/// A client's connection, by a number that is never used twice.
pub type Speaker = u64;

/// Something that a connection put into a queue or said: who, and its how manyth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item(pub Speaker, pub u64);

impl Item {
    /// As it is sent.
    pub fn text(self) -> Vec<u8> {
        format!("{}:{}", self.0, self.1).into_bytes()
    }

    /// Reads what [`Item::text`] wrote.
    ///
    /// # Errors
    /// It is something else, which nobody sent.
    pub fn parse(text: &[u8]) -> Result<Item, String> {
        let text = String::from_utf8_lossy(text).into_owned();
        let parts = text.split_once(':');
        let item = parts.and_then(|(who, n)| Some(Item(who.parse().ok()?, n.parse().ok()?)));
        item.ok_or_else(|| format!("nobody sent {text:?}"))
    }
}

/// Remembers the order of one giver's items.
#[derive(Debug, Default)]
struct Orders<K>(HashMap<(K, Speaker), u64>);

impl<K: Eq + std::hash::Hash> Orders<K> {
    fn next(&mut self, key: K, item: Item) -> Result<(), String> {
        match self.0.insert((key, item.0), item.1) {
            Some(before) if before >= item.1 => Err(format!(
                "{}:{} comes after {before} of the same connection",
                item.0, item.1
            )),
            _ => Ok(()),
        }
    }
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter {
    made: HashSet<i64>,
    /// The highest number that was answered.
    highest: i64,
    /// Increments sent and neither answered nor given up.
    open: u64,
    /// Increments whose answer will not come.
    unknown: u64,
}

impl Counter {
    /// The highest number that anybody has been told: what is sent from now on sees it.
    pub fn floor(&self) -> i64 {
        self.highest
    }

    /// An increment is sent.
    pub fn begin(&mut self) {
        self.open += 1;
    }

    /// It was answered with the number that it made.
    ///
    /// # Errors
    /// The number cannot be.
    pub fn made(&mut self, floor: i64, number: i64) -> Result<(), String> {
        self.open -= 1;
        self.read(floor, number)?;
        if number == floor || !self.made.insert(number) {
            return Err(format!("an increment made {number} again"));
        }
        Ok(())
    }

    /// The server said that it did not happen.
    pub fn refused(&mut self) {
        self.open -= 1;
    }

    /// Its answer will not come.
    pub fn give_up(&mut self) {
        self.open -= 1;
        self.unknown += 1;
    }

    /// The counter was read.
    ///
    /// # Errors
    /// It had been higher before.
    pub fn read(&mut self, floor: i64, number: i64) -> Result<(), String> {
        if number < floor {
            return Err(format!("a counter stood at {floor} and then at {number}"));
        }
        self.highest = self.highest.max(number);
        Ok(())
    }

    /// Its value at the end.
    ///
    /// # Errors
    /// Increments are lost, or there are more than were sent.
    pub fn settle(&self, value: i64) -> Result<(), String> {
        let (made, unknown) = (self.made.len() as i64, self.unknown as i64);
        if (made..=made + unknown).contains(&value) && value >= self.highest {
            return Ok(());
        }
        Err(format!(
            "a counter is {value} after {made} answered increments up to {}, and {unknown} without an answer",
            self.highest
        ))
    }
}

/// What is known of an item in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    Acknowledged,
    Taken,
}

/// One queue.
#[derive(Debug, Default)]
pub struct Queue {
    items: HashMap<Item, Fate>,
    orders: Orders<Speaker>,
    /// Takes whose answer will not come.
    unknown: usize,
}

impl Queue {
    /// An item is sent.
    pub fn begin(&mut self, item: Item) {
        self.items.insert(item, Fate::Sent);
    }

    /// The server has it.
    pub fn acknowledged(&mut self, item: Item) {
        let fate = self.items.entry(item).or_insert(Fate::Acknowledged);
        if *fate == Fate::Sent {
            *fate = Fate::Acknowledged;
        }
    }

    /// `taker` got an item.
    ///
    /// # Errors
    /// Nobody put it in, somebody else has it already, or it is out of order.
    pub fn taken(&mut self, taker: Speaker, item: Item) -> Result<(), String> {
        match self.items.insert(item, Fate::Taken) {
            None => return Err(format!("{item:?} was never put in")),
            Some(Fate::Taken) => return Err(format!("{item:?} was taken twice")),
            Some(_) => {}
        }
        self.orders.next(taker, item)
    }

    /// The answer to a take will not come.
    pub fn give_up_take(&mut self) {
        self.unknown += 1;
    }

    /// What is in it at the end.
    ///
    /// # Errors
    /// Something is lost, came back, or is out of order.
    pub fn settle(&self, rest: &[Item]) -> Result<(), String> {
        let mut orders = Orders::default();
        for item in rest {
            match self.items.get(item) {
                None => return Err(format!("{item:?} was never put in")),
                Some(Fate::Taken) => return Err(format!("{item:?} was taken and is there again")),
                Some(_) => orders.next((), *item)?,
            }
        }
        let rest: HashSet<&Item> = rest.iter().collect();
        let acknowledged = self.items.iter().filter(|(_, f)| **f == Fate::Acknowledged);
        let lost: Vec<&Item> = acknowledged
            .map(|(item, _)| item)
            .filter(|i| !rest.contains(i))
            .collect();
        if lost.len() > self.unknown {
            return Err(format!(
                "{} acknowledged items are gone and {} takes had no answer: {lost:?}",
                lost.len(),
                self.unknown
            ));
        }
        Ok(())
    }
}

/// The channel.
#[derive(Debug, Default)]
pub struct Channel {
    orders: Orders<Speaker>,
    promised: u64,
    heard: u64,
    /// Somebody who spoke or listened is gone: the sums need not be equal.
    uncertain: bool,
}

impl Channel {
    /// A speaker was told that so many would hear it.
    pub fn spoken(&mut self, listeners: i64) {
        self.promised += listeners as u64;
    }

    /// A listener heard something.
    ///
    /// # Errors
    /// It is out of order or heard again.
    pub fn heard(&mut self, listener: Speaker, item: Item) -> Result<(), String> {
        self.heard += 1;
        self.orders.next(listener, item)
    }

    /// Somebody who spoke or listened is gone.
    pub fn lose(&mut self) {
        self.uncertain = true;
    }

    /// At the end, all heard.
    ///
    /// # Errors
    /// Something was not heard, or by too many.
    pub fn settle(&self) -> Result<(), String> {
        if self.uncertain || self.promised == self.heard {
            return Ok(());
        }
        Err(format!(
            "{} messages were promised and {} heard",
            self.promised, self.heard
        ))
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// `c:0` and so on.
    pub counters: [Counter; 3],
    /// `q:0` and so on.
    pub queues: [Queue; 2],
    /// `ch`.
    pub channel: Channel,
    /// Ids of clients by CLIENT ID.
    pub ids: Vec<i64>,
    /// Clients that somebody tried to kill.
    pub marked: HashSet<i64>,
    /// Clients whose replies pile up are cut off.
    pub limited: bool,
    /// The log may be switched on and off: the data outlives the process by a snapshot.
    pub log_may_change: bool,
    /// The disk has failed: the server may refuse writes.
    pub troubled: bool,
    /// Connections made so far.
    pub speakers: Speaker,
    /// Replies judged.
    pub replies: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_cannot_be_is_seen() {
        let mut counter = Counter::default();
        for _ in 0..4 {
            counter.begin();
        }
        counter.made(0, 1).unwrap();
        assert!(counter.made(0, 1).is_err(), "twice");
        assert!(counter.made(2, 1).is_err(), "less than before");
        assert!(counter.settle(0).is_err(), "lost");
        assert!(counter.settle(2).is_err(), "one that nobody sent");
        counter.give_up();
        counter.settle(1).unwrap();
        counter.settle(2).unwrap();
    }

    #[test]
    fn a_queue_that_cannot_be_is_seen() {
        let mut queue = Queue::default();
        let items: Vec<Item> = (0..4).map(|n| Item(7, n)).collect();
        for item in &items {
            queue.begin(*item);
            queue.acknowledged(*item);
        }
        assert!(queue.settle(&items[1..]).is_err(), "lost");
        assert!(
            queue
                .settle(&[items[1], items[0], items[2], items[3]])
                .is_err(),
            "order"
        );
        queue.settle(&items).unwrap();
        queue.taken(1, items[1]).unwrap();
        assert!(queue.taken(1, items[0]).is_err(), "order");
        assert!(queue.taken(2, items[1]).is_err(), "twice");
        assert!(queue.taken(2, Item(8, 0)).is_err(), "nobody's");
        assert!(queue.settle(&items).is_err(), "back again");
        assert!(queue.settle(&items[3..]).is_err(), "lost");
        queue.give_up_take();
        queue.settle(&items[3..]).unwrap();
    }

    #[test]
    fn a_channel_that_cannot_be_is_seen() {
        let mut channel = Channel::default();
        channel.spoken(2);
        channel.heard(1, Item(5, 3)).unwrap();
        assert!(channel.heard(1, Item(5, 3)).is_err());
        channel.settle().unwrap();
        channel.spoken(1);
        assert!(channel.settle().is_err());
        channel.lose();
        channel.settle().unwrap();
    }
}
