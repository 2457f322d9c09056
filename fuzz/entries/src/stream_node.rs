//! Nodes of streams: any bytes, and appends and deletions against a vector.

use cairn_format::encoding::stream_id::StreamId;
use cairn_format::encoding::stream_node::{self, Node, Place};

use crate::steps::Steps;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// An entry of the model: id, fields, whether it was deleted.
type Plain = (StreamId, Pairs, bool);

/// Bytes as a node, or a node built step by step.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps::new(bytes);
    if steps.flip() {
        return build(&mut steps);
    }
    let id = StreamId::new(steps.int() as u64, steps.int() as u64);
    let blob = steps.rest();
    if let Some(node) = Node::new(id, blob) {
        // Only the head was read; entries that make no sense end the walk with an error.
        for place in node.entries().map_while(Result::ok) {
            assert!(node.fields(&place).count() <= blob.len());
        }
    }
    if let Ok((node, last)) = stream_node::check(id, blob) {
        let places = places(&node);
        let whole = |place: &Place| node.fields(place).count() == place.field_count;
        assert!(places.iter().all(whole));
        assert!(places.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(places.last().map(|place| place.id), last);
        assert_eq!(places.len() as u64, node.entry_count());
        let backwards = std::iter::successors(node.last(), |place| node.before(place.pos));
        assert!(
            backwards
                .map(|p| p.pos)
                .eq(places.iter().rev().map(|p| p.pos))
        );
        edit(blob, id, steps.rest().len());
    }
}

fn places(node: &Node<'_>) -> Vec<Place> {
    node.entries().map(|e| e.expect("it was checked")).collect()
}

/// A sound node of another server may be edited as well.
fn edit(blob: &[u8], id: StreamId, choice: usize) {
    let (node, _) = stream_node::check(id, blob).expect("it was checked");
    let live: Vec<_> = places(&node)
        .into_iter()
        .filter(|p| !p.is_deleted())
        .collect();
    if let Some(place) = live.get(choice % live.len().max(1)) {
        let mut edited = blob.to_vec();
        stream_node::delete(id, &mut edited, place);
        let (after, _) = stream_node::check(id, &edited).expect("an edited node is sound");
        assert_eq!(after.live() + 1, node.live());
    }
    let mut trimmed = blob.to_vec();
    let mut left = choice;
    let marked = stream_node::delete_while(id, &mut trimmed, |_, _| {
        left = left.wrapping_sub(1);
        left != usize::MAX
    });
    let (after, _) = stream_node::check(id, &trimmed).expect("a trimmed node is sound");
    assert_eq!(after.live() + marked, node.live());
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

fn refs(pairs: &Pairs) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
    pairs.iter().map(|(name, value)| (&name[..], &value[..]))
}

fn build(steps: &mut Steps<'_>) {
    let id = StreamId::new(steps.int() as u64 >> 1, steps.int() as u64 >> 1);
    let first = pairs(steps);
    let mut blob = stream_node::create(refs(&first));
    let mut model: Vec<Plain> = vec![(id, first, false)];
    for _ in 0..200 {
        if steps.is_done() {
            break;
        }
        if !steps.byte().is_multiple_of(4) {
            let last = model[model.len() - 1].0;
            let next = match steps.flip() {
                true => StreamId::new(last.ms, last.seq + 1 + steps.below(300) as u64),
                false => StreamId::new(
                    last.ms + 1 + steps.below(100_000) as u64,
                    steps.int() as u64 >> 1,
                ),
            };
            let pairs = pairs(steps);
            stream_node::append(id, &mut blob, next, refs(&pairs));
            model.push((next, pairs, false));
        } else {
            let at = steps.below(model.len());
            let (node, _) = stream_node::check(id, &blob).expect("our own node is sound");
            let place = places(&node)[at];
            assert_eq!(place.is_deleted(), model[at].2);
            if !place.is_deleted() {
                stream_node::delete(id, &mut blob, &place);
                model[at].2 = true;
            }
        }
    }
    let (node, _) = stream_node::check(id, &blob).expect("our own node is sound");
    compare(&node, &model);
}

fn compare(node: &Node<'_>, model: &[Plain]) {
    let live = model.iter().filter(|(_, _, deleted)| !deleted).count() as u64;
    assert_eq!(
        (node.live(), node.entry_count()),
        (live, model.len() as u64)
    );
    let places = places(node);
    assert_eq!(places.len(), model.len());
    for (place, (id, pairs, deleted)) in places.iter().zip(model) {
        assert_eq!(
            (place.id, place.is_deleted(), place.field_count),
            (*id, *deleted, pairs.len())
        );
        let fields = node
            .fields(place)
            .map(|(n, v)| (n.to_bytes().into_owned(), v.to_bytes().into_owned()));
        assert!(fields.eq(pairs.iter().cloned()), "entry {id}");
    }
}
