use super::*;

fn texts(buf: &[u8]) -> Vec<Vec<u8>> {
    Listpack::check(buf)
        .unwrap()
        .iter()
        .map(|(_, entry)| entry.to_bytes().into_owned())
        .collect()
}

fn of(texts: &[&[u8]]) -> Vec<u8> {
    let mut buf = empty();
    for text in texts {
        push_back(&mut buf, text);
    }
    buf
}

#[test]
fn the_example_of_the_head_reads() {
    let bytes = b"\x11\0\0\0\x03\0\x01\x01\x83abc\x04\xdf\xff\x02\xff";
    assert_eq!(
        texts(bytes),
        [b"1".to_vec(), b"abc".to_vec(), b"-1".to_vec()]
    );
    assert_eq!(of(&[b"1", b"abc", b"-1"]), bytes);
}

#[test]
fn every_integer_form_at_its_borders() {
    let borders = [
        (0, 1),
        (127, 1),
        (128, 2),
        (-1, 2),
        (4095, 2),
        (-4096, 2),
        (4096, 3),
        (-4097, 3),
        (32767, 3),
        (-32768, 3),
        (32768, 4),
        (-32769, 4),
        (8_388_607, 4),
        (-8_388_608, 4),
        (8_388_608, 5),
        (-8_388_609, 5),
        (2_147_483_647, 5),
        (-2_147_483_648, 5),
        (2_147_483_648, 9),
        (-2_147_483_649, 9),
        (i64::MAX, 9),
        (i64::MIN, 9),
    ];
    for (value, size) in borders {
        let mut buf = empty();
        push_back(&mut buf, value.to_string().as_bytes());
        assert_eq!(buf.len(), HEADER + size + 1 + 1, "{value}");
        assert_eq!(
            Listpack::check(&buf).unwrap().get(0),
            Some(Entry::Int(value))
        );
        assert_eq!(Listpack::new(&buf).unwrap().last(), Some(Entry::Int(value)));
    }
}

#[test]
fn every_string_form_at_its_borders() {
    for len in [
        0, 1, 63, 64, 125, 126, 127, 128, 4095, 4096, 16_377, 16_378, 16_382, 2_097_145, 2_097_146,
        2_097_160,
    ] {
        let text = vec![b'x'; len];
        let buf = of(&[b"before", &text, b"after"]);
        let list = Listpack::check(&buf).unwrap();
        assert_eq!(list.get(1), Some(Entry::Str(&text)), "{len}");
        let back: Vec<_> = list.iter_rev().map(|(_, entry)| entry.text_len()).collect();
        assert_eq!(back, [5, len, 6]);
    }
}

#[test]
fn only_canonical_integers_become_numbers() {
    for text in [
        "007",
        "-0",
        "+5",
        " 1",
        "1 ",
        "9223372036854775808",
        "-9223372036854775809",
        "1.0",
        "-",
        "0x1",
    ] {
        let buf = of(&[text.as_bytes()]);
        assert_eq!(
            Listpack::check(&buf).unwrap().get(0),
            Some(Entry::Str(text.as_bytes()))
        );
    }
}

#[test]
fn finds_by_step_and_in_both_forms() {
    let buf = of(&[b"b", b"a", b"a", b"1", b"1", b"zz"]);
    let list = Listpack::new(&buf).unwrap();
    assert_eq!(list.find(b"a", 1), list.pos_of(1));
    assert_eq!(list.find(b"a", 2), list.pos_of(2));
    assert_eq!(list.find(b"1", 1), list.pos_of(3));
    assert_eq!(list.find(b"1", 2), list.pos_of(4));
    assert_eq!(
        (list.find(b"zz", 2), list.find(b"01", 1), list.find(b"", 1)),
        (None, None, None)
    );
    // A writer that keeps an integer's text as a string is legal too.
    let stringy = b"\x0a\0\0\0\x01\0\x817\x02\xff";
    assert_eq!(
        Listpack::check(stringy).unwrap().find(b"7", 1),
        Some(HEADER)
    );
}

#[test]
fn indexes_from_both_ends() {
    let buf = of(&[b"a", b"b", b"c", b"d"]);
    let list = Listpack::new(&buf).unwrap();
    for (index, text) in [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (3, "d"),
        (-1, "d"),
        (-4, "a"),
        (-3, "b"),
    ] {
        assert_eq!(list.get(index).unwrap().to_bytes(), text.as_bytes());
    }
    for index in [4, -5, i64::MAX, i64::MIN] {
        assert_eq!(list.get(index), None);
    }
}

#[test]
fn the_count_turns_unknown_and_can_be_found_again() {
    let mut buf = empty();
    for value in 0..65_534 {
        push_back_int(&mut buf, value & 1);
    }
    assert_eq!(buf[4..6], [0xfe, 0xff]);
    push_back_int(&mut buf, 9);
    push_back_int(&mut buf, 8);
    assert_eq!(buf[4..6], [0xff, 0xff]);
    assert_eq!(Listpack::check(&buf).unwrap().len(), 65_536);
    assert_eq!(Listpack::check(&buf).unwrap().get(-2), Some(Entry::Int(9)));
    assert_eq!(remove(&mut buf, HEADER, 2), 2);
    assert_eq!(Listpack::check(&buf).unwrap().len(), 65_534);
    recount(&mut buf);
    assert_eq!(buf[4..6], [0xfe, 0xff]);
    Listpack::check(&buf).unwrap();
}

#[test]
fn edits_in_the_middle() {
    let mut buf = of(&[b"a", b"c"]);
    let pos = Listpack::new(&buf).unwrap().pos_of(1).unwrap();
    insert(&mut buf, pos, b"b");
    push_front(&mut buf, b"-1");
    replace(&mut buf, HEADER, &[b'x'; 200]);
    replace_int(&mut buf, HEADER, 5);
    assert_eq!(texts(&buf), [&b"5"[..], b"a", b"b", b"c"]);
    assert_eq!(remove(&mut buf, HEADER, 2), 2);
    assert_eq!(texts(&buf), [&b"b"[..], b"c"]);
    let other = of(&[b"d", b"4"]);
    append(&mut buf, &Listpack::new(&other).unwrap());
    assert_eq!(texts(&buf), [&b"b"[..], b"c", b"d", b"4"]);
    assert_eq!(remove(&mut buf, HEADER, 99), 4);
    assert_eq!(buf, empty());
    assert_eq!(remove(&mut buf, HEADER, 1), 0);
}

#[test]
fn refuses_what_is_no_listpack() {
    let good = of(&[b"abc", b"300", &[b'y'; 70]]);
    Listpack::check(&good).unwrap();
    for cut in 0..good.len() {
        assert!(Listpack::new(&good[..cut]).is_err(), "cut at {cut}");
    }
    let mut count = good.clone();
    count[4] = 4;
    assert_eq!(Listpack::check(&count).unwrap_err().offset, 4);
    let mut back = good.clone();
    back[HEADER + 4] = 5;
    assert_eq!(Listpack::check(&back).unwrap_err().offset, 10);
    let mut head = good.clone();
    head[HEADER] = 0xf5;
    assert_eq!(
        Listpack::check(&head).unwrap_err().what,
        "listpack: entry 0 begins with the unknown byte 0xf5"
    );
    let mut long = good.clone();
    long[HEADER] = 0x80 | 63;
    long.truncate(20);
    long[19] = END;
    set_len(&mut long);
    let error = Listpack::check(&long).unwrap_err();
    assert_eq!((error.kind.name(), error.offset), ("encoding", 6));
    let mut early_end = good;
    early_end[HEADER] = END;
    assert!(Listpack::check(&early_end).is_err());
}

fn set_len(buf: &mut [u8]) {
    let len = buf.len() as u32;
    buf[..4].copy_from_slice(&len.to_le_bytes());
}

/// Reads a blob in every way there is. Only that it returns is asked.
fn read_all_ways(bytes: &[u8]) -> usize {
    let Ok(list) = Listpack::new(bytes) else {
        return 0;
    };
    let _ = Listpack::check(bytes);
    for pos in 0..bytes.len() + 2 {
        let _ = (list.at(pos), list.next_pos(pos), list.prev_pos(pos));
    }
    let _ = (
        list.get(1),
        list.get(-1),
        list.find(b"abc", 2),
        list.find(b"7", 1),
        list.is_empty(),
    );
    list.iter().count() + list.iter_rev().count() + list.len()
}

#[test]
fn changed_bytes_never_panic() {
    let good = of(&[
        b"abc",
        b"300",
        &[b'y'; 70],
        b"-5000",
        b"99999999",
        b"5000000000",
        b"",
    ]);
    let mut walked = 0;
    for at in 0..good.len() {
        for value in 0..=255 {
            let mut bad = good.clone();
            bad[at] = value;
            walked += read_all_ways(&bad);
        }
    }
    assert!(walked > 0);
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let mut bytes = vec![0; 6];
        bytes.extend_from_slice(&body);
        bytes.push(END);
        set_len(&mut bytes);
        read_all_ways(&bytes);
        bytes[4..6].fill(0xff);
        read_all_ways(&bytes);
    }

    #[test]
    fn edits_agree_with_a_plain_vector(steps in proptest::collection::vec((0u8..6, 0usize..40, 0usize..12), 0..120)) {
        let values: [&[u8]; 12] = [
            b"", b"0", b"127", b"-4096", b"70000", b"-9223372036854775808", b"hello", b"007",
            &[b'm'; 63], &[b'n'; 64], &[b'o'; 130], &[b'p'; 5000],
        ];
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut buf = empty();
        for (what, index, value) in steps {
            let value = values[value];
            let at = if model.is_empty() { 0 } else { index % model.len() };
            let pos = Listpack::new(&buf).unwrap().pos_of(at as i64);
            match (what, pos) {
                (0, _) => { push_back(&mut buf, value); model.push(value.to_vec()); }
                (1, _) => { push_front(&mut buf, value); model.insert(0, value.to_vec()); }
                (2, Some(pos)) => { insert(&mut buf, pos, value); model.insert(at, value.to_vec()); }
                (3, Some(pos)) => { replace(&mut buf, pos, value); model[at] = value.to_vec(); }
                (4, Some(pos)) => {
                    let count = (index % 3).min(model.len() - at);
                    proptest::prop_assert_eq!(remove(&mut buf, pos, count), count);
                    model.drain(at..at + count);
                }
                _ => {
                    let list = Listpack::new(&buf).unwrap();
                    let expected = model.iter().position(|text| text == value);
                    proptest::prop_assert_eq!(list.find(value, 1), expected.and_then(|at| list.pos_of(at as i64)));
                }
            }
            proptest::prop_assert_eq!(&texts(&buf), &model);
            let list = Listpack::new(&buf).unwrap();
            let back: Vec<_> = list.iter_rev().map(|(_, entry)| entry.to_bytes().into_owned()).collect();
            proptest::prop_assert_eq!(back.iter().rev().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
            proptest::prop_assert_eq!(list.len(), model.len());
        }
    }
}
