//! Children by fork, in a test program of their own: each of these forks the whole process.

use std::io::Write;
use std::time::{Duration, Instant};

use cairn_server::host::{Child, ChildExit, ChildGuise, ChildJob, Host};
use cairn_server::os::fork::spawn_child;
use cairn_server::os::signals::Signals;
use cairn_server::os::{SystemHost, alloc};

#[global_allocator]
static GLOBAL: alloc::Jemalloc = alloc::Jemalloc;

/// Polls as the server's timer does.
fn poll_until_exit(child: &mut dyn Child) -> ChildExit {
    let begin = Instant::now();
    loop {
        if let Some(exit) = child.poll() {
            return exit;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "the child does not end"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_child_sees_the_memory_of_the_fork_and_reports_size_and_copies() {
    let mut data = vec![1u8; 32 << 20];
    let (mut wake, mut waker) = mio::unix::pipe::new().map(|(s, r)| (r, s)).unwrap();
    let job: ChildJob<'_> = Box::new(|link| {
        // Wait for the parent's write, then look: the old bytes must still be there.
        let mut go = [0];
        wake.set_nonblocking(false).unwrap();
        std::io::Read::read_exact(&mut wake, &mut go).unwrap();
        let sum: u64 = data.iter().map(|byte| u64::from(*byte)).sum();
        link.progress(7);
        link.finished(sum);
        0
    });
    let mut child = SystemHost::new().fork(&ChildGuise::PLAIN, job).unwrap();
    assert!(child.poll().is_none());
    data.fill(2);
    waker.write_all(b"!").unwrap();
    assert_eq!(poll_until_exit(&mut *child), ChildExit::Code(0));
    assert_eq!(child.report().bytes, 32 << 20);
    assert_eq!(child.report().keys, 7);
    if cfg!(target_os = "linux") {
        // The parent wrote all the pages, so all of the child's are its own now, but for those that a child of another test
        // was forked with at the same time.
        assert!(child.report().cow >= 24 << 20, "{:?}", child.report());
        assert_eq!(child.report().cow, child.report().cow_peak);
    }
    assert!(child.fork_us() > 0);
    assert_eq!(
        child.poll(),
        Some(ChildExit::Code(0)),
        "the end stays known"
    );
    assert_eq!(data[0], 2);
}

#[test]
fn codes_panics_and_signals_are_told_apart() {
    let mut failed = spawn_child(&[], Box::new(|_| 3)).unwrap();
    assert_eq!(failed.wait(), ChildExit::Code(3));
    let mut panicked = spawn_child(
        &[],
        Box::new(|_| {
            // The hook would print to the test's output, which another thread may hold at the fork.
            std::panic::resume_unwind(Box::new("broken"));
        }),
    )
    .unwrap();
    assert_eq!(panicked.wait(), ChildExit::Code(101));
    let forever = || {
        spawn_child(
            &[],
            Box::new(|_| {
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            }),
        )
        .unwrap()
    };
    let mut stopped = forever();
    assert!(stopped.poll().is_none());
    stopped.kill();
    assert_eq!(
        poll_until_exit(&mut stopped),
        ChildExit::Signal(libc::SIGUSR1)
    );
    let mut killed = forever();
    // SAFETY: the pid is that of a child not yet waited for.
    unsafe { libc::kill(killed.pid() as i32, libc::SIGKILL) };
    assert_eq!(
        poll_until_exit(&mut killed),
        ChildExit::Signal(libc::SIGKILL)
    );
}

#[test]
fn a_signal_to_the_child_is_not_one_to_the_parent() {
    let _signals = Signals::install().unwrap();
    let mut child = spawn_child(
        &[],
        Box::new(|link| {
            link.progress(1000);
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }),
    )
    .unwrap();
    // SAFETY: the pid is that of a child not yet waited for.
    unsafe { libc::kill(child.pid() as i32, libc::SIGTERM) };
    assert_eq!(
        poll_until_exit(&mut child),
        ChildExit::Signal(libc::SIGTERM)
    );
    assert_eq!(cairn_server::os::signals::requested(), None);
}

#[test]
fn sockets_are_closed_in_the_child_and_the_peer_sees_the_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::net::TcpStream::connect(address).unwrap();
    let (served, _) = listener.accept().unwrap();
    let mut child = spawn_child(
        &[],
        Box::new(|_| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }),
    )
    .unwrap();
    // Give the child the time to close its copies.
    std::thread::sleep(Duration::from_millis(300));
    drop(listener);
    drop(served);
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut byte = [0];
    assert_eq!(
        std::io::Read::read(&mut &client, &mut byte).unwrap(),
        0,
        "the end of the stream"
    );
    std::net::TcpListener::bind(address).expect("the port is free while the child lives");
    child.kill();
    child.wait();
}

#[test]
fn allocation_works_in_a_child_while_threads_of_the_parent_allocate() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(std::hint::black_box(vec![0u8; 100_000]));
                    drop(std::hint::black_box(vec![0u8; 100]));
                }
            });
        }
        for _ in 0..30 {
            let mut child = spawn_child(
                &[],
                Box::new(|_| {
                    let all: Vec<Vec<u8>> = (0..1000).map(|size| vec![1; size * 10]).collect();
                    u8::from(all.len() != 1000)
                }),
            )
            .unwrap();
            assert_eq!(poll_until_exit(&mut child), ChildExit::Code(0));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
