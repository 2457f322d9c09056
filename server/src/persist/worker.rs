//! A thread that does slow calls of the disk one after the other, so that the event loop need not wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::os::alloc;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it starts with the first job and ends, all jobs done, when this is dropped.
#[derive(Debug, Default)]
pub struct Worker {
    running: Option<(Sender<Job>, JoinHandle<()>)>,
    waiting: Arc<AtomicUsize>,
}

impl Worker {
    /// A worker that has no thread yet: threads do not survive daemonize.
    pub fn new() -> Worker {
        Worker::default()
    }

    /// Number of jobs that are not finished.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Hands a job over. Should the system refuse a thread, the job is done here and now.
    pub fn send(&mut self, name: &str, job: impl FnOnce() + Send + 'static) {
        let waiting = Arc::clone(&self.waiting);
        waiting.fetch_add(1, Ordering::AcqRel);
        let counted: Job = Box::new(move || {
            job();
            waiting.fetch_sub(1, Ordering::AcqRel);
        });
        if self.running.is_none() {
            self.running = start(name);
        }
        match &self.running {
            Some((sender, _)) => {
                if let Err(back) = sender.send(counted) {
                    (back.0)();
                }
            }
            None => counted(),
        }
    }

    /// Waits until all jobs are done.
    pub fn drain(&mut self) {
        if let Some((sender, thread)) = self.running.take() {
            drop(sender);
            // A job that panicked has said so on stderr; there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.drain();
    }
}

fn start(name: &str) -> Option<(Sender<Job>, JoinHandle<()>)> {
    let (sender, jobs) = channel::<Job>();
    let run = move || {
        let _counted = alloc::register_thread();
        for job in jobs {
            job();
        }
    };
    let thread = std::thread::Builder::new()
        .name(name.to_string())
        .spawn(run)
        .ok()?;
    Some((sender, thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_in_order_and_counted() {
        let mut worker = Worker::new();
        let done = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (hold, held) = channel::<()>();
        worker.send("test", move || held.recv().unwrap_or_default());
        for number in 0..100 {
            let done = Arc::clone(&done);
            worker.send("test", move || done.lock().unwrap().push(number));
        }
        assert_eq!(worker.waiting(), 101);
        drop(hold);
        worker.drain();
        assert_eq!(worker.waiting(), 0);
        assert_eq!(*done.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }
}
