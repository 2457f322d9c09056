//! Connections made again, beside the event loop: connecting waits, and the loop must not.

use crate::target::{Stream, Target};
use mio::{Registry, Token, Waker};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes connections of one event loop again, one after the other.
#[derive(Debug)]
pub struct Mender {
    asks: Sender<(usize, Target)>,
    made: Receiver<(usize, Stream)>,
    is_over: Arc<AtomicBool>,
}

impl Mender {
    /// A mender that wakes the poll of this registry under `token` when it has made one.
    ///
    /// # Errors
    /// The system has no room for another thread or waker.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Mender> {
        let waker = Waker::new(registry, token)?;
        let (asks, asked) = channel::<(usize, Target)>();
        let (gives, made) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        thread::Builder::new()
            .name("mender".to_owned())
            .spawn(move || {
                while let Ok((which, target)) = asked.recv() {
                    let Some(stream) = connect(&target, &over) else {
                        return;
                    };
                    if gives.send((which, stream)).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
            })?;
        Ok(Mender {
            asks,
            made,
            is_over,
        })
    }

    /// Asks for a connection in place of one that ended.
    pub fn ask(&self, which: usize, target: Target) {
        // Without its thread there is nobody to ask, and the connection stays lost.
        let _ = self.asks.send((which, target));
    }

    /// The next one that was made.
    pub fn made(&self) -> Option<(usize, Stream)> {
        self.made.try_recv().ok()
    }
}

impl Drop for Mender {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

fn connect(target: &Target, over: &AtomicBool) -> Option<Stream> {
    while !over.load(Relaxed) {
        match target.connect() {
            Ok(stream) => return Some(stream),
            Err(_) => thread::sleep(PAUSE),
        }
    }
    None
}
