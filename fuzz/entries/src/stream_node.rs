//! Nodes of streams: any bytes, and appends and deletions against a vector.

use cairn_format::encoding::stream_node::{self, EntryId, StreamNode};

use crate::steps::Steps;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// An entry of the model: id, fields, whether it was deleted.
type Plain = (EntryId, Pairs, bool);

/// Bytes as a node, or a node built step by step.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    if steps.flip() {
        return build(&mut steps);
    }
    let id = EntryId {
        ms: steps.int() as u64,
        seq: steps.int() as u64,
    };
    let blob = steps.rest();
    if let Ok(node) = StreamNode::new(blob, id) {
        // Only the head was read; entries that make no sense end the walk with an error.
        for entry in node.iter().map_while(Result::ok) {
            assert!(entry.fields().count() <= blob.len());
        }
    }
    if let Ok(node) = StreamNode::check(blob, id) {
        let entries: Vec<_> = node.iter().map(|e| e.expect("it was checked")).collect();
        assert!(entries.iter().all(|e| e.fields().count() == e.len()));
        assert!(entries.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(entries.len() as u64, node.live() + node.deleted());
        delete_one(blob, id, steps.rest().len());
    }
}

/// A sound node of another server may be edited as well.
fn delete_one(blob: &[u8], id: EntryId, choice: usize) {
    let node = StreamNode::check(blob, id).expect("it was checked");
    let entries: Vec<_> = node.iter().map_while(Result::ok).collect();
    let Some(entry) = entries.get(choice % entries.len().max(1)) else {
        return;
    };
    let mut edited = blob.to_vec();
    let deleted = stream_node::mark_deleted(&mut edited, entry.pos);
    assert_eq!(deleted, !entry.is_deleted);
    let after = StreamNode::check(&edited, id).expect("an edited node is sound");
    assert_eq!(after.live() + u64::from(deleted), node.live());
}

fn pairs(steps: &mut Steps<'_>) -> Pairs {
    let same_names = steps.flip();
    (0..1 + steps.below(4))
        .map(|n| match same_names {
            true => (format!("field-{n}").into_bytes(), steps.text()),
            false => (steps.text(), steps.text()),
        })
        .collect()
}

fn refs(pairs: &Pairs) -> Vec<(&[u8], &[u8])> {
    pairs
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect()
}

fn build(steps: &mut Steps<'_>) {
    let id = EntryId {
        ms: steps.int() as u64 >> 1,
        seq: steps.int() as u64 >> 1,
    };
    let first = pairs(steps);
    let mut blob = stream_node::create(&refs(&first));
    let mut model: Vec<Plain> = vec![(id, first, false)];
    for _ in 0..200 {
        if steps.is_done() {
            break;
        }
        if !steps.byte().is_multiple_of(4) {
            let last = model[model.len() - 1].0;
            let next = match steps.flip() {
                true => EntryId {
                    ms: last.ms,
                    seq: last.seq + 1 + steps.below(300) as u64,
                },
                false => EntryId {
                    ms: last.ms + 1 + steps.below(100_000) as u64,
                    seq: steps.int() as u64 >> 1,
                },
            };
            let pairs = pairs(steps);
            stream_node::append(&mut blob, id, next, &refs(&pairs));
            model.push((next, pairs, false));
        } else {
            let at = steps.below(model.len());
            let node = StreamNode::new(&blob, id).expect("our own node is sound");
            let entry = node
                .iter()
                .nth(at)
                .expect("an entry for each place")
                .expect("our own node is sound");
            let pos = entry.pos;
            assert_eq!(stream_node::mark_deleted(&mut blob, pos), !model[at].2);
            model[at].2 = true;
        }
    }
    compare(
        &StreamNode::check(&blob, id).expect("our own node is sound"),
        &model,
    );
}

fn compare(node: &StreamNode<'_>, model: &[Plain]) {
    let live = model.iter().filter(|(_, _, deleted)| !deleted).count() as u64;
    assert_eq!(
        (node.live(), node.deleted()),
        (live, model.len() as u64 - live)
    );
    let entries: Vec<_> = node
        .iter()
        .map(|e| e.expect("our own node is sound"))
        .collect();
    assert_eq!(entries.len(), model.len());
    for (entry, (id, pairs, deleted)) in entries.iter().zip(model) {
        assert_eq!(
            (entry.id, entry.is_deleted, entry.len()),
            (*id, *deleted, pairs.len())
        );
        let fields = entry
            .fields()
            .map(|(n, v)| (n.to_bytes().into_owned(), v.to_bytes().into_owned()));
        assert!(fields.eq(pairs.iter().cloned()), "entry {id}");
    }
}
