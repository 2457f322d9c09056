//! Records and fields against plain values: every change that can move an allocation, in random order.

use std::cell::Cell;
use std::rc::Rc;

use cairn_engine::base::random::Random;
use cairn_engine::structure::record::{
    Field, Member, Payload, PayloadRef, Record, ScoredMember, Tag,
};

/// An object that counts how many of its kind live.
struct Counted {
    value: u64,
    live: Rc<Cell<i64>>,
}

impl Counted {
    fn boxed(value: u64, live: &Rc<Cell<i64>>) -> Box<Counted> {
        live.set(live.get() + 1);
        Box::new(Counted {
            value,
            live: live.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Int(i64),
    Bytes(Vec<u8>),
    Heap(u64),
}

fn random_int(random: &mut Random) -> i64 {
    let bits = random.below(64);
    let i = (random.next_u64() >> bits) as i64;
    if random.below(2) == 0 {
        i
    } else {
        i.wrapping_neg()
    }
}

fn random_plain(random: &mut Random) -> Plain {
    match random.below(3) {
        0 => Plain::Int(random_int(random)),
        1 => {
            let limit = [600, 24, 24, 24][random.index(4)];
            let mut bytes = vec![0; random.index(limit)];
            random.fill(&mut bytes);
            Plain::Bytes(bytes)
        }
        _ => Plain::Heap(random.next_u64()),
    }
}

fn payload<'a>(plain: &'a Plain, live: &Rc<Cell<i64>>) -> Payload<'a, Counted> {
    match plain {
        Plain::Int(i) => Payload::Int(*i),
        Plain::Bytes(b) => Payload::Bytes(b),
        Plain::Heap(v) => Payload::Heap(Counted::boxed(*v, live)),
    }
}

fn plain_of(record: &Record<Counted>) -> Plain {
    match record.payload() {
        PayloadRef::Int(i) => Plain::Int(i),
        PayloadRef::Bytes(b) => Plain::Bytes(b.to_vec()),
        PayloadRef::Heap(o) => Plain::Heap(o.value),
    }
}

#[test]
fn records_keep_all_parts_through_every_change() {
    let steps = if cfg!(miri) { 60 } else { 4_000 };
    for key_len in [0usize, 1, 16, 253, 254, 255, 256, 300, 70_000] {
        let mut random = Random::new(key_len as u64 + 1);
        let live = Rc::new(Cell::new(0));
        let mut key = vec![0; key_len];
        random.fill(&mut key);
        let (mut plain, mut expire) = (Plain::Int(0), None);
        let (mut tag, mut access, mut flags) = (Tag::new(3, 9), 0, 0);
        let mut record = Record::new(&key, tag, payload(&plain, &live), expire);
        for step in 0..steps.min(4_000_000 / (key_len + 1)) {
            match random.below(7) {
                0..=2 => {
                    let next = random_plain(&mut random);
                    tag = Tag::new(random.below(16) as u8, random.below(16) as u8);
                    let old = record.set_payload(tag, payload(&next, &live));
                    assert_eq!(
                        old.map(|o| Plain::Heap(o.value)),
                        matches!(plain, Plain::Heap(_)).then_some(plain)
                    );
                    plain = next;
                }
                3 => {
                    expire = (random.below(2) == 0).then(|| random.next_u64() as i64);
                    record.set_expire(expire);
                }
                4 => {
                    access = random.next_u64() as u32 & 0xff_ffff;
                    flags = random.below(32) as u8;
                    record.set_access(access);
                    record.set_flags(flags);
                }
                5 => {
                    random.fill(&mut key);
                    record.set_key(&key);
                }
                _ => match (record.object_mut(), &mut plain) {
                    (Some(a), Plain::Heap(b)) => {
                        a.value ^= 1;
                        *b ^= 1;
                    }
                    (object, plain) => assert_eq!(
                        object.is_some(),
                        matches!(plain, Plain::Heap(_)),
                        "key {key_len}, step {step}"
                    ),
                },
            }
            assert_eq!(record.key(), key, "key {key_len}, step {step}");
            assert_eq!(plain_of(&record), plain, "key {key_len}, step {step}");
            assert_eq!(
                (record.expire(), record.tag()),
                (expire, tag),
                "key {key_len}, step {step}"
            );
            assert_eq!(
                (record.access(), record.flags()),
                (access, flags),
                "key {key_len}, step {step}"
            );
            assert_eq!(
                live.get(),
                i64::from(matches!(plain, Plain::Heap(_))),
                "key {key_len}, step {step}"
            );
        }
        drop(record);
        assert_eq!(live.get(), 0, "key {key_len}: objects left behind");
    }
}

#[test]
fn integers_of_every_width_and_place() {
    let edges = (0..64).flat_map(|b| {
        let p = (1u64 << b) as i64;
        [
            p,
            p.wrapping_sub(1),
            p.wrapping_neg(),
            !p,
            p.wrapping_neg().wrapping_sub(1),
        ]
    });
    for i in edges {
        for key_len in 0..9 {
            let record = Record::<()>::new(
                &b"12345678"[..key_len],
                Tag::new(0, 1),
                Payload::Int(i),
                None,
            );
            assert!(
                matches!(record.payload(), PayloadRef::Int(j) if j == i),
                "{i} after {key_len} bytes"
            );
        }
    }
}

#[test]
fn sizes_are_what_the_design_says() {
    let size = |key: usize, payload: Payload<'_, ()>, expire| {
        Record::new(&vec![b'k'; key], Tag::new(0, 0), payload, expire).mem_bytes()
    };
    assert_eq!(size(16, Payload::Int(7), None), 32);
    assert_eq!(size(16, Payload::Int(i64::MIN), None), 32);
    assert_eq!(size(16, Payload::Bytes(b"12345678"), None), 32);
    assert_eq!(size(16, Payload::Bytes(&[b'x'; 64]), None), 88);
    assert_eq!(size(16, Payload::Bytes(&[b'x'; 64]), Some(1)), 96);
    assert_eq!(size(12, Payload::Int(1_000_000), None), 24);
    assert_eq!(size(12, Payload::Int(1 << 40), None), 32);
    assert_eq!(size(16, Payload::Heap(Box::new(())), None), 32);
    assert_eq!(size(254, Payload::Bytes(b""), None), 264);
    assert_eq!(size(255, Payload::Bytes(b""), None), 272);
    assert_eq!(Member::new(&[b'm'; 16]).mem_bytes(), 24);
    assert_eq!(ScoredMember::new(&[b'm'; 16], 1.5).mem_bytes(), 32);
}

#[test]
fn into_heap_hands_the_object_out_once() {
    let live = Rc::new(Cell::new(0));
    let record = Record::new(
        b"k",
        Tag::new(1, 1),
        Payload::Heap(Counted::boxed(5, &live)),
        Some(9),
    );
    let object = record.into_heap().expect("it was an object");
    assert_eq!((object.value, live.get()), (5, 1));
    drop(object);
    assert_eq!(live.get(), 0);
    assert!(
        Record::<Counted>::new(b"k", Tag::new(0, 0), Payload::Int(1), None)
            .into_heap()
            .is_none()
    );
}

#[test]
#[should_panic(expected = "do not belong inside a record")]
fn a_value_that_does_not_fit_is_refused() {
    Record::<()>::new(b"k", Tag::new(0, 0), Payload::Bytes(&[0; 65_536]), None);
}

#[test]
fn fields_keep_all_parts_through_every_change() {
    for name_len in [0usize, 1, 14, 15, 16, 127, 128, 16_383, 16_384, 70_000] {
        let mut random = Random::new(name_len as u64);
        let name: Vec<u8> = (0..name_len).map(|i| i as u8).collect();
        let (mut value, mut expire) = (Vec::new(), None);
        let mut field = Field::new(&name, &value, expire);
        for step in 0..if cfg!(miri) { 20 } else { 500 } {
            if random.below(3) > 0 {
                let limit = [4, 18, 40, 200, 20_000][random.index(5)];
                value = vec![step as u8; random.index(limit)];
                field.set_value(&value);
            } else {
                expire = (random.below(2) == 0).then(|| random.next_u64() as i64);
                field.set_expire(expire);
            }
            assert_eq!(
                field.pair(),
                (&name[..], &value[..]),
                "name {name_len}, step {step}"
            );
            assert_eq!((field.key(), field.value()), (&name[..], &value[..]));
            assert_eq!(field.expire(), expire, "name {name_len}, step {step}");
        }
    }
}

#[test]
fn members_of_every_length() {
    let long = if cfg!(miri) { 300 } else { 2_097_152 };
    for len in [0usize, 1, 126, 127, 128, 129, 16_383, 16_384, long] {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        assert_eq!(Member::new(&bytes).key(), bytes);
        let mut scored = ScoredMember::new(&bytes, f64::NEG_INFINITY);
        assert_eq!(
            (scored.key(), scored.score()),
            (&bytes[..], f64::NEG_INFINITY)
        );
        scored.set_score(-0.5);
        assert_eq!((scored.key(), scored.score()), (&bytes[..], -0.5));
    }
}
