//! Sleeping without missing what comes.
//!
//! A thread that finds nothing to do says so, looks once more, and waits in its poll; whoever sends it something does that first and
//! then looks whether it sleeps ([`super::doze`]). So a thread that is awake is never rung, which would be a system call.

use std::io;

use std::sync::Arc;

use mio::{Registry, Token, Waker};

use super::doze::Doze;

/// Wakes one thread.
#[derive(Debug)]
pub struct Bell {
    doze: Doze,
    waker: Arc<Waker>,
}

impl Bell {
    /// For the thread that waits in the poll of this registry; it finds `token` ready when it was rung.
    ///
    /// # Errors
    /// The system's: no descriptor is left.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Bell> {
        Ok(Bell::of(Arc::new(Waker::new(registry, token)?)))
    }

    /// For the thread that this wakes, others than who rings as well.
    pub fn of(waker: Arc<Waker>) -> Bell {
        Bell {
            doze: Doze::new(),
            waker,
        }
    }

    /// The thread is going to sleep: it looks for what has come once more behind this, and sleeps only if there is nothing.
    pub fn doze(&self) {
        self.doze.begin();
    }

    /// The thread is awake.
    pub fn awake(&self) {
        self.doze.end();
    }

    /// Something was sent: the thread is woken if it sleeps.
    pub fn ring(&self) {
        if self.doze.must_be_woken() {
            // Fails only where the descriptor is full, and then it is rung already.
            let _ = self.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::{Duration, Instant};

    use mio::{Events, Poll};

    use super::*;

    const ROUNDS: u32 = 100_000;
    /// A wake that is missed shows as a wait of this length.
    const LONG: Duration = Duration::from_secs(5);

    struct Side {
        poll: Poll,
        bell: Arc<Bell>,
        others: Arc<Bell>,
        inbox: Receiver<u32>,
        outbox: SyncSender<u32>,
    }

    impl Side {
        /// Answers each number, and sleeps whenever there is none. How often it slept.
        fn run(mut self, begins: bool) -> u32 {
            let mut events = Events::with_capacity(4);
            let mut slept = 0;
            if begins {
                self.outbox.send(0).unwrap();
                self.others.ring();
            }
            loop {
                let number = match self.inbox.try_recv() {
                    Ok(number) => number,
                    Err(_) => {
                        self.bell.doze();
                        match self.inbox.try_recv() {
                            Ok(number) => number,
                            Err(_) => {
                                let began = Instant::now();
                                self.poll.poll(&mut events, Some(LONG)).unwrap();
                                assert!(began.elapsed() < LONG, "nobody rang");
                                self.bell.awake();
                                slept += 1;
                                continue;
                            }
                        }
                    }
                };
                self.bell.awake();
                if number < ROUNDS {
                    self.outbox.send(number + 1).unwrap();
                    self.others.ring();
                }
                if number + 1 >= ROUNDS {
                    return slept;
                }
            }
        }
    }

    #[test]
    fn no_wake_is_missed() {
        let polls = [(); 2].map(|()| Poll::new().unwrap());
        let bells = polls
            .each_ref()
            .map(|poll| Arc::new(Bell::new(poll.registry(), Token(0)).unwrap()));
        let [to_a, to_b] = [(); 2].map(|()| sync_channel(4));
        let [a, b] = polls;
        let [bell_a, bell_b] = bells;
        let a = Side {
            poll: a,
            bell: Arc::clone(&bell_a),
            others: Arc::clone(&bell_b),
            inbox: to_a.1,
            outbox: to_b.0,
        };
        let b = Side {
            poll: b,
            bell: bell_b,
            others: bell_a,
            inbox: to_b.1,
            outbox: to_a.0,
        };
        let other = std::thread::spawn(move || b.run(false));
        let slept = a.run(true) + other.join().unwrap();
        assert!(slept > 0, "the sleeping was not tested");
    }
}
