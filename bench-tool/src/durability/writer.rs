//! Numbered writes, and which of them are there.
//!
//! Writer `w` sets `durability:w:0`, `durability:w:1` ... to their numbers. Replies come in order, so the acknowledged writes of a writer are the first ones.

use super::process::Server;
use cairn_format::resp::value::{Value, write_command};
use cairn_toolkit::Failure;
use cairn_toolkit::remote::Client;
use std::thread;
use std::time::{Duration, Instant};

/// Keys that are asked for at once.
const BATCH: u64 = 1000;

/// What was written before the kill.
#[derive(Debug)]
pub struct Written {
    /// Of each writer, when each of its writes was acknowledged, from the start of the writing.
    pub acknowledged: Vec<Vec<Duration>>,
    /// Of each writer, how many writes it sent.
    sent: Vec<u64>,
    /// When the server was killed, from the start of the writing.
    pub killed_after: Duration,
}

/// Writes until the server is killed, `after` from now.
///
/// # Errors
/// No connection, or a write is refused.
pub fn write(
    server: &Server,
    writers: u32,
    pipeline: u32,
    after: Duration,
) -> Result<Written, Failure> {
    let clients: Vec<Client> = (0..writers)
        .map(|_| server.client())
        .collect::<Result<_, _>>()?;
    let since = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(writer, client)| scope.spawn(move || write_on(client, writer, pipeline, since)))
            .collect();
        thread::sleep(after.saturating_sub(since.elapsed()));
        server.kill_group();
        let killed_after = since.elapsed();
        let mut written = Written {
            acknowledged: Vec::new(),
            sent: Vec::new(),
            killed_after,
        };
        for thread in threads {
            let (acknowledged, sent) = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            written.acknowledged.push(acknowledged);
            written.sent.push(sent);
        }
        Ok(written)
    })
}

fn key(writer: usize, number: u64) -> String {
    format!("durability:{writer}:{number}")
}

/// One connection, until it ends.
fn write_on(
    mut client: Client,
    writer: usize,
    pipeline: u32,
    since: Instant,
) -> Result<(Vec<Duration>, u64), Failure> {
    let (mut acknowledged, mut sent) = (Vec::new(), 0);
    loop {
        let mut bytes = Vec::new();
        for _ in 0..pipeline {
            write_command(&mut bytes, &["SET", &key(writer, sent), &sent.to_string()]);
            sent += 1;
        }
        if client.send(&bytes).is_err() {
            return Ok((acknowledged, sent));
        }
        for _ in 0..pipeline {
            match client.reply() {
                Ok(Value::Simple(_)) => acknowledged.push(since.elapsed()),
                Ok(Value::Error(line)) => return Err(client.refused("SET", &line)),
                Ok(other) => {
                    return Err(Failure::new(format!(
                        "{}: SET was answered with {other:?}",
                        client.name()
                    )));
                }
                Err(_) => return Ok((acknowledged, sent)),
            }
        }
    }
}

/// Which of all writes are there: writer, number, and whether it is.
///
/// # Errors
/// The server does not answer.
pub fn look(client: &mut Client, written: &Written) -> Result<Vec<(usize, u64, bool)>, Failure> {
    let mut all = Vec::new();
    for (writer, &sent) in written.sent.iter().enumerate() {
        for from in (0..sent).step_by(BATCH as usize) {
            let numbers = from..(from + BATCH).min(sent);
            let keys = numbers.clone().map(|number| key(writer, number));
            let words: Vec<String> = ["MGET".to_owned()].into_iter().chain(keys).collect();
            let reply = client.ask(&words)?;
            for (number, value) in numbers.zip(reply.as_array().unwrap_or_default()) {
                let is_there = value.as_bytes() == Some(number.to_string().as_bytes());
                all.push((writer, number, is_there));
            }
        }
    }
    Ok(all)
}
