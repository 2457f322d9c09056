//! A thread that does one job after the other.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What a worker does.
pub type Job = Box<dyn FnOnce() + Send>;

/// What a thread does first; the answer is kept until its end.
pub type Enter = Arc<dyn Fn() -> Box<dyn Any> + Send + Sync>;

/// Does jobs in the order in which they were sent.
pub trait Worker: Debug {
    /// Hands a job over.
    fn send(&mut self, job: Job);
    /// Number of jobs that are not finished.
    fn waiting(&self) -> usize;
    /// Waits until all jobs are done.
    fn drain(&mut self);
}

/// A thread of its own; it starts with the first job, since threads do not survive daemonize, and ends, all jobs done, when
/// this is dropped.
pub struct ThreadWorker {
    name: &'static str,
    enter: Enter,
    running: Option<(Sender<Job>, JoinHandle<()>)>,
    waiting: Arc<AtomicUsize>,
}

impl ThreadWorker {
    /// A worker that has no thread yet. `enter` is called at the thread's start and its answer dropped at its end.
    pub fn new(
        name: &'static str,
        enter: impl Fn() -> Box<dyn Any> + Send + Sync + 'static,
    ) -> ThreadWorker {
        ThreadWorker {
            name,
            enter: Arc::new(enter),
            running: None,
            waiting: Arc::default(),
        }
    }

    fn start(&self) -> Option<(Sender<Job>, JoinHandle<()>)> {
        assert!(
            self.running.is_none(),
            "a second thread would change the order"
        );
        let (sender, jobs) = channel::<Job>();
        let enter = Arc::clone(&self.enter);
        let run = move || {
            let _kept = enter();
            for job in jobs {
                job();
            }
        };
        let thread = std::thread::Builder::new()
            .name(self.name.to_string())
            .spawn(run)
            .ok()?;
        Some((sender, thread))
    }
}

impl Debug for ThreadWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadWorker({}, {} jobs)", self.name, self.waiting())
    }
}

impl Worker for ThreadWorker {
    /// Should the system refuse a thread, the job is done here and now.
    fn send(&mut self, job: Job) {
        let waiting = Arc::clone(&self.waiting);
        waiting.fetch_add(1, Ordering::AcqRel);
        let counted: Job = Box::new(move || {
            job();
            let before = waiting.fetch_sub(1, Ordering::AcqRel);
            assert!(before > 0, "a job is finished twice");
        });
        if self.running.is_none() {
            self.running = self.start();
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

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn drain(&mut self) {
        if let Some((sender, thread)) = self.running.take() {
            drop(sender);
            // A job that panicked has said so on stderr; there is nothing left to wait for.
            let ended = thread.join();
            debug_assert!(ended.is_err() || self.waiting() == 0, "jobs were forgotten");
        }
    }
}

impl Drop for ThreadWorker {
    fn drop(&mut self) {
        self.drain();
    }
}

/// The jobs of one worker that were not begun.
type Waiting = Arc<Mutex<VecDeque<Job>>>;

/// Workers without threads: their jobs are done when somebody says so.
#[derive(Clone, Default)]
pub struct JobQueues(Arc<Mutex<Vec<Waiting>>>);

impl JobQueues {
    /// A worker whose jobs wait here.
    pub fn worker(&self) -> Box<dyn Worker> {
        let waiting = Waiting::default();
        lock(&self.0).push(Arc::clone(&waiting));
        Box::new(QueueWorker(waiting))
    }

    /// Workers that have something to do.
    pub fn busy(&self) -> usize {
        lock(&self.0).iter().filter(|w| !lock(w).is_empty()).count()
    }

    /// Does the next job of one of the workers that have any, by its number among them. False if there is no such worker.
    pub fn run(&self, number: usize) -> bool {
        let mut queues = lock(&self.0);
        // Those whose worker is gone and whose jobs are done.
        queues.retain(|w| Arc::strong_count(w) > 1 || !lock(w).is_empty());
        let mut busy = queues.iter().filter(|w| !lock(w).is_empty());
        let job = busy.nth(number).and_then(|w| lock(w).pop_front());
        drop(queues);
        job.map(|job| job()).is_some()
    }

    /// Forgets all jobs: the process is gone.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}

impl fmt::Debug for JobQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobQueues({} busy)", self.busy())
    }
}

struct QueueWorker(Waiting);

impl fmt::Debug for QueueWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueWorker({} jobs)", self.waiting())
    }
}

impl Worker for QueueWorker {
    fn send(&mut self, job: Job) {
        lock(&self.0).push_back(job);
    }

    fn waiting(&self) -> usize {
        lock(&self.0).len()
    }

    fn drain(&mut self) {
        loop {
            let job = lock(&self.0).pop_front();
            let Some(job) = job else {
                return;
            };
            job();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_in_order_and_counted() {
        let mut worker = ThreadWorker::new("test", || Box::new(()));
        let done = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (hold, held) = channel::<()>();
        worker.send(Box::new(move || held.recv().unwrap_or_default()));
        for number in 0..100 {
            let done = Arc::clone(&done);
            worker.send(Box::new(move || done.lock().unwrap().push(number)));
        }
        assert_eq!(worker.waiting(), 101);
        drop(hold);
        worker.drain();
        assert_eq!(worker.waiting(), 0);
        assert_eq!(*done.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn queues_do_a_job_when_told_to() {
        let queues = JobQueues::default();
        let (mut one, mut two) = (queues.worker(), queues.worker());
        let done = Arc::new(Mutex::new(Vec::new()));
        let job = |name: u8| -> Job {
            let done = Arc::clone(&done);
            Box::new(move || done.lock().unwrap().push(name))
        };
        for name in 0..3 {
            one.send(job(name));
            two.send(job(10 + name));
        }
        assert!(queues.run(1) && queues.run(0) && !queues.run(2));
        assert_eq!((one.waiting(), two.waiting(), queues.busy()), (2, 2, 2));
        two.drain();
        drop(one);
        assert!(queues.run(0) && queues.run(0) && !queues.run(0));
        assert_eq!(*done.lock().unwrap(), [10, 0, 11, 12, 1, 2]);
    }
}
