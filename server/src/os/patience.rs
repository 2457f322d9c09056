//! Threads that do not interrupt others when they are woken.
//!
//! Linux lets a thread that was woken run at once, in place of whoever runs, if it has had little so far. Where threads hand small
//! pieces of work to each other that means one piece at a time, and a switch for each. Of class `SCHED_BATCH` it waits for its turn,
//! and finds what has gathered meanwhile; on an idle processor it runs at once all the same.

/// Sets the class of the calling thread; whether it is that now. A thread that somebody gave another class than these two keeps it.
pub(super) fn set(patient: bool) -> bool {
    let (from, to) = match patient {
        true => (libc::SCHED_OTHER, libc::SCHED_BATCH),
        false => (libc::SCHED_BATCH, libc::SCHED_OTHER),
    };
    // SAFETY: a question about the calling thread.
    if unsafe { libc::sched_getscheduler(0) } != from {
        return false;
    }
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter is ours and is read only.
    unsafe { libc::sched_setscheduler(0, to, &none) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_becomes_patient_and_is_itself_again() {
        std::thread::spawn(|| {
            assert!(!set(false), "it is not");
            assert!(set(true) && !set(true));
            assert!(set(false));
        })
        .join()
        .unwrap();
    }
}
