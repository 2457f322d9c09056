//! Packed encodings: whatever the bytes are, a view or an error; and edits against a plain model.

use std::collections::BTreeSet;

use cairn_format::encoding::intset::{self, Intset};
use cairn_format::encoding::listpack::{self, Listpack};
use cairn_format::encoding::ziplist::{self, Ziplist};
use cairn_format::encoding::zipmap::Zipmap;

use crate::steps::Steps;

/// Bytes as a listpack, or edits of one against a vector.
pub fn listpack(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    if steps.flip() {
        return edit_listpack(&mut steps);
    }
    let blob = steps.rest();
    if let Ok(list) = Listpack::new(blob) {
        // Nothing but the header is known to be sound; walking must end all the same.
        assert!(list.iter().count() <= blob.len());
        assert!(list.iter_rev().count() <= blob.len());
        let _ = (list.find(b"17", 1), list.get(-1), list.get(3), list.len());
    }
    if let Ok(list) = Listpack::check(blob) {
        let model: Vec<Vec<u8>> = list
            .iter()
            .map(|(_, e)| e.to_bytes().into_owned())
            .collect();
        // Another server may have written entries longer than they need be, so only the content must agree.
        compare_listpack(list, &model);
        let mut again = listpack::empty();
        model
            .iter()
            .for_each(|text| listpack::push_back(&mut again, text));
        compare_listpack(
            Listpack::check(&again).expect("our own listpack is sound"),
            &model,
        );
    }
}

fn compare_listpack(list: Listpack<'_>, model: &[Vec<u8>]) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_empty(), model.is_empty());
    assert!(
        list.iter()
            .map(|(_, e)| e.to_bytes().into_owned())
            .eq(model.iter().cloned())
    );
    assert!(
        list.iter_rev()
            .map(|(_, e)| e.to_bytes().into_owned())
            .eq(model.iter().rev().cloned())
    );
    for (index, text) in model.iter().enumerate().take(40) {
        let entry = list.get(index as i64).expect("an entry for each index");
        assert!(entry.eq_bytes(text) && entry.text_len() == text.len());
        let back = list
            .get(index as i64 - model.len() as i64)
            .expect("counted from the end too");
        assert!(back.eq_bytes(text));
        let first = model
            .iter()
            .position(|other| other == text)
            .expect("it is there");
        assert_eq!(
            list.find(text, 1),
            list.pos_of(first as i64),
            "{}",
            text.escape_ascii()
        );
    }
    assert!(
        list.get(model.len() as i64).is_none() && list.get(-(model.len() as i64) - 1).is_none()
    );
}

fn edit_listpack(steps: &mut Steps<'_>) {
    let (mut blob, mut model) = (listpack::empty(), Vec::<Vec<u8>>::new());
    for _ in 0..400 {
        if steps.is_done() {
            break;
        }
        let kind = steps.byte() % 9;
        let text = steps.text();
        let at = steps.below(model.len() + 1);
        let view = Listpack::new(&blob).expect("our own listpack is sound");
        let pos = view.pos_of(at as i64).unwrap_or_else(|| view.end_pos());
        match kind {
            0 | 1 => {
                listpack::push_back(&mut blob, &text);
                model.push(text);
            }
            2 => {
                listpack::push_front(&mut blob, &text);
                model.insert(0, text);
            }
            3 | 4 => {
                listpack::insert(&mut blob, pos, &text);
                model.insert(at, text);
            }
            5 | 6 if at < model.len() => {
                listpack::replace(&mut blob, pos, &text);
                model[at] = text;
            }
            7 => {
                let count = steps.below(4).min(model.len() - at);
                listpack::remove(&mut blob, pos, count);
                model.drain(at..at + count);
            }
            8 => {
                let mut other = listpack::empty();
                listpack::push_back(&mut other, &text);
                listpack::push_back_int(&mut other, 7);
                listpack::append(
                    &mut blob,
                    &Listpack::new(&other).expect("our own listpack is sound"),
                );
                model.extend([text, b"7".to_vec()]);
            }
            _ => {}
        }
    }
    compare_listpack(
        Listpack::check(&blob).expect("our own listpack is sound"),
        &model,
    );
}

/// Bytes as an intset, or edits of one against a tree set.
pub fn intset(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    if steps.flip() {
        return edit_intset(&mut steps);
    }
    let blob = steps.rest();
    if let Ok(set) = Intset::new(blob) {
        assert_eq!(set.iter().count(), set.len());
        let _ = (set.find(17), set.get(set.len()));
    }
    if let Ok(set) = Intset::check(blob) {
        let model: BTreeSet<i64> = set.iter().collect();
        compare_intset(set, &model);
    }
}

fn compare_intset(set: Intset<'_>, model: &BTreeSet<i64>) {
    assert!(set.iter().eq(model.iter().copied()));
    assert!(set.iter().rev().eq(model.iter().rev().copied()));
    assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
    for (index, value) in model.iter().enumerate() {
        assert_eq!(
            (set.find(*value), set.get(index)),
            (Ok(index), Some(*value))
        );
        let next = value.wrapping_add(1);
        assert_eq!(set.contains(next), model.contains(&next));
    }
}

fn edit_intset(steps: &mut Steps<'_>) {
    let (mut blob, mut model) = (intset::empty(), BTreeSet::new());
    let mut widest = 2;
    for _ in 0..600 {
        if steps.is_done() {
            break;
        }
        let (remove, value) = (steps.byte().is_multiple_of(3), steps.int());
        match remove {
            true => assert_eq!(intset::remove(&mut blob, value), model.remove(&value)),
            false => {
                assert_eq!(intset::insert(&mut blob, value), model.insert(value));
                widest = widest.max(intset::width_of(value));
            }
        }
    }
    let set = Intset::check(&blob).expect("our own intset is sound");
    assert_eq!(
        set.width(),
        widest,
        "the width is that of the widest number ever added"
    );
    compare_intset(set, &model);
}

/// Bytes as a ziplist and as a zipmap, the forms of Redis before 7.0 and 2.6.
pub fn ziplist(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    if steps.flip() {
        return zipmap(steps.rest());
    }
    let blob = steps.rest();
    if let Ok(list) = Ziplist::new(blob) {
        assert!(list.iter().count() <= blob.len());
        let _ = list.len();
    }
    if let Ok(list) = Ziplist::check(blob) {
        let texts: Vec<Vec<u8>> = list
            .iter()
            .map(|(_, e)| e.to_bytes().into_owned())
            .collect();
        assert_eq!(list.len(), texts.len());
        let mut builder = ziplist::Builder::new();
        texts.iter().for_each(|text| builder.push(text));
        let again = builder.finish();
        let again = Ziplist::check(&again).expect("our own ziplist is sound");
        assert!(
            again
                .iter()
                .map(|(_, e)| e.to_bytes().into_owned())
                .eq(texts)
        );
    }
}

fn zipmap(blob: &[u8]) {
    if let Ok(map) = Zipmap::new(blob) {
        assert!(map.iter().count() <= blob.len());
        let _ = map.len();
    }
    if let Ok(map) = Zipmap::check(blob) {
        assert_eq!(2 * map.len(), map.iter().count());
    }
}
