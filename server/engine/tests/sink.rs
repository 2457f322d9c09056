//! Answers go into a sink that is no RESP: each element of each answer arrives there as it would have been sent. What scripts
//! will read their values from enters through the same trait.

mod support;

use std::any::Any;

use cairn_engine::Engine;
use cairn_engine::base::args::ArgsBuf;
use cairn_engine::call::Reply;
use cairn_engine::call::reply::Protocol;
use cairn_engine::call::sink::{Shape, Sink};
use cairn_format::resp::reply as encode;
use support::World;

/// One element of an answer.
#[derive(Clone, Debug)]
enum Element {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    Null,
    NullArray,
    Double(f64),
    DoubleText(Vec<u8>),
    Bool(bool),
    Verbatim([u8; 3], Vec<u8>),
    BigNumber(Vec<u8>),
    Header(Shape, usize),
}

/// Keeps the elements.
#[derive(Debug, Default)]
struct Recorder(Vec<Element>);

impl Sink for Recorder {
    fn simple(&mut self, text: &[u8]) {
        self.0.push(Element::Simple(text.to_vec()));
    }
    fn error(&mut self, text: &[u8]) {
        self.0.push(Element::Error(text.to_vec()));
    }
    fn int(&mut self, i: i64) {
        self.0.push(Element::Int(i));
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.0.push(Element::Bulk(bytes.to_vec()));
    }
    fn null(&mut self) {
        self.0.push(Element::Null);
    }
    fn null_array(&mut self) {
        self.0.push(Element::NullArray);
    }
    fn double(&mut self, d: f64) {
        self.0.push(Element::Double(d));
    }
    fn double_text(&mut self, digits: &[u8]) {
        self.0.push(Element::DoubleText(digits.to_vec()));
    }
    fn bool(&mut self, b: bool) {
        self.0.push(Element::Bool(b));
    }
    fn verbatim(&mut self, kind: &[u8; 3], bytes: &[u8]) {
        self.0.push(Element::Verbatim(*kind, bytes.to_vec()));
    }
    fn big_number(&mut self, digits: &[u8]) {
        self.0.push(Element::BigNumber(digits.to_vec()));
    }
    fn header(&mut self, shape: Shape, n: usize) {
        self.0.push(Element::Header(shape, n));
    }
    fn position(&self) -> usize {
        self.0.len()
    }
    fn insert_header(&mut self, at: usize, shape: Shape, n: usize) {
        self.0.insert(at, Element::Header(shape, n));
    }
    fn truncate(&mut self, at: usize) {
        self.0.truncate(at);
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a connection of this protocol would have got.
fn encoded(elements: &[Element], protocol: Protocol) -> Vec<u8> {
    let mut out = Vec::new();
    for element in elements {
        match element {
            Element::Simple(text) => encode::simple(&mut out, text),
            Element::Error(text) => encode::error(&mut out, text),
            Element::Int(i) => encode::int(&mut out, *i),
            Element::Bulk(bytes) => encode::bulk(&mut out, bytes),
            Element::Null => encode::null(&mut out, protocol),
            Element::NullArray => encode::null_array(&mut out, protocol),
            Element::Double(d) => encode::double(&mut out, protocol, *d),
            Element::DoubleText(digits) => encode::double_text(&mut out, protocol, digits),
            Element::Bool(b) => encode::boolean(&mut out, protocol, *b),
            Element::Verbatim(kind, text) => encode::verbatim(&mut out, protocol, kind, text),
            Element::BigNumber(digits) => encode::big_number(&mut out, protocol, digits),
            Element::Header(Shape::Array, n) => encode::array_header(&mut out, *n),
            Element::Header(Shape::Map, n) => encode::map_header(&mut out, protocol, *n),
            Element::Header(Shape::Set, n) => encode::set_header(&mut out, protocol, *n),
            Element::Header(Shape::Push, n) => encode::push_header(&mut out, protocol, *n),
            Element::Header(Shape::Attribute, n) => encode::attribute_header(&mut out, *n),
        }
    }
    out
}

/// Every shape of an answer: statuses, errors, numbers, nothing, aggregates with counts known before and after.
const LINES: &[&str] = &[
    "PING",
    "SET s value",
    "GET s",
    "GET none",
    "SET n 17",
    "INCR n",
    "INCR s",
    "GET n",
    "MGET s none n",
    "NOSUCH a b",
    "GET",
    "INCRBYFLOAT n 0.5",
    "RPUSH l a b 3",
    "LRANGE l 0 -1",
    "LPOP l 5",
    "RPUSH l c",
    "BLPOP l 1",
    "LMPOP 1 l LEFT",
    "SADD t a b c",
    "SMEMBERS t",
    "SMISMEMBER t a z",
    "HSET h a 1 b 2",
    "HGETALL h",
    "HRANDFIELD h 2 WITHVALUES",
    "ZADD z 1.5 a 2 b",
    "ZSCORE z a",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZPOPMIN z",
    "ZMSCORE z a b",
    "ZRANK z b WITHSCORE",
    "GEOADD g 13.361389 38.115556 Palermo",
    "GEOPOS g Palermo none",
    "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 10 km WITHCOORD WITHDIST",
    "XADD x 1-1 f v",
    "XRANGE x - +",
    "XREAD COUNT 2 STREAMS x none 0 0",
    "XREAD COUNT 2 STREAMS none 0",
    "XGROUP CREATE x grp 0",
    "XREADGROUP GROUP grp me STREAMS x >",
    "XPENDING x grp - + 10",
    "XINFO STREAM x FULL",
    "SCAN 0",
    "HSCAN h 0",
    "PUBSUB CHANNELS",
    "SUBSCRIBE c",
    "PING",
    "UNSUBSCRIBE",
    "COMMAND INFO get",
    "MULTI",
    "GET s",
    "HGETALL h",
    "LPUSH s 1",
    "EXEC",
    "EXEC",
    "RESET",
];

/// Runs the lines; each answer as bytes. With `recorded` they go through the recorder.
fn answers(protocol: Protocol, recorded: bool) -> Vec<Vec<u8>> {
    let mut engine = Engine::new(16, [1, 2, 3, 4], &[]);
    let mut world = World::default();
    let session = engine.open_session(world.now);
    let greeting: &[&str] = match protocol {
        Protocol::Resp2 => &[],
        Protocol::Resp3 => &["HELLO 3"],
    };
    let mut all = Vec::new();
    for line in greeting.iter().chain(LINES) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = ArgsBuf::from_slices(&words);
        let mut reply = match recorded {
            true => Reply::into_sink(protocol, Box::new(Recorder::default())),
            false => Reply::default(),
        };
        engine.call(session, &args.args(), &mut reply, &mut world);
        // HELLO and RESET answer in the protocol that they set.
        let spoken = reply.protocol;
        let bytes = match reply.take_sink() {
            None => reply.buf,
            Some(sink) => {
                assert!(reply.buf.is_empty(), "{line}: bytes went round the sink");
                let recorder = sink.into_any().downcast::<Recorder>();
                encoded(&recorder.expect("the sink that was given").0, spoken)
            }
        };
        all.push([line.as_bytes(), b" -> ", &bytes].concat());
    }
    all
}

#[test]
fn another_sink_gets_what_a_connection_gets() {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let sent = answers(protocol, false);
        let recorded = answers(protocol, true);
        for (sent, recorded) in sent.iter().zip(&recorded) {
            let (sent, recorded) = (sent.escape_ascii(), recorded.escape_ascii());
            assert_eq!(sent.to_string(), recorded.to_string(), "{protocol:?}");
        }
    }
}
