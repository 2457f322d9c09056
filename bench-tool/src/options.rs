//! What was typed, and the plan that it means.

use crate::target::Target;
use crate::template::Template;
use cairn_format::resp::reply::Protocol;
use cairn_toolkit::Failure;
use cairn_toolkit::remote::{Place, Sign};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Shown below the help of the tool and of `run`.
pub const EXAMPLES: &str = "\
Examples:
  bench-tool run --port 6379 --clients 50 --pipeline 16 --requests 1000000 --command \"SET key:{rand:1000000} {data:64}\"
  bench-tool run --command \"GET key:{rand:1000}\" --weight 9 --command \"SET key:{rand:1000} {data:100}\" --weight 1
  bench-tool run --command \"HSET user:{=id:rand:1000} id {=id}\"
  bench-tool run --rate 20000 --duration 30 --warmup 5 --command \"GET key:{rand:1000}\" --json result.json

Places in a command:
  {rand:N}   a random number from 0 to N-1
  {seq}      0, 1, 2 ... over all clients
  {data:N}   N random letters and digits
  {=NAME:rand:N}, {=NAME:seq}, {=NAME:data:N}   the same, and {=NAME} behind it in the command is the same value again
  Words are quoted as in redis-cli. Other braces stay as they are.

Exit status: 0 all well, 1 the server answered with errors, 2 the run could not be done or connections were lost.";

/// Requests of a run that is limited neither by count nor by time.
const REQUESTS_DEFAULT: u64 = 100_000;

/// The options of `bench-tool run`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArguments {
    /// Host name or address of the server
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the server
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// Connect to this Unix socket instead
    #[arg(short, long, conflicts_with_all = ["host", "port"], value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Password; the environment variable REDISCLI_AUTH is used if this is not given
    #[arg(short = 'a', long)]
    password: Option<String>,
    /// User name that goes with the password
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Database number
    #[arg(long, default_value_t = 0)]
    db: u32,
    /// Protocol version, 2 or 3
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    resp: u8,
    /// Connections
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    clients: u32,
    /// Requests that a client sends before it waits for their replies
    #[arg(short = 'P', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// Requests of the whole run, without the warm-up [default: 100000, or no limit with --duration]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Seconds after which no more requests are sent, without the warm-up
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Seconds of load before the measuring starts
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    warmup: Duration,
    /// Requests a second on a fixed schedule; latencies then count from the scheduled time
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// Threads that share the clients
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Seconds without any reply after which the run is given up; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,
    /// Seed of {rand:N} and {data:N}
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A command to send; several are mixed
    #[arg(long = "command", value_name = "WORDS", required = true)]
    commands: Vec<String>,
    /// How often a command is chosen; one for each --command, in their order
    #[arg(long = "weight", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    weights: Vec<u32>,
    /// Also write the result as JSON to this file; with - only JSON goes to stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A run, ready to start.
#[derive(Debug)]
pub struct Plan {
    /// Whom to ask.
    pub target: Target,
    /// Connections of all threads.
    pub clients: usize,
    /// Requests that one client has on their way at most.
    pub pipeline: usize,
    /// Measured requests; `u64::MAX` if only time ends the run.
    pub requests: u64,
    /// Measured time.
    pub duration: Option<Duration>,
    /// Time before it.
    pub warmup: Duration,
    /// Requests a second of an open loop.
    pub rate: Option<u64>,
    /// Event loops.
    pub threads: usize,
    /// Longest silence; `None` for ever.
    pub timeout: Option<Duration>,
    /// Seed of everything random.
    pub seed: u64,
    /// What to send, with how often it is chosen.
    pub commands: Vec<(Template, u32)>,
    /// Where the JSON goes.
    pub json: Option<PathBuf>,
}

impl RunArguments {
    /// Turns words into a plan, or says which word is wrong.
    pub fn plan(self) -> Result<Plan, Failure> {
        if !self.weights.is_empty() && self.weights.len() != self.commands.len() {
            return Err(Failure::new(format!(
                "{} --weight for {} --command; give one for each or none",
                self.weights.len(),
                self.commands.len()
            )));
        }
        let weights = self.weights.iter().copied().chain(std::iter::repeat(1));
        let templates: Vec<Template> = self
            .commands
            .iter()
            .map(|text| Template::parse(text))
            .collect::<Result<_, _>>()
            .map_err(Failure::new)?;
        let place = match self.socket {
            Some(path) => Place::Unix(path),
            None => Place::Tcp(self.host, self.port),
        };
        let sign = Sign {
            user: self.user,
            password: self
                .password
                .or_else(|| std::env::var("REDISCLI_AUTH").ok()),
            db: u64::from(self.db),
            protocol: if self.resp == 3 {
                Protocol::Resp3
            } else {
                Protocol::Resp2
            },
        };
        let unlimited = if self.duration.is_some() {
            u64::MAX
        } else {
            REQUESTS_DEFAULT
        };
        Ok(Plan {
            target: Target { place, sign },
            clients: self.clients as usize,
            pipeline: self.pipeline as usize,
            requests: self.requests.unwrap_or(unlimited),
            duration: self.duration,
            warmup: self.warmup,
            rate: self.rate,
            threads: self.threads.min(self.clients) as usize,
            timeout: Some(self.timeout).filter(|timeout| !timeout.is_zero()),
            seed: self.seed,
            commands: templates.into_iter().zip(weights).collect(),
            json: self.json,
        })
    }
}

/// Seconds as people type them: `5`, `0.5`; at most a year.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=31_536_000.0).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("expected seconds, as in 5 or 0.5".to_owned()),
    }
}
