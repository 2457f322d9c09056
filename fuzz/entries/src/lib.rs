//! What the fuzz targets of Cairn do with their bytes.
//!
//! Each target is a function that takes any bytes and panics when something does not hold. The fuzzers in `fuzz/fuzz_targets`
//! call them, and so do plain tests: on seeded random bytes, on the seeds, and on every finding of the past under
//! `testdata/hostile`, so that nobody needs a fuzzer to see that a finding stays mended.
//!
//! ```text
//! steps                             decisions taken from bytes
//! resp text packed stream_node lzf hll aof rdb    what `format` decodes
//! cluster                           messages of the bus, nodes.conf, the machine of a node
//! config http tls                   redis.conf; requests to the metrics port; what comes to a port for TLS
//! replication                       a primary's and a replica's machine, and a snapshot between them
//! structures                        what `structure` holds in memory, and lists
//! stage commands dump replay        an engine, scripts on it, payloads and logs for it
//! describe portrait                 values as text and whole data sets as clients see them, for comparisons
//! tools                             rdb-tool: lines of JSON, salvage, the choice of keys
//! bench                             bench-tool: workload files, requests, lines of MONITOR
//! seeds                             where fuzzing begins
//! ```
#![forbid(unsafe_code)]

pub mod aof;
pub mod bench;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod describe;
pub mod dump;
pub mod hll;
pub mod http;
pub mod lzf;
pub mod packed;
pub mod portrait;
pub mod rdb;
pub mod replay;
pub mod replication;
pub mod resp;
pub mod seeds;
pub mod stage;
pub mod steps;
pub mod stream_node;
pub mod structures;
pub mod text;
pub mod tls;
pub mod tools;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its file in `fuzz/fuzz_targets` and of its folder in `testdata/hostile`.
    pub name: &'static str,
    /// Takes any bytes; panics when something does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words to put in.
    pub words: fn() -> Vec<Vec<u8>>,
    /// Longest input, bytes.
    pub len_max: usize,
}

const KB: usize = 1024;

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target {
        name,
        run,
        seeds,
        words: seeds::no_words,
        len_max: 16 * KB,
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        len_max: 4 * KB,
        ..target("aof_blocks", aof::blocks, seeds::blocks)
    },
    Target {
        words: seeds::log_words,
        ..target("aof_log", aof::log, seeds::logs)
    },
    Target {
        words: seeds::log_words,
        len_max: 4 * KB,
        ..target("aof_manifest", aof::manifest, seeds::manifests)
    },
    Target {
        words: seeds::log_words,
        len_max: 4 * KB,
        ..target("aof_moment", aof::moment, seeds::moments)
    },
    Target {
        words: seeds::command_words,
        len_max: 4 * KB,
        ..target("aof_replay", replay::run, seeds::replays)
    },
    Target {
        len_max: 2 * KB,
        ..target("bench_monitor", bench::monitor, bench::monitor_lines)
    },
    Target {
        words: bench::place_words,
        len_max: 2 * KB,
        ..target("bench_request", bench::request, bench::bench_requests)
    },
    Target {
        len_max: 2 * KB,
        ..target("bench_skim", bench::skim, bench::reply_rows)
    },
    Target {
        words: bench::place_words,
        len_max: 4 * KB,
        ..target("bench_workload", bench::workload, bench::workloads)
    },
    Target {
        len_max: 2 * KB,
        ..target("btree", structures::btree::run, seeds::random)
    },
    Target {
        len_max: 8 * KB,
        ..target("cluster_bus", cluster::message, seeds::bus_messages)
    },
    Target {
        len_max: KB,
        ..target("cluster_machine", cluster::machine, seeds::random)
    },
    Target {
        len_max: 4 * KB,
        ..target("cluster_nodes", cluster::nodes, seeds::nodes_files)
    },
    Target {
        words: seeds::command_words,
        len_max: 4 * KB,
        ..target("commands", commands::run, seeds::scripts)
    },
    Target {
        words: seeds::directive_words,
        len_max: 4 * KB,
        ..target("config", config::run, seeds::configurations)
    },
    Target {
        len_max: 512,
        ..target("csv", tools::table, seeds::table_keys)
    },
    Target {
        len_max: 4 * KB,
        ..target("dump", dump::run, seeds::payloads)
    },
    Target {
        len_max: 512,
        ..target("glob", text::glob, seeds::patterns)
    },
    target("hll", hll::run, seeds::random),
    Target {
        words: seeds::http_words,
        len_max: 10 * KB,
        ..target("http", http::run, seeds::http_requests)
    },
    target("intset", packed::intset, seeds::intsets),
    target("jsonl", tools::lines, seeds::json_lines),
    Target {
        len_max: 2 * KB,
        ..target("keyed", structures::keyed::run, seeds::random)
    },
    Target {
        len_max: 2 * KB,
        ..target("list", structures::list::run, seeds::random)
    },
    Target {
        len_max: 8 * KB,
        ..target("listpack", packed::listpack, seeds::listpacks)
    },
    Target {
        len_max: 64 * KB,
        ..target("lzf", lzf::run, seeds::packed)
    },
    Target {
        len_max: 512,
        ..target("number", text::number, seeds::numbers)
    },
    Target {
        len_max: 2 * KB,
        ..target("ranked", structures::ranked::run, seeds::random)
    },
    target("rdb_load", dump::load, seeds::files_to_read),
    target("rdb_read", rdb::read, seeds::files_to_read),
    target("rdb_rewrite", rdb::rewrite, seeds::files_to_rewrite),
    Target {
        words: seeds::link_words,
        len_max: 4 * KB,
        ..target("repl_link", replication::link::run, seeds::conversations)
    },
    Target {
        len_max: 2 * KB,
        ..target("repl_primary", replication::primary::run, seeds::random)
    },
    Target {
        len_max: 2 * KB,
        ..target("repl_transfer", replication::transfer::run, seeds::random)
    },
    Target {
        words: seeds::protocol_words,
        ..target("resp_reply", resp::reply, seeds::replies)
    },
    Target {
        words: seeds::protocol_words,
        ..target("resp_request", resp::request, seeds::requests)
    },
    target("salvage", tools::salvage, seeds::files_to_save),
    Target {
        len_max: 512,
        ..target("selection", tools::selection, seeds::selections)
    },
    target("stream_node", stream_node::run, seeds::stream_nodes),
    Target {
        len_max: 2 * KB,
        ..target("table", structures::table::run, seeds::random)
    },
    Target {
        len_max: 100 * KB,
        ..target("tls", tls::run, tls::hellos)
    },
    target("ziplist", packed::ziplist, seeds::ziplists),
];
