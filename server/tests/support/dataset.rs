//! A data set with every type and encoding, and the question whether two servers hold the same.

use std::collections::BTreeMap;

use cairn_format::resp::value::{Value, write_command};

use super::Connection;

/// Milliseconds since 1970 in the year 2100: expiry times that no test lives to see.
pub const FAR: i64 = 4_102_444_800_123;

/// A key that was made, with the encoding ours must report.
type Expected = (u32, Vec<u8>, &'static str);

/// Makes keys; remembers what they must look like.
struct Maker<'a> {
    connection: &'a mut Connection,
    db: u32,
    expected: Vec<Expected>,
}

impl Maker<'_> {
    fn select(&mut self, db: u32) {
        self.connection.good(&format!("SELECT {db}"));
        self.db = db;
    }

    /// `command key elements...`, in requests of at most 1,000 elements.
    fn make<E: AsRef<[u8]>>(
        &mut self,
        command: &str,
        key: impl AsRef<[u8]>,
        elements: &[E],
        encoding: &'static str,
    ) {
        for chunk in elements.chunks(1000) {
            let mut args: Vec<&[u8]> = vec![command.as_bytes(), key.as_ref()];
            args.extend(chunk.iter().map(AsRef::as_ref));
            self.connection.good_call(&args);
        }
        self.expected
            .push((self.db, key.as_ref().to_vec(), encoding));
    }
}

/// Bytes that lzf cannot make smaller.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = super::Dice::new(seed);
    std::iter::repeat_with(|| dice.next().to_le_bytes())
        .flatten()
        .take(len)
        .collect()
}

fn texts(count: usize, make: impl Fn(usize) -> String) -> Vec<Vec<u8>> {
    (0..count).map(|i| make(i).into_bytes()).collect()
}

/// Fills an empty server with every type, encoding, odd key and expiry time of this engine, in several databases.
pub fn fill(connection: &mut Connection) {
    make_all(connection);
}

/// As [`fill`], for ours; checks that each key has the encoding it is there for.
pub fn fill_and_check(connection: &mut Connection) {
    for (db, key, encoding) in make_all(connection) {
        connection.good(&format!("SELECT {db}"));
        let found = connection.good_call(&[b"OBJECT".as_slice(), b"ENCODING", &key]);
        assert_eq!(
            found,
            Value::Bulk(encoding.into()),
            "db {db} key {}",
            key.escape_ascii()
        );
    }
    connection.good("SELECT 0");
}

fn make_all(connection: &mut Connection) -> Vec<Expected> {
    let mut maker = Maker {
        connection,
        db: 0,
        expected: Vec::new(),
    };
    strings(&mut maker);
    lists(&mut maker);
    sets(&mut maker);
    hashes(&mut maker);
    sorted_sets(&mut maker);
    odd_keys(&mut maker);
    maker.select(3);
    maker.make("SET", "only here", &["x"], "embstr");
    maker.make("RPUSH", "queue", &["1", "two", "3"], "listpack");
    maker.select(15);
    many_keys(maker.connection);
    let expected = std::mem::take(&mut maker.expected);
    expiry_times(maker.connection);
    connection.good("SELECT 0");
    expected
}

fn strings(maker: &mut Maker) {
    for number in [
        "0",
        "-1",
        "12",
        "127",
        "128",
        "-129",
        "32768",
        "2147483648",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        maker.make("SET", format!("int:{number}"), &[number], "int");
    }
    maker.make("SET", "int-like", &["0012"], "embstr");
    maker.make("SET", "empty", &[""], "embstr");
    maker.make("SET", "embstr", &["hello"], "embstr");
    maker.make("SET", "embstr:44", &["x".repeat(44)], "embstr");
    maker.make("SET", "raw:45", &["y".repeat(45)], "raw");
    maker.make("SET", "raw:noise", &[noise(1, 5000)], "raw");
    maker.make(
        "SET",
        "raw:compressed",
        &["compress me ".repeat(500)],
        "raw",
    );
    maker.make("SET", "raw:zeros", &[vec![0; 70_000]], "raw");
    maker.make("SET", "raw:big", &[noise(2, 3 << 20)], "raw");
    maker.make("APPEND", "appended once", &["abc"], "embstr");
    maker.connection.good("SET appended abc");
    maker.make("APPEND", "appended", &["def"], "raw");
}

fn lists(maker: &mut Maker) {
    let mixed = [
        "",
        "a",
        "127",
        "-4096",
        "9223372036854775807",
        "text",
        "1.5",
    ];
    maker.make("RPUSH", "list:mixed", &mixed, "listpack");
    maker.make("RPUSH", "list:one", &["x"], "listpack");
    maker.make(
        "RPUSH",
        "list:long",
        &texts(5000, |i| format!("element number {i}")),
        "quicklist",
    );
    maker.make(
        "RPUSH",
        "list:numbers",
        &texts(5000, |i| (i * i).to_string()),
        "quicklist",
    );
    maker.make(
        "RPUSH",
        "list:plain",
        &[noise(3, 20_000), b"small".to_vec(), vec![b'z'; 100_000]],
        "quicklist",
    );
}

fn sets(maker: &mut Maker) {
    maker.make("SADD", "set:int16", &["1", "-5", "300"], "intset");
    maker.make("SADD", "set:int32", &["1", "-5", "70000"], "intset");
    maker.make(
        "SADD",
        "set:int64",
        &["1", "-5", "9223372036854775807"],
        "intset",
    );
    maker.make("SADD", "set:listpack", &["", "one", "2", "-3"], "listpack");
    maker.make(
        "SADD",
        "set:table",
        &texts(1000, |i| format!("member:{i}")),
        "hashtable",
    );
    maker.make(
        "SADD",
        "set:numbers",
        &texts(1000, |i| (i * 1000).to_string()),
        "hashtable",
    );
    maker.make(
        "SADD",
        "set:large",
        &["m".repeat(100), "n".into()],
        "hashtable",
    );
}

fn hashes(maker: &mut Maker) {
    maker.make(
        "HSET",
        "hash:listpack",
        &["field", "value", "", "empty field", "n", "42", "empty", ""],
        "listpack",
    );
    let pairs: Vec<Vec<u8>> = texts(3000, |i| {
        format!("{}:{i}", if i % 2 == 0 { "f" } else { "v" })
    });
    maker.make("HSET", "hash:table", &pairs, "hashtable");
    maker.make(
        "HSET",
        "hash:large",
        &[b"f".to_vec(), noise(4, 9000)],
        "hashtable",
    );
}

fn sorted_sets(maker: &mut Maker) {
    let scores = [
        "1",
        "a",
        "-2",
        "b",
        "9007199254740991",
        "c",
        "inf",
        "top",
        "-inf",
        "bottom",
        "1",
        "a2",
    ];
    maker.make("ZADD", "zset:listpack", &scores, "listpack");
    let pairs = texts(2000, |i| {
        if i % 2 == 0 {
            (i * 37 % 1000).to_string()
        } else {
            format!("member {i}")
        }
    });
    maker.make("ZADD", "zset:skiplist", &pairs, "skiplist");
    maker.make(
        "ZADD",
        "zset:large",
        &["5".to_string(), "w".repeat(70)],
        "skiplist",
    );
}

fn odd_keys(maker: &mut Maker) {
    let all: Vec<u8> = (0..=255).collect();
    for key in [
        b"".to_vec(),
        b" ".to_vec(),
        b"\r\n".to_vec(),
        b"\0".to_vec(),
        all,
        "schlüssel".into(),
        noise(5, 70_000),
    ] {
        maker.make("SET", &key, &["odd"], "embstr");
    }
    maker.make("SET", "12345", &["a key that is a number"], "embstr");
}

/// Enough keys that tables grow and the file has many of them.
fn many_keys(connection: &mut Connection) {
    let mut out = Vec::new();
    for i in 0..2000 {
        write_command(
            &mut out,
            &["SET", &format!("key:{i}"), &format!("value of {i}")],
        );
    }
    connection.send(&out);
    for _ in 0..2000 {
        assert_eq!(connection.read(), Value::Simple(b"OK".into()));
    }
}

fn expiry_times(connection: &mut Connection) {
    connection.good("SELECT 0");
    for (i, key) in [
        "embstr",
        "list:long",
        "set:table",
        "hash:listpack",
        "zset:skiplist",
        "int:12",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(
            connection.int(&format!("PEXPIREAT {key} {}", FAR + i as i64)),
            1
        );
    }
    connection.good("SELECT 15");
    for i in 0..200 {
        assert_eq!(connection.int(&format!("PEXPIREAT key:{i} {}", FAR + i)), 1);
    }
}

/// A value in a form that does not depend on encodings or the order inside tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A string.
    String(Vec<u8>),
    /// A list in its order.
    List(Vec<Vec<u8>>),
    /// Members, sorted.
    Set(Vec<Vec<u8>>),
    /// Fields, sorted.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    /// Members and scores in their order.
    Sorted(Vec<(Vec<u8>, f64)>),
    /// Entries in their order: id, then fields and values one after the other.
    Stream(Vec<(Vec<u8>, Vec<Vec<u8>>)>),
    /// A type that is compared by its name only.
    Other(String),
}

/// Everything that a server holds: by database and key the value and the absolute expiry time (-1: none).
pub type Holdings = BTreeMap<(u32, Vec<u8>), (Content, i64)>;

fn bytes(value: &Value) -> Vec<u8> {
    value
        .as_bytes()
        .unwrap_or_else(|| panic!("a string was expected: {value:?}"))
        .to_vec()
}

fn strings_of(value: &Value) -> Vec<Vec<u8>> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("an array was expected: {value:?}"))
        .iter()
        .map(bytes)
        .collect()
}

/// Asks a server for all it holds.
pub fn holdings(connection: &mut Connection) -> Holdings {
    let mut all = Holdings::new();
    for db in 0..16 {
        connection.good(&format!("SELECT {db}"));
        for key in strings_of(&connection.good("KEYS *")) {
            let content = content(connection, &key);
            let expiry = connection
                .good_call(&[b"PEXPIRETIME".as_slice(), &key])
                .as_int()
                .unwrap();
            all.insert((db, key), (content, expiry));
        }
    }
    connection.good("SELECT 0");
    all
}

fn content(connection: &mut Connection, key: &[u8]) -> Content {
    let kind = connection.good_call(&[b"TYPE".as_slice(), key]);
    let mut ask = |words: &[&str]| {
        let mut args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        args.insert(1, key);
        connection.good_call(&args)
    };
    match bytes(&kind).as_slice() {
        b"string" => Content::String(bytes(&ask(&["GET"]))),
        b"list" => Content::List(strings_of(&ask(&["LRANGE", "0", "-1"]))),
        b"set" => {
            let mut members = strings_of(&ask(&["SMEMBERS"]));
            members.sort();
            Content::Set(members)
        }
        b"hash" => {
            let flat = strings_of(&ask(&["HGETALL"]));
            Content::Hash(
                flat.chunks(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone()))
                    .collect(),
            )
        }
        b"zset" => {
            let flat = strings_of(&ask(&["ZRANGE", "0", "-1", "WITHSCORES"]));
            let score = |text: &[u8]| std::str::from_utf8(text).unwrap().parse().unwrap();
            Content::Sorted(
                flat.chunks(2)
                    .map(|pair| (pair[0].clone(), score(&pair[1])))
                    .collect(),
            )
        }
        b"stream" => {
            let entries = ask(&["XRANGE", "-", "+"]);
            let entries = entries.as_array().unwrap().iter();
            Content::Stream(
                entries
                    .map(|entry| {
                        let entry = entry.as_array().unwrap();
                        (bytes(&entry[0]), strings_of(&entry[1]))
                    })
                    .collect(),
            )
        }
        other => Content::Other(String::from_utf8_lossy(other).into_owned()),
    }
}

/// Fails with the first difference, not with megabytes of values.
pub fn assert_same(left: &Holdings, right: &Holdings) {
    for (key, value) in left {
        let name = format!("db {} key {}", key.0, key.1.escape_ascii());
        let Some(other) = right.get(key) else {
            panic!("{name}: only on the left side")
        };
        assert!(
            value == other,
            "{name}: left {} right {}",
            shorten(value),
            shorten(other)
        );
    }
    for key in right.keys() {
        assert!(
            left.contains_key(key),
            "db {} key {}: only on the right side",
            key.0,
            key.1.escape_ascii()
        );
    }
}

fn shorten(value: &(Content, i64)) -> String {
    let text = format!("{value:?}");
    text.chars().take(300).collect()
}

/// DEBUG DIGEST.
pub fn digest(connection: &mut Connection) -> String {
    connection.text("DEBUG DIGEST")
}
