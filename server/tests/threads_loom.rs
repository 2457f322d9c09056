//! Two threads that hand something over, one of which sleeps when there is nothing: in every order in which they can do it, with every value
//! that the machine may show them, nothing is left lying while the other sleeps.

/// What the code under test is built on.
mod sync {
    pub use loom::sync::atomic::{AtomicBool, Ordering, fence};
}

#[path = "../src/threads/doze.rs"]
mod doze;

use doze::Doze;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Sent one after the other.
const SENT: usize = 2;

/// The thread that sleeps, and how it is reached.
struct Sleeper {
    doze: Doze,
    /// As a ring: what was pushed is seen by whoever sees the count.
    sent: AtomicUsize,
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Sleeper {
    fn send(&self) {
        self.sent.fetch_add(1, Ordering::Release);
        if self.doze.must_be_woken() {
            *self.rung.lock().unwrap() = true;
            self.bell.notify_one();
        }
    }

    /// Takes all that is sent; a wait that nobody ends is told by loom.
    fn take_all(&self) {
        while self.sent.load(Ordering::Acquire) < SENT {
            self.doze.begin();
            if self.sent.load(Ordering::Acquire) < SENT {
                let mut rung = self.rung.lock().unwrap();
                while !*rung {
                    rung = self.bell.wait(rung).unwrap();
                }
                *rung = false;
            }
            self.doze.end();
        }
    }
}

fn sleeper() -> Arc<Sleeper> {
    Arc::new(Sleeper {
        doze: Doze::new(),
        sent: AtomicUsize::new(0),
        rung: Mutex::new(false),
        bell: Condvar::new(),
    })
}

/// Tries all orders with so many switches from a thread that could go on.
fn in_all_orders(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn what_one_thread_sends_wakes_the_other() {
    in_all_orders(|| {
        let sleeper = sleeper();
        let other = Arc::clone(&sleeper);
        let sender = thread::spawn(move || (0..SENT).for_each(|_| other.send()));
        sleeper.take_all();
        sender.join().unwrap();
    });
}

#[test]
fn what_two_threads_send_wakes_the_third() {
    in_all_orders(|| {
        let sleeper = sleeper();
        let senders: Vec<_> = (0..SENT)
            .map(|_| {
                let other = Arc::clone(&sleeper);
                thread::spawn(move || other.send())
            })
            .collect();
        sleeper.take_all();
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    });
}
