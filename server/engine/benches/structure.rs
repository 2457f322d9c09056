//! What does a key cost? Bytes, nanoseconds, and the longest step while a table grows and shrinks.
//!
//! `cargo bench -p cairn-engine --bench structure [-- keys]` (1,000,000 keys by default for bytes and times, ten times as
//! many for the longest step). Bytes are what is asked of the allocator, rounded up to 8 per request, so they are the
//! same for every allocator; resident memory adds the allocator's own cost.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cairn_engine::base::random::Random;
use cairn_engine::structure::keyed::Keyed;
use cairn_engine::structure::record::{Field, Member, Payload, Record, ScoredMember, Tag};
use cairn_engine::structure::table::{Entry, Hasher, Table};

/// The system's allocator, and a sum of what is asked of it.
struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(layout.size().next_multiple_of(8), Ordering::Relaxed);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        ASKED.fetch_sub(layout.size().next_multiple_of(8), Ordering::Relaxed);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HASHER: Hasher = Hasher::new([11, 22, 33, 44]);
const TAG: Tag = Tag::new(0, 0);

fn key(n: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let (mut n, mut at) = (n, 16);
    while n > 0 {
        at -= 1;
        key[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    key
}

fn main() {
    let keys = std::env::args()
        .filter_map(|a| a.parse().ok())
        .next()
        .unwrap_or(1_000_000);
    println!("bytes per item, {keys} items (table + allocations of the items)");
    let strings = |value: &'static [u8], expire: Option<i64>| {
        move |n: usize| Record::<()>::new(&key(n), TAG, Payload::Bytes(value), expire)
    };
    bytes("16 B key, 8 B value", keys, strings(&[b'v'; 8], None));
    bytes("16 B key, 64 B value", keys, strings(&[b'v'; 64], None));
    bytes(
        "16 B key, 64 B value, expiry",
        keys,
        strings(&[b'v'; 64], Some(1)),
    );
    bytes("16 B key, integer", keys, |n| {
        Record::<()>::new(&key(n), TAG, Payload::Int(n as i64), None)
    });
    bytes("field of 15 B, value of 16 B", keys, |n| {
        Field::new(&key(n)[1..], &[b'v'; 16], None)
    });
    bytes("member of 16 B", keys, |n| Member::new(&key(n)));
    bytes("member of 16 B with score", keys, |n| {
        ScoredMember::new(&key(n), n as f64)
    });
    for few in [10, 200, 1_000, 10_000] {
        bytes(&format!("member of 16 B, set of {few}"), few, |n| {
            Member::new(&key(n))
        });
    }
    times(keys);
    longest_steps(keys * 10);
}

fn bytes<E: Entry>(what: &str, keys: usize, make: impl Fn(usize) -> E) {
    let before = ASKED.load(Ordering::Relaxed);
    let mut table = Table::new(HASHER);
    for n in 0..keys {
        table.insert(HASHER.hash(&key_of(&make(n))), make(n));
    }
    let per_key = |bytes: usize| bytes as f64 / keys as f64;
    let total = ASKED.load(Ordering::Relaxed) - before;
    println!(
        "  {what:32} {:6.1}  (table {:.1})",
        per_key(total),
        per_key(table.mem_bytes())
    );
}

fn key_of<E: Entry>(entry: &E) -> Vec<u8> {
    entry.key().to_vec()
}

fn time(what: &str, n: usize, mut work: impl FnMut(usize)) {
    let start = Instant::now();
    for i in 0..n {
        work(i);
    }
    println!(
        "  {what:32} {:6.1}",
        start.elapsed().as_nanos() as f64 / n as f64
    );
}

fn times(keys: usize) {
    println!("nanoseconds per operation, {keys} keys of 16 B with 8 B");
    let mut random = Random::new(1);
    let order: Vec<usize> = (0..keys).map(|_| random.index(keys)).collect();
    let mut keyed: Keyed<()> = Keyed::new(HASHER);
    let mut sum = 0;
    time("hash", keys, |n| sum ^= HASHER.hash(&key(n)));
    time("insert", keys, |n| {
        let key = key(n);
        keyed.insert(
            HASHER.hash(&key),
            &key,
            TAG,
            Payload::Bytes(b"12345678"),
            None,
        );
    });
    time("find, there, in random order", keys, |n| {
        let key = key(order[n]);
        sum ^= keyed
            .get(keyed.find(HASHER.hash(&key), &key).expect("inserted"))
            .mem_bytes() as u64;
    });
    time("find, not there", keys, |n| {
        let key = key(order[n] + keys);
        sum ^= u64::from(keyed.find(HASHER.hash(&key), &key).is_some());
    });
    let batches = keys / 64;
    let start = Instant::now();
    for batch in 0..batches {
        let keys: [[u8; 16]; 64] = std::array::from_fn(|i| key(order[batch * 64 + i]));
        let hashes = keys.map(|key| HASHER.hash(&key));
        let ahead = keyed.ahead();
        hashes.iter().for_each(|&hash| ahead.bucket(hash));
        let behind = hashes.map(|hash| ahead.entry(hash));
        let behind = hashes.iter().zip(behind).filter(|(_, behind)| *behind);
        behind.for_each(|(&hash, _)| ahead.behind(hash));
        for (key, hash) in keys.iter().zip(hashes) {
            sum ^= keyed
                .get(keyed.find(hash, key).expect("inserted"))
                .mem_bytes() as u64;
        }
    }
    println!(
        "  {:32} {:6.1}",
        "find in batches of 64",
        start.elapsed().as_nanos() as f64 / (batches * 64) as f64
    );
    time("set an integer (moves once)", keys, |n| {
        let key = key(order[n]);
        let slot = keyed.find(HASHER.hash(&key), &key).expect("inserted");
        keyed.set_payload(slot, TAG, Payload::Int(n as i64));
    });
    time("set an expiry", keys, |n| {
        let key = key(order[n]);
        let slot = keyed.find(HASHER.hash(&key), &key).expect("inserted");
        keyed.set_expire(slot, Some(n as i64));
    });
    time("random key", keys / 10, |_| {
        sum ^= u64::from(keyed.random(&mut random).is_some())
    });
    time("sample of 5 keys", keys / 10, |_| {
        keyed.sample(5, &mut random, &mut |r| sum ^= u64::from(r.access()))
    });
    let start = Instant::now();
    sum ^= keyed.iter().map(|r| r.key().len() as u64).sum::<u64>();
    println!(
        "  {:32} {:6.1}",
        "iterate",
        start.elapsed().as_nanos() as f64 / keys as f64
    );
    time("remove", keys, |n| {
        let key = key(n);
        let slot = keyed.find(HASHER.hash(&key), &key).expect("inserted");
        sum ^= keyed.remove(slot).mem_bytes() as u64;
    });
    black_box(sum);
}

/// Times of every operation, the least of several rounds: an interruption by the machine hits another operation each time,
/// the work of the table the same ones.
struct Least {
    nanos: Vec<u32>,
}

impl Least {
    fn new(n: usize) -> Least {
        Least {
            nanos: vec![u32::MAX; n],
        }
    }

    fn round(&mut self, mut work: impl FnMut(usize)) {
        for (n, least) in self.nanos.iter_mut().enumerate() {
            let start = Instant::now();
            work(n);
            let took = u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX);
            *least = took.min(*least);
        }
    }

    fn print(mut self, what: &str) {
        self.nanos.sort_unstable();
        let n = self.nanos.len();
        let micros = |nanos: u32| f64::from(nanos) / 1e3;
        println!(
            "  {what:32} {:.1} {:.1} {:.1} {:.1}",
            micros(self.nanos[n - 1]),
            micros(self.nanos[n - 10]),
            micros(self.nanos[n - n / 10_000]),
            micros(self.nanos[n / 2]),
        );
    }
}

fn longest_steps(keys: usize) {
    println!(
        "microseconds per operation, {keys} keys, least of 3 rounds: longest, tenth longest, 99.99 %, median"
    );
    let (mut inserts, mut removes) = (Least::new(keys), Least::new(keys));
    for _ in 0..3 {
        let mut keyed: Keyed<()> = Keyed::new(HASHER);
        inserts.round(|n| {
            let key = key(n);
            keyed.insert(
                HASHER.hash(&key),
                &key,
                TAG,
                Payload::Bytes(b"12345678"),
                None,
            );
        });
        removes.round(|n| {
            let key = key(n);
            let slot = keyed.find(HASHER.hash(&key), &key).expect("inserted");
            drop(keyed.remove(slot));
        });
    }
    inserts.print("insert");
    removes.print("remove");
}
