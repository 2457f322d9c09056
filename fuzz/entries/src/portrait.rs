//! All that reading commands say of a data set, so that two engines can be compared by what clients would see.

use std::collections::BTreeMap;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::base::id::SessionId;
use cairn_engine::base::time::Now;
use cairn_engine::call::alone::Alone;
use cairn_engine::call::reply::Reply;
use cairn_format::resp::value::Value;

/// How the other engine came by its data, and so what it may not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a snapshot: it knows all.
    Snapshot,
    /// From what was propagated. Not in there: uses of keys, and when consumers were seen and active.
    Followed,
    /// From the data as commands. Not in there, beside these: which entries of a stream shared a node.
    Rewritten,
}

/// Fields of XINFO that a log does not carry.
const TIMES: [&str; 4] = ["seen-time", "active-time", "idle", "inactive"];
/// Fields of XINFO that tell how entries lie in nodes.
const NODES: [&str; 2] = ["radix-tree-keys", "radix-tree-nodes"];

/// What was answered, by database, key and question.
#[derive(Clone, Debug, Default)]
pub struct Portrait {
    answers: BTreeMap<(usize, Vec<u8>, &'static str), Value>,
}

/// Asks an engine about all that it holds. Nothing counts as used by that.
pub fn portrait(engine: &mut Engine, now: Now) -> Portrait {
    let feed_on = engine.ks.fx.feed_on;
    let mut sitter = Sitter::new(engine, now);
    let mut portrait = Portrait::default();
    for db in 0..sitter.engine.ks.databases() {
        sitter.ask(&[b"SELECT", db.to_string().as_bytes()]);
        let mut keys: Vec<Vec<u8>> = sitter
            .engine
            .ks
            .database(db)
            .iter()
            .map(|r| r.key().into())
            .collect();
        keys.sort();
        for key in keys {
            sitter.key(&key, &mut |question, answer| {
                portrait.answers.insert((db, key.clone(), question), answer);
            });
        }
        let size = sitter.ask(&[b"DBSIZE"]);
        portrait.answers.insert((db, Vec::new(), "DBSIZE"), size);
    }
    let session = sitter.session;
    engine.close_session(session);
    engine.ks.fx.feed_on = feed_on;
    portrait
}

impl Portrait {
    /// Compares with what the data set was taken from. Encodings may be those of `fresh`, which was built element by
    /// element: a snapshot or a log need not know that a value was larger once.
    ///
    /// # Errors
    /// The first difference.
    pub fn same_as(&self, origin: &Portrait, way: Way, fresh: &Portrait) -> Result<(), String> {
        for (place, wanted) in &origin.answers {
            let (db, key, question) = place;
            let told = || format!("db {db}, key {}: {question}", key.escape_ascii());
            let Some(found) = self.answers.get(place) else {
                return Err(format!("{} is missing", told()));
            };
            let alike = match (*question, way) {
                ("ENCODING", _) => found == wanted || Some(found) == fresh.answers.get(place),
                ("FREQ" | "IDLETIME", Way::Followed | Way::Rewritten) => true,
                _ => without(found, way) == without(wanted, way),
            };
            if !alike {
                let (wanted, found) = (shown(&without(wanted, way)), shown(&without(found, way)));
                return Err(format!("{}:\n{wanted}\nbecame\n{found}", told()));
            }
        }
        match self.answers.len() == origin.answers.len() {
            true => Ok(()),
            false => Err("there is more than there was".into()),
        }
    }
}

/// The answer without what the way does not carry.
fn without(value: &Value, way: Way) -> Value {
    let left_out = |name: &Value| {
        let named = |list: &[&str]| {
            list.iter()
                .any(|word| name.as_bytes() == Some(word.as_bytes()))
        };
        (way != Way::Snapshot && named(&TIMES)) || (way == Way::Rewritten && named(&NODES))
    };
    match value {
        Value::Map(pairs) => Value::Map(
            pairs
                .iter()
                .filter(|(name, _)| !left_out(name))
                .map(|(name, value)| (name.clone(), without(value, way)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|v| without(v, way)).collect()),
        other => other.clone(),
    }
}

fn shown(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(" ");
    match value {
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Map(pairs) => {
            let pair =
                |(name, value): &(Value, Value)| format!("{}: {}", shown(name), shown(value));
            let pairs: Vec<String> = pairs.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => match other.as_bytes() {
            Some(bytes) => bytes.escape_ascii().to_string(),
            None => format!("{other:?}"),
        },
    }
}

struct Sitter<'e> {
    engine: &'e mut Engine,
    world: Alone,
    session: SessionId,
}

impl<'e> Sitter<'e> {
    fn new(engine: &'e mut Engine, now: Now) -> Self {
        engine.set_now(now);
        engine.ks.fx.feed_on = false;
        let session = engine.open_session(now);
        if let Some(session) = engine.shared.sessions.get_mut(session) {
            session.no_touch = true;
        }
        let mut sitter = Sitter {
            engine,
            world: Alone::at(now),
            session,
        };
        sitter.ask(&[b"HELLO", b"3"]);
        sitter
    }

    fn ask(&mut self, words: &[&[u8]]) -> Value {
        let mut reply = Reply::default();
        let args = ArgsBuf::from_slices(words);
        self.engine
            .call(self.session, &args.args(), &mut reply, &mut self.world);
        let bytes = reply.flat();
        let (value, _) = Value::decode(&bytes).expect("replies are well formed");
        value
    }

    fn key(&mut self, key: &[u8], told: &mut dyn FnMut(&'static str, Value)) {
        let kind = self.ask(&[b"TYPE", key]);
        told("ENCODING", self.ask(&[b"OBJECT", b"ENCODING", key]));
        told("PEXPIRETIME", self.ask(&[b"PEXPIRETIME", key]));
        let used = match self.engine.ks.limits.lfu {
            true => "FREQ",
            false => "IDLETIME",
        };
        told(used, self.ask(&[b"OBJECT", used.as_bytes(), key]));
        match &kind {
            Value::Simple(name) if name == b"string" => told("GET", self.ask(&[b"GET", key])),
            Value::Simple(name) if name == b"list" => {
                told("LRANGE", self.ask(&[b"LRANGE", key, b"0", b"-1"]));
            }
            Value::Simple(name) if name == b"set" => {
                told("SMEMBERS", sorted(self.ask(&[b"SMEMBERS", key])));
            }
            Value::Simple(name) if name == b"zset" => {
                let all = self.ask(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]);
                told("ZRANGE", all);
            }
            Value::Simple(name) if name == b"hash" => self.hash(key, told),
            Value::Simple(name) if name == b"stream" => self.stream(key, told),
            _ => {}
        }
        told("TYPE", kind);
    }

    /// Fields with values and expiries, by name.
    fn hash(&mut self, key: &[u8], told: &mut dyn FnMut(&'static str, Value)) {
        let fields = self.ask(&[b"HGETALL", key]);
        let mut all = Vec::new();
        if let Value::Map(pairs) = fields {
            for (field, value) in pairs {
                let name = field.as_bytes().unwrap_or_default().to_vec();
                let at = self.ask(&[b"HPEXPIRETIME", key, b"FIELDS", b"1", &name]);
                all.push(Value::Array(vec![field, value, at]));
            }
        }
        told("HGETALL", sorted(Value::Array(all)));
    }

    fn stream(&mut self, key: &[u8], told: &mut dyn FnMut(&'static str, Value)) {
        told("XRANGE", self.ask(&[b"XRANGE", key, b"-", b"+"]));
        let full = self.ask(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]);
        told("XINFO STREAM FULL", full);
        told("XINFO STREAM", self.ask(&[b"XINFO", b"STREAM", key]));
        let groups = self.ask(&[b"XINFO", b"GROUPS", key]);
        let (mut consumers, mut pending) = (Vec::new(), Vec::new());
        for group in groups.as_array().unwrap_or_default() {
            let Value::Map(fields) = group else { continue };
            let name = fields.first().and_then(|(_, name)| name.as_bytes());
            let name = name.unwrap_or_default();
            consumers.push(self.ask(&[b"XINFO", b"CONSUMERS", key, name]));
            pending.push(self.ask(&[b"XPENDING", key, name]));
            pending.push(self.ask(&[b"XPENDING", key, name, b"-", b"+", b"100000"]));
        }
        told("XINFO CONSUMERS", Value::Array(consumers));
        told("XPENDING", Value::Array(pending));
        told("XINFO GROUPS", groups);
    }
}

/// Elements in the order of their text.
fn sorted(value: Value) -> Value {
    match value {
        Value::Set(mut items) | Value::Array(mut items) => {
            items.sort_by_key(|item| format!("{item:?}"));
            Value::Array(items)
        }
        other => other,
    }
}
