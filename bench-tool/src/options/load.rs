//! What is sent, by how many clients, how fast and how long.

use super::{span, time};
use crate::load::arrivals::Rate;
use crate::load::{Io, Plan, Warmup};
use crate::target::Target;
use crate::workload::place::Vocabulary;
use crate::workload::shape::Shapes;
use crate::workload::{Workload, file, suite, ycsb};
use cairn_toolkit::Failure;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Requests of a run that is limited neither by count nor by time.
const REQUESTS_DEFAULT: u64 = 100_000;
const CLIENTS_DEFAULT: u32 = 50;
/// Longest workload file, in bytes.
const FILE_MAX: u64 = 16 << 20;
/// Words of `--suite`.
const SUITE_REDIS: &str = "redis";
const SUITE_YCSB: &str = "ycsb-";

/// Options that say what is sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is sent")]
pub struct WorkloadArguments {
    /// A request to send; several are mixed. ; as a word of its own joins commands to one request
    #[arg(long = "command", value_name = "WORDS", conflicts_with_all = ["suite", "workload"])]
    commands: Vec<String>,
    /// How often a request is chosen; one for each --command, in their order
    #[arg(long = "weight", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), requires = "commands")]
    weights: Vec<u32>,
    /// A known workload: redis (the customary single commands, one after the other), redis:GET,SET (some of them), ycsb-a to ycsb-f [default: redis]
    #[arg(long, value_name = "NAME", conflicts_with = "workload")]
    suite: Option<String>,
    /// The workload of a TOML file
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// Keys, where a request does not say how many there are
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    keys: u64,
    /// Bytes of the values of --suite redis
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=512 << 20))]
    data: u64,
    /// First send what the workload prepares; with --command what this request makes of each key, as in "SET key:{seq} {data:64}"
    #[arg(long, value_name = "WORDS", num_args = 0..=1, default_missing_value = "")]
    prefill: Option<String>,
    /// Let values follow from their keys, and compare those that are read with what should have been written
    #[arg(long)]
    verify: bool,
}

/// Options that say how it is sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "How it is sent")]
pub struct LoadArguments {
    /// Connections [default: 50]
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    clients: Option<u32>,
    /// Requests that a client sends before it waits for their replies [default: 1]
    #[arg(short = 'P', long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: Option<u32>,
    /// Requests of the whole run, without the warm-up [default: 100000, or no limit with --duration]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// After which time no more requests are sent, without the warm-up
    #[arg(short, long, value_name = "TIME", value_parser = span)]
    duration: Option<Duration>,
    /// Load before the measuring starts: a time, or `steady` for as long as throughput (in an open loop response times) still changes, half a minute at most
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = warmup)]
    warmup: Warmup,
    /// Requests a second on a schedule, as in 1000, 0.5, 100..5000 (a ramp) or 100,200,400 (steps); latencies then count from the scheduled time
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<Rate>,
    /// Let the requests of --rate come by chance, as those of independent users do (a Poisson process)
    #[arg(long, requires = "rate")]
    poisson: bool,
    /// Threads that share the clients
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Time without any reply after which the run is given up; 0 waits for ever
    #[arg(long, value_name = "TIME", default_value = "30", value_parser = time)]
    timeout: Duration,
    /// Make connections that are lost again
    #[arg(long)]
    reconnect: bool,
    /// What the bytes go through: io_uring, one call of the system for all that a turn sends and waits for, or epoll. `auto` takes a ring where there is
    /// one, for a closed loop with pipelines of 16 at most and up to 1,024 clients a thread; over TLS, in a cluster and with --reconnect always epoll
    #[arg(long, value_name = "WAY", value_enum, default_value_t)]
    io: Io,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One workload, or several that are measured one after the other.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// What they are called together.
    pub name: Option<String>,
    /// Each of them.
    pub workloads: Vec<Workload>,
    /// What a file says of the load.
    pub load: file::Load,
    /// Whether the data is prepared first.
    pub fills: bool,
    /// Whether values are compared.
    pub verify: bool,
}

impl WorkloadArguments {
    /// The workload that is meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn choose(&self) -> Result<Chosen, Failure> {
        let vocabulary = Vocabulary {
            keys: self.keys,
            shapes: Shapes::default(),
        };
        let mut chosen = match (&self.workload, &self.suite, self.commands.is_empty()) {
            (Some(path), _, _) => self.of_file(path)?,
            (None, None, false) => self.of_commands(&vocabulary)?,
            (None, suite, _) => {
                self.of_suite(suite.as_deref().unwrap_or(SUITE_REDIS), &vocabulary)?
            }
        };
        if let Some(words) = self.prefill.as_deref().filter(|words| !words.is_empty()) {
            chosen.workloads = chosen
                .workloads
                .into_iter()
                .map(|workload| workload.filled(&[(words.to_owned(), self.keys)], &vocabulary))
                .collect::<Result<_, _>>()
                .map_err(Failure::new)?;
        }
        if self.prefill.is_some()
            && chosen
                .workloads
                .iter()
                .all(|workload| workload.fills.is_empty())
        {
            return Err(
                Failure::new("--prefill: the requests do not say what there has to be")
                    .hint("--prefill \"SET key:{seq} {data:64}\" sends that for each of --keys"),
            );
        }
        let pools = chosen.workloads.iter().map(Workload::pools);
        if self.verify && pools.into_iter().any(|pools| pools.is_empty()) {
            return Err(Failure::new(
                "--verify: no request has {data}, so that it is not known what values should be",
            )
            .hint("--prefill \"SET key:{seq} {data:64}\" tells it"));
        }
        Ok(chosen)
    }

    fn chosen(&self, name: Option<String>, workloads: Vec<Workload>) -> Chosen {
        Chosen {
            name,
            workloads,
            load: file::Load::default(),
            fills: self.prefill.is_some(),
            verify: self.verify,
        }
    }

    fn of_commands(&self, vocabulary: &Vocabulary) -> Result<Chosen, Failure> {
        if !self.weights.is_empty() && self.weights.len() != self.commands.len() {
            return Err(Failure::new(format!(
                "{} --weight for {} --command; give one for each or none",
                self.weights.len(),
                self.commands.len()
            )));
        }
        let weights = self.weights.iter().copied().chain(std::iter::repeat(1));
        let commands: Vec<(String, u32)> = self.commands.iter().cloned().zip(weights).collect();
        let workload = Workload::of_commands(&commands, vocabulary).map_err(Failure::new)?;
        Ok(self.chosen(None, vec![workload]))
    }

    fn of_suite(&self, name: &str, vocabulary: &Vocabulary) -> Result<Chosen, Failure> {
        let (set, only) = name.split_once(':').unwrap_or((name, ""));
        if let Some(letter) = name.strip_prefix(SUITE_YCSB) {
            let workload =
                ycsb::workload(letter, vocabulary).map_err(|what| unknown_suite(name, &what))?;
            return Ok(self.chosen(None, vec![workload]));
        }
        if set != SUITE_REDIS {
            return Err(unknown_suite(name, "no such workload"));
        }
        let only: Vec<String> = only
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let workloads = suite::redis(&only, self.data, vocabulary)
            .map_err(|what| unknown_suite(name, &what))?;
        // LRANGE without a list, or GET without keys, measures nothing that anybody asks for.
        Ok(Chosen {
            fills: true,
            ..self.chosen(Some(SUITE_REDIS.to_owned()), workloads)
        })
    }

    fn of_file(&self, path: &Path) -> Result<Chosen, Failure> {
        let name = path.display().to_string();
        let failed = |error: &std::io::Error| Failure::io(&name, error);
        let size = std::fs::metadata(path)
            .map_err(|error| failed(&error))?
            .len();
        if size > FILE_MAX {
            return Err(Failure::new(format!(
                "{name}: {size} bytes, at most {FILE_MAX} are read as a workload"
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            Failure::new(format!(
                "{name}: byte {}: no UTF-8",
                error.utf8_error().valid_up_to()
            ))
        })?;
        let described = file::read(&text, self.keys).map_err(|wrong| {
            Failure::new(format!(
                "{name}: line {}, column {}: {}",
                wrong.line, wrong.column, wrong.what
            ))
        })?;
        Ok(Chosen {
            load: described.load,
            ..self.chosen(None, vec![described.workload])
        })
    }
}

fn unknown_suite(name: &str, what: &str) -> Failure {
    let letters = ycsb::NAMES
        .map(|letter| format!("{SUITE_YCSB}{letter}"))
        .join(", ");
    Failure::new(format!("--suite {name}: {what}")).hint(format!(
        "there are {SUITE_REDIS}, {SUITE_REDIS}:{},... and {letters}",
        suite::names()[1]
    ))
}

impl LoadArguments {
    /// The plan for one of the chosen workloads.
    ///
    /// # Errors
    /// The words do not go together.
    pub fn plan(
        &self,
        target: Target,
        is_cluster: bool,
        workload: Workload,
        chosen: &Chosen,
    ) -> Result<Plan, Failure> {
        let described = &chosen.load;
        let rate = match (&self.rate, &described.rate) {
            (Some(rate), _) => Some(rate.clone()),
            (None, Some(text)) => Some(
                text.parse()
                    .map_err(|what| Failure::new(format!("rate = {text:?}: {what}")))?,
            ),
            (None, None) => None,
        };
        if self.io == Io::Ring && (target.tls.is_some() || is_cluster || self.reconnect) {
            return Err(Failure::new(
                "--io ring: not over TLS, in a cluster or with --reconnect",
            ));
        }
        let clients = self
            .clients
            .or(described.clients)
            .unwrap_or(CLIENTS_DEFAULT);
        let duration = self
            .duration
            .or(described.duration.map(Duration::from_secs));
        let unlimited = if duration.is_some() {
            u64::MAX
        } else {
            REQUESTS_DEFAULT
        };
        Ok(Plan {
            target,
            is_cluster,
            workload,
            clients: clients as usize,
            pipeline: self.pipeline.or(described.pipeline).unwrap_or(1) as usize,
            requests: self.requests.unwrap_or(unlimited),
            duration,
            warmup: self.warmup,
            rate,
            poisson: self.poisson || described.poisson,
            threads: self.threads.min(clients) as usize,
            timeout: Some(self.timeout).filter(|timeout| !timeout.is_zero()),
            seed: self.seed,
            verify: chosen.verify,
            reconnect: self.reconnect,
            io: self.io,
        })
    }
}

fn warmup(text: &str) -> Result<Warmup, String> {
    match text {
        "steady" => Ok(Warmup::Steady),
        text => time(text)
            .map(Warmup::Time)
            .map_err(|what| format!("{what}, or steady")),
    }
}
