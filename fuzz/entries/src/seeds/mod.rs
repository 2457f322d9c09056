//! Where fuzzing begins: inputs made of the files that real servers wrote, and words that are worth putting in.

use cairn_format::aof::block::Block;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_engine::base::random::Random;
use cairn_format::rdb::object::{Blob, Hash, List, Set, Zset};
use cairn_format::rdb::{Event, Object, Options, SliceReader};
use cairn_format::resp::value::write_command;
use cairn_format::text::words::quote;
use cairn_server::config::{Config, table};
use serde_json::Value as Json;

use crate::rdb::DIALECTS;

mod tools;
pub use tools::{json_lines, selections, table_keys};

/// Largest file that is worth mutating, bytes.
const FILE_MAX: usize = 12 * 1024;
/// Commands of a recording that make one script.
const SCRIPT_LINES: usize = 24;

/// The project's test files.
pub fn testdata() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata")).to_path_buf()
}

/// All files below a folder whose names end so, in order.
///
/// # Panics
/// If the folder cannot be read.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn contents(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let read =
        |path: PathBuf| std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    files(&testdata().join(folder), ending)
        .into_iter()
        .map(read)
        .filter(|bytes| bytes.len() <= FILE_MAX)
        .collect()
}

/// Messages of real nodes.
pub fn bus_messages() -> Vec<Vec<u8>> {
    contents("cluster", ".bin")
}

/// Files of real nodes.
pub fn nodes_files() -> Vec<Vec<u8>> {
    contents("cluster", ".conf")
}

/// The lines of all recordings.
fn recorded() -> Vec<Json> {
    let texts = files(&testdata().join("transcripts"), ".jsonl")
        .into_iter()
        .map(|path| {
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        });
    let lines = |text: String| {
        text.lines()
            .map(|l| serde_json::from_str(l).expect("recordings are JSON"))
            .collect::<Vec<Json>>()
    };
    texts.flat_map(lines).collect()
}

/// Recordings hold bytes as code points below 256.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u8).collect()
}

fn command(line: &Json) -> Option<Vec<Vec<u8>>> {
    let words = line["cmd"].as_array()?;
    Some(words.iter().filter_map(Json::as_str).map(bytes).collect())
}

fn headed(head: &[u8], bodies: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    bodies
        .into_iter()
        .map(|body| [head, &body[..]].concat())
        .collect()
}

/// Pipelines of recorded requests, behind limits and the size of pieces.
pub fn requests() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"\0\x10GET \"a b\" 'c'\r\n*0\r\n\r\n*1\r\n$4\r\nPING\r\n".to_vec(),
        b"\x03\x07*1\r\n$9\r\n".to_vec(),
    ];
    let all: Vec<Vec<Vec<u8>>> = recorded().iter().filter_map(command).step_by(7).collect();
    for some in all.chunks(8) {
        let mut seed = vec![0, 16];
        some.iter().for_each(|args| write_command(&mut seed, args));
        seeds.push(seed);
    }
    few(seeds)
}

/// Recorded replies, behind the size of pieces.
pub fn replies() -> Vec<Vec<u8>> {
    let all: Vec<Vec<u8>> = recorded()
        .iter()
        .filter_map(|l| l["reply"].as_str().map(bytes))
        .step_by(5)
        .collect();
    few(all
        .chunks(4)
        .map(|some| [&[16][..], &some.concat()].concat())
        .collect())
}

/// At most some hundred inputs, from all of them; each is run before fuzzing begins.
fn few(seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let step = seeds.len().div_ceil(300).max(1);
    seeds
        .into_iter()
        .filter(|seed| seed.len() <= FILE_MAX)
        .step_by(step)
        .collect()
}

/// Scripts of recorded commands.
pub fn scripts() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, some) in recorded().chunks(SCRIPT_LINES).enumerate() {
        let mut script = if number % 3 == 0 {
            "@small\n".to_string()
        } else {
            String::new()
        };
        for line in some {
            if let Some(ms) = line["sleep"].as_f64() {
                script += &format!("@sleep {}\n", ms.ceil());
            }
            let client = line["conn"]
                .as_str()
                .and_then(|conn| conn.bytes().next())
                .unwrap_or(b'a');
            let words: Vec<String> = command(line)
                .unwrap_or_default()
                .iter()
                .map(|word| quoted(word))
                .collect();
            if client != b'a' {
                script += &format!("@{}\n{}\n@0\n", client % 4, words.join(" "));
            } else {
                script += &format!("{}\n", words.join(" "));
            }
        }
        seeds.push(script.into_bytes());
    }
    few(seeds)
}

/// Quotes only what needs them, so that words of a dictionary fit.
fn quoted(word: &[u8]) -> String {
    match std::str::from_utf8(word) {
        Ok(text)
            if !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'') =>
        {
            text.to_string()
        }
        _ => quote(word),
    }
}

/// Snapshots as inputs: the dialect, then what follows the header.
fn snapshots() -> Vec<Vec<u8>> {
    let all = [contents("rdb", ".rdb"), contents("bad", ".rdb")].concat();
    let seed = |file: Vec<u8>| match DIALECTS
        .iter()
        .position(|dialect| file.starts_with(&dialect.magic()))
    {
        Some(index) => [&[index as u8], &file[9..]].concat(),
        None => [&[0xff], &file[..]].concat(),
    };
    all.into_iter().map(seed).collect()
}

/// Snapshots for reading.
pub fn files_to_read() -> Vec<Vec<u8>> {
    headed(&[16], snapshots())
}

/// Snapshots behind their version, damaged ones too.
pub fn files_to_save() -> Vec<Vec<u8>> {
    snapshots()
}

/// Snapshots for writing to other dialects, each for some targets.
pub fn files_to_rewrite() -> Vec<Vec<u8>> {
    [5, 7, 8, 10, 11, 12, 15]
        .iter()
        .flat_map(|target| headed(&[*target, 1, 0], snapshots()))
        .step_by(3)
        .collect()
}

/// DUMP payloads without their footers, behind version, target, and limits.
pub fn payloads() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for path in files(&testdata().join("rdb"), ".dump-payloads.jsonl") {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for line in text.lines() {
            let json: Json = serde_json::from_str(line).expect("payload files are JSON");
            let payload = STANDARD
                .decode(json["dump"].as_str().unwrap_or_default())
                .expect("payloads are base64");
            let Some((body, footer)) = payload.split_at_checked(payload.len().saturating_sub(10))
            else {
                continue;
            };
            let from = DIALECTS
                .iter()
                .position(|d| footer.starts_with(&d.version().to_le_bytes()));
            let head = [from.unwrap_or(10) as u8, 10, seeds.len() as u8 & 1];
            seeds.push([&head, body].concat());
        }
    }
    few(seeds)
}

/// The packed blobs of all snapshots, by what `pick` wants of a value, each behind a zero that says "as they are".
fn blobs(pick: impl Fn(&Object<'_>, &mut Vec<Vec<u8>>)) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for path in files(&testdata().join("rdb"), ".rdb") {
        let file = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let Ok(mut reader) = SliceReader::from_slice(&file, Options::shallow()) else {
            continue;
        };
        while let Ok(Some(found)) = reader.next() {
            if let Event::Record(record) = &found.event {
                pick(&record.value, &mut seeds);
            }
        }
    }
    seeds.sort();
    seeds.dedup();
    few(headed(&[0], seeds))
}

fn keep(blob: &Blob<'_>, out: &mut Vec<Vec<u8>>) {
    out.push(blob.bytes().to_vec());
}

/// Listpacks, and bytes that are edits.
pub fn listpacks() -> Vec<Vec<u8>> {
    let mut seeds = blobs(|value, out| match value {
        Object::Set(Set::Listpack(blob)) | Object::Zset(Zset::Listpack(blob)) => keep(blob, out),
        Object::Hash(Hash::Listpack(blob) | Hash::ExpiringListpack(blob)) => keep(blob, out),
        _ => {}
    });
    seeds.extend(headed(&[1], random()));
    seeds
}

/// Intsets, and bytes that are edits.
pub fn intsets() -> Vec<Vec<u8>> {
    let mut seeds = blobs(|value, out| {
        if let Object::Set(Set::Intset(blob)) = value {
            keep(blob, out);
        }
    });
    seeds.extend(headed(&[1], random()));
    seeds
}

/// Ziplists behind a zero, zipmaps behind a one.
pub fn ziplists() -> Vec<Vec<u8>> {
    let mut seeds = blobs(|value, out| match value {
        Object::List(List::Ziplist(blob))
        | Object::Zset(Zset::Ziplist(blob))
        | Object::Hash(Hash::Ziplist(blob)) => keep(blob, out),
        _ => {}
    });
    let mut maps = blobs(|value, out| {
        if let Object::Hash(Hash::Zipmap(blob)) = value {
            keep(blob, out);
        }
    });
    maps.iter_mut().for_each(|map| map[0] = 1);
    seeds.extend(maps);
    seeds
}

/// Nodes of streams behind an id, and bytes that are steps.
pub fn stream_nodes() -> Vec<Vec<u8>> {
    let mut seeds = blobs(|value, out| {
        if let Object::Stream(stream) = value {
            for node in stream.nodes().map_while(Result::ok) {
                // Two numbers of the id, each in the long form.
                let mut seed = vec![3];
                seed.extend(node.id.ms.to_be_bytes());
                seed.push(3);
                seed.extend(node.id.seq.to_be_bytes());
                seed.extend_from_slice(&node.listpack);
                out.push(seed);
            }
        }
    });
    seeds.extend(headed(&[1], random()));
    seeds
}

/// Logs behind base, size of pieces and rules.
pub fn logs() -> Vec<Vec<u8>> {
    let all = [contents("aof", ".aof"), contents("bad", ".aof")].concat();
    few(headed(&[0, 16, 1], all))
}

/// Logs for the engine: files, and recorded commands as lines, alone and as a transaction.
pub fn replays() -> Vec<Vec<u8>> {
    let all = [contents("aof", ".aof"), contents("bad", ".aof")].concat();
    let mut seeds = headed(&[0], all);
    for (number, script) in scripts().into_iter().enumerate() {
        let lines = script.split(|b| *b == b'\n');
        let lines: Vec<&[u8]> = lines.filter(|line| !line.starts_with(b"@")).collect();
        let lines = lines.join(&b'\n');
        seeds.push(match number % 4 {
            0 => [b"\x02MULTI\n", &lines[..], b"EXEC\n"].concat(),
            odd => [&[2 + (odd & 1) as u8], &lines[..]].concat(),
        });
    }
    few(seeds)
}

/// Manifests.
pub fn manifests() -> Vec<Vec<u8>> {
    contents("aof", ".manifest")
}

/// Moments, each with a log behind it.
pub fn moments() -> Vec<Vec<u8>> {
    let log: &[u8] = b"#TS:7\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n#TS:9\r\n*1\r\n$8\r\nFLUSHALL\r\n";
    let texts = [
        "command:2",
        "offset:30",
        "time:7",
        "time:1",
        "before:SET ?",
        "before:flushall",
    ];
    texts
        .map(|text| [text.as_bytes(), b"\n", log].concat())
        .to_vec()
}

/// Blocks of an archive.
pub fn blocks() -> Vec<Vec<u8>> {
    let record: &[u8] = b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n";
    let mut bytes = Vec::new();
    let mut seeds = Vec::new();
    for (number, content) in [b"", record, b"#TS:9\r\n"].into_iter().enumerate() {
        bytes.extend_from_slice(content);
        let block = Block {
            id: vec![b'0'; 40],
            offset: number as u64,
            ms: 1_700_000_000_000,
            bytes: content.len() as u64,
            sum: 0,
        };
        block.write(&mut bytes, content);
        seeds.push(bytes.clone());
    }
    seeds
}

/// The whole default configuration, in parts.
pub fn configurations() -> Vec<Vec<u8>> {
    let all = Config::new(Path::new("/")).rewritten(b"", true, &[]);
    let lines: Vec<&[u8]> = all.split_inclusive(|b| *b == b'\n').collect();
    lines.chunks(12).map(|some| some.concat()).collect()
}

/// Texts of numbers.
pub fn numbers() -> Vec<Vec<u8>> {
    let texts = [
        "1",
        "-0",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "1.7976931348623157e308",
        "4.9e-324",
        "0x1p-1074",
        ".5",
        "5.",
        "inf",
        "0.1e-5",
    ];
    let mut seeds: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| [b"\0", text.as_bytes()].concat())
        .collect();
    seeds.extend(headed(&[2], random()));
    seeds
}

/// Patterns with texts.
pub fn patterns() -> Vec<Vec<u8>> {
    let pairs = [
        ("h[a-e]llo*", "hello there"),
        ("*a*b?[^x-z]\\*", "xaybzq*"),
        ("[]-a]", "]"),
        ("\\", "\\"),
        ("user:*:name", "user:1:name"),
    ];
    pairs
        .iter()
        .map(|(pattern, text)| {
            [
                &[1, 1, pattern.len() as u8],
                pattern.as_bytes(),
                text.as_bytes(),
            ]
            .concat()
        })
        .collect()
}

/// Packed bytes with their lengths, and plain ones.
pub fn packed() -> Vec<Vec<u8>> {
    let mut seeds = headed(
        &[2],
        contents("rdb", ".rdb").into_iter().step_by(9).collect(),
    );
    for plain in [
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(9),
        b"one two three two one ".repeat(40),
    ] {
        let mut packed = Vec::new();
        if cairn_format::lzf::compress(&plain, &mut packed, &mut cairn_format::lzf::Table::new()) {
            let head = [1, (plain.len() >> 8) as u8, plain.len() as u8];
            seeds.push([&head, &packed[..]].concat());
        }
    }
    seeds
}

/// Bytes without a form, for targets that take decisions from them.
pub fn random() -> Vec<Vec<u8>> {
    let mut random = Random::new(3);
    [8, 64, 200, 200, 600, 600, 1500, 1500]
        .into_iter()
        .map(|len| {
            let mut bytes = vec![0; len];
            random.fill(&mut bytes);
            bytes
        })
        .collect()
}

/// Names of commands and the words that stand in them.
pub fn command_words() -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = recorded()
        .iter()
        .filter_map(command)
        .flatten()
        .filter(|word| {
            word.len() > 1
                && word.len() < 20
                && word.iter().all(|b| b.is_ascii_uppercase() || *b == b'-')
        })
        .collect();
    words.extend(
        [
            "(1",
            "[a",
            "-inf",
            "+inf",
            "$",
            ">",
            "0-0",
            "1-1",
            "@small",
            "@1",
            "@sleep 2000",
        ]
        .map(|w| w.as_bytes().to_vec()),
    );
    words.sort();
    words.dedup();
    words
}

/// Names of directives.
pub fn directive_words() -> Vec<Vec<u8>> {
    let names = table::all().map(|directive| directive.name.as_bytes().to_vec());
    names
        .chain(["yes", "no", "10gb", "50%", "\"\"", "\n"].map(|w| w.as_bytes().to_vec()))
        .collect()
}

/// Pieces of HTTP requests.
pub fn http_words() -> Vec<Vec<u8>> {
    [
        "\r\n",
        "\r\n\r\n",
        "GET / HTTP/1.1\r\n",
        "HEAD ",
        " HTTP/1.0\r\n",
        "Host: a\r\n",
        "Connection: close\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "/metrics",
    ]
    .map(|word| word.as_bytes().to_vec())
    .to_vec()
}

/// Requests to the metrics port.
pub fn http_requests() -> Vec<Vec<u8>> {
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(8159)
    );
    [
        "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9121\r\nUser-Agent: Prometheus\r\nAccept: text/plain;version=0.0.4\r\nAccept-Encoding: gzip\r\n\r\n",
        "HEAD /healthz?x=1 HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "*1\r\n$4\r\nPING\r\n",
        &long,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Lines that primaries say.
pub fn link_words() -> Vec<Vec<u8>> {
    [
        "\r\n",
        "+PONG\r\n",
        "+OK\r\n",
        "-NOAUTH",
        "-NOMASTERLINK",
        "-LOADING",
        "+CONTINUE ",
        "+FULLRESYNC ",
        "0303030303030303030303030303030303030303",
        " 9223372036854775807\r\n",
        "$EOF:",
        "$18446744073709551615\r\n",
    ]
    .map(|word| word.as_bytes().to_vec())
    .to_vec()
}

/// What primaries say to a replica that comes, from the beginning; the last two lines are wrong.
pub fn conversations() -> Vec<Vec<u8>> {
    let id = "03".repeat(20);
    [
        format!(
            "+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC {id} 41\r\n\n\n$5\r\nhello*1\r\n$4\r\nPING\r\n"
        ),
        format!("-NOAUTH no\r\n+OK\r\n-ERR no\r\n+FULLRESYNC {id} 0\r\n$EOF:{id}\r\nhello{id}"),
        format!("+PONG\r\n\n+OK\r\n+OK\r\n+CONTINUE {id}\r\n*1\r\n$4\r\nPING\r\n"),
        "+PONG\r\n+OK\r\n+OK\r\n-ERR unknown command\r\n$0\r\n".to_owned(),
        "+PONG\r\n+OK\r\n+OK\r\n-NOMASTERLINK later\r\n".to_owned(),
        format!("+PONG\r\n{}\r\n", "x".repeat(1100)),
        "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// Pieces of requests and replies.
pub fn protocol_words() -> Vec<Vec<u8>> {
    [
        "\r\n",
        "*2\r\n",
        "$3\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "%1\r\n",
        "~1\r\n",
        ">1\r\n",
        ",1.5\r\n",
        "#t\r\n",
        "(1\r\n",
        "=7\r\ntxt:",
        "|1\r\n",
        "_\r\n",
        "-ERR ",
    ]
    .map(|w| w.as_bytes().to_vec())
    .to_vec()
}

/// Pieces of logs.
pub fn log_words() -> Vec<Vec<u8>> {
    [
        "\r\n",
        "*1\r\n$5\r\nMULTI\r\n",
        "*1\r\n$4\r\nEXEC\r\n",
        "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
        "#TS:1700000000\r\n",
        "file ",
        " seq ",
        " type ",
        "b\n",
        "i\n",
        "h\n",
    ]
    .map(|w| w.as_bytes().to_vec())
    .to_vec()
}

/// No words.
pub fn no_words() -> Vec<Vec<u8>> {
    Vec::new()
}
