//! Encrypted connections that go to I/O threads and come back while they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Connection, wait_until};
use crate::talk::Place;

#[test]
fn what_is_encrypted_goes_to_threads_and_comes_back() {
    let place = Place::new();
    let options = "--tls-auth-clients no --io-threads 3 --io-threads-min-load 0";
    let encrypted = Arc::new(place.start(options));
    let ends = Arc::new(AtomicBool::new(false));
    let config = place.config(None);
    let clients: Vec<_> = (0..4)
        .map(|at| {
            let (encrypted, ends, config) = (encrypted.clone(), ends.clone(), config.clone());
            std::thread::spawn(move || {
                let mut talk = encrypted.talk(&config);
                let value = "v".repeat(100_000 * at);
                talk.ask(&format!("SET value-{at} x{value}"));
                let mut count = 0;
                while !ends.load(Ordering::Relaxed) {
                    count += 1;
                    assert_eq!(
                        talk.ask(&format!("INCR count-{at}")),
                        format!("Int({count})")
                    );
                    talk.send(format!("GET value-{at}\r\nPING\r\n").as_bytes());
                    let read = talk.read().unwrap();
                    assert_eq!(read.as_bytes().unwrap().len(), 1 + value.len());
                    assert_eq!(talk.read().unwrap().as_bytes().unwrap(), b"PONG");
                }
                count
            })
        })
        .collect();
    let mut control = encrypted.server.connect();
    let owned = |control: &mut Connection| control.owned_by_threads().iter().sum::<u64>();
    wait_until("threads own all", || owned(&mut control) == 5);
    for count in [1, 2, 4, 1, 3] {
        control.good(&format!("CONFIG SET io-threads {count}"));
        wait_until("threads own all, or none", || {
            owned(&mut control) == if count == 1 { 0 } else { 5 }
        });
        std::thread::sleep(Duration::from_millis(100));
    }
    ends.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.join().unwrap() > 0);
    }
    wait_until("they are gone", || owned(&mut control) == 1);
}
