//! Makes the steps of handshakes on a thread of their own.
//!
//! ```text
//!   Doorway --stream--> Worker: one step after the other --stream, what came of it--> Doorway
//!                                                        --first of them: Waker-----> the poll
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::Waker;

use crate::host::{Movable, Shake, Stream, Worker};

/// A step that was made.
#[derive(Debug)]
pub struct Step {
    /// The guest's place.
    pub place: usize,
    /// Its connection.
    pub stream: Stream,
    /// What came of it.
    pub shake: io::Result<Shake>,
}

/// A step that was made, on its way back.
type Made = (usize, Movable, io::Result<Shake>);

/// See the head of this file.
#[derive(Debug)]
pub struct Porter {
    worker: Box<dyn Worker>,
    /// Rings where steps are waited for.
    waker: Arc<Waker>,
    sender: Sender<Made>,
    made: Receiver<Made>,
    /// Some step was made, and there was no look behind it that found nothing: it was rung already.
    news: Arc<AtomicBool>,
    /// Nobody waits any more: what is still to be done is not worth a signature each.
    is_over: Arc<AtomicBool>,
}

impl Drop for Porter {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Porter {
    /// One with a thread to itself, who rings for each step, or for several of them.
    pub fn new(worker: Box<dyn Worker>, waker: Arc<Waker>) -> Porter {
        let (sender, made) = channel();
        Porter {
            worker,
            waker,
            sender,
            made,
            news: Arc::default(),
            is_over: Arc::default(),
        }
    }

    /// Has the guest of a place make a step.
    pub fn send(&mut self, place: usize, stream: Movable) {
        let (sender, news) = (self.sender.clone(), Arc::clone(&self.news));
        let (waker, is_over) = (Arc::clone(&self.waker), Arc::clone(&self.is_over));
        self.worker.send(Box::new(move || {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let mut stream = Stream::from(stream);
            let shake = stream.shake();
            let Ok(stream) = Movable::of(stream) else {
                unreachable!("what came here can go back");
            };
            // Nobody hears of it at the end of the process.
            let _ = sender.send((place, stream, shake));
            if !news.swap(true, Ordering::SeqCst) {
                // Fails only where the descriptor is full, and then it is rung already.
                let _ = waker.wake();
            }
        }));
    }

    /// Whether some step was made and not heard of.
    pub fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire)
    }

    /// A step that was made.
    pub fn take(&mut self) -> Option<Step> {
        let made = self.made.try_recv().or_else(|_| {
            self.news.store(false, Ordering::SeqCst);
            // What is made behind this look rings. What was made in front of it may have found that it was rung already.
            let late = self.made.try_recv();
            self.news.fetch_or(late.is_ok(), Ordering::SeqCst);
            late
        });
        let (place, stream, shake) = made.ok()?;
        Some(Step {
            place,
            stream: stream.into(),
            shake,
        })
    }
}
