//! A server of the tests' own, which can misbehave. Two test programs name this file by its path.
#![allow(dead_code, reason = "each of them uses a part")]

use cairn_format::resp::request::{Limits, RequestParser, Step};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

/// What the responder answers to its n-th request, counted over all connections; `None` closes the connection.
type Answer = dyn Fn(u64, &[&[u8]]) -> Option<Vec<u8>> + Send + Sync;

/// A server that answers each request as the test says, and counts them.
pub(crate) struct Responder {
    pub(crate) port: u16,
    pub(crate) requests: Arc<AtomicU64>,
}

impl Responder {
    pub(crate) fn start(
        answer: impl Fn(u64, &[&[u8]]) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Responder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicU64::new(0));
        let (answer, counter): (Arc<Answer>, _) = (Arc::new(answer), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, counter) = (answer.clone(), counter.clone());
                thread::spawn(move || serve(stream.unwrap(), &*answer, &counter));
            }
        });
        Responder { port, requests }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, counter: &AtomicU64) {
    let (mut input, mut chunk) = (Vec::new(), [0; 65536]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(n) => input.extend_from_slice(&chunk[..n]),
        }
        let (mut start, mut parser, mut ranges, mut out) =
            (0, RequestParser::default(), Vec::new(), Vec::new());
        loop {
            ranges.clear();
            match parser.next(&input, start, &mut ranges, &Limits::default()) {
                Step::Command { end } => {
                    let words: Vec<&[u8]> = ranges
                        .iter()
                        .map(|r| &input[r.start as usize..r.end as usize])
                        .collect();
                    match answer(counter.fetch_add(1, SeqCst), &words) {
                        Some(reply) => out.extend_from_slice(&reply),
                        None => {
                            let _ = stream.write_all(&out);
                            return;
                        }
                    }
                    start = end;
                }
                Step::Incomplete { .. } => break,
                other => panic!("the tool sent something that is no command: {other:?}"),
            }
        }
        input.drain(..start);
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

/// The answer of a server that is well.
pub(crate) fn ok(_: u64, _: &[&[u8]]) -> Option<Vec<u8>> {
    Some(b"+OK\r\n".to_vec())
}
