//! Streams, in the form that the file had or the newest that the target reads.

use std::collections::HashSet;
use std::io::Write;

use super::super::event::Head;
use super::super::length::write_len;
use super::super::object::{Group, Producers, Stream, StreamId};
use super::{Lack, Unsupported, WriteError, WriteResult, Writer, Written};

/// Type bytes of the forms 1 to 5.
const TYPES: [u8; 5] = [15, 19, 21, 26, 27];

impl<W: Write> Writer<W> {
    pub(super) fn stream(&mut self, head: &Head<'_>, stream: &Stream<'_>) -> WriteResult<Written> {
        let form = self.stream_form(head, stream.form)?;
        let lost = self.lost_parts(head, stream, form)?;
        self.begin_stream(head, stream.form, stream.node_count())?;
        for node in stream.nodes() {
            let node = node?;
            self.stream_node(node.id, &node.listpack)?;
        }
        self.end_stream(stream)?;
        Ok(lost.map_or(Written::Whole, Written::Partly))
    }

    /// The form in which a stream of this form is written: the newest up to it that the target reads.
    fn stream_form(&self, head: &Head<'_>, form: u8) -> WriteResult<u8> {
        match self.dialect().stream_form() {
            0 => Err(self.unsupported(Lack::Stream, head.key, false)),
            newest => Ok(form.min(newest)),
        }
    }

    /// Begins a stream of form 1 to 5, or the newest below it that the target reads: as many
    /// [`Writer::stream_node`]s as said follow, then [`Writer::end_stream`].
    ///
    /// # Errors
    /// A target without streams (nothing was written then), or failure of the output.
    pub fn begin_stream(&mut self, head: &Head<'_>, form: u8, nodes: u64) -> WriteResult<()> {
        let form = self.stream_form(head, form)?;
        self.start(head, TYPES[usize::from(form.clamp(1, 5)) - 1])?;
        write_len(&mut self.buffer, nodes);
        Ok(())
    }

    /// Writes a node: the id of its first entry, and its listpack.
    ///
    /// # Errors
    /// Failure of the output.
    pub fn stream_node(&mut self, id: StreamId, listpack: &[u8]) -> WriteResult<()> {
        self.put_string(&id.to_bytes())?;
        self.put_string(listpack)
    }

    /// Writes what follows the nodes: everything that `stream` says beside them. Its form is the one given to
    /// [`Writer::begin_stream`].
    ///
    /// # Errors
    /// Failure of the output.
    pub fn end_stream(&mut self, stream: &Stream<'_>) -> WriteResult<()> {
        let form = stream.form.min(self.dialect().stream_form());
        debug_assert!(form > 0, "it was begun for a target that has streams");
        write_len(&mut self.buffer, stream.length);
        self.put_id(stream.last_id);
        if form >= 2 {
            self.put_id(stream.first_id.unwrap_or_default());
            self.put_id(stream.max_deleted_id.unwrap_or_default());
            write_len(
                &mut self.buffer,
                stream.entries_added.unwrap_or(stream.length),
            );
        }
        write_len(&mut self.buffer, stream.groups.len() as u64);
        for group in &stream.groups {
            self.put_group(group, form)?;
        }
        match &stream.producers {
            Some(producers) if form >= 4 => self.put_producers(producers),
            _ => self.flush_full(),
        }
    }

    /// What of the stream has no place in this form: refused, or named if the options allow to leave it out.
    fn lost_parts(
        &self,
        head: &Head<'_>,
        stream: &Stream<'_>,
        form: u8,
    ) -> WriteResult<Option<Unsupported>> {
        let nacked = form < 5 && stream.groups.iter().any(|group| !group.nacked.is_empty());
        let tracked = form < 4
            && stream
                .producers
                .as_ref()
                .is_some_and(|producers| !producers.producers.is_empty());
        let refused = if nacked {
            self.unsupported(Lack::Unowned, head.key, true)
        } else if tracked {
            self.unsupported(Lack::Producers, head.key, true)
        } else {
            return Ok(None);
        };
        match refused {
            WriteError::Unsupported(what) if self.options.drop_parts => Ok(Some(what)),
            refused => Err(refused),
        }
    }

    fn put_id(&mut self, id: StreamId) {
        write_len(&mut self.buffer, id.ms);
        write_len(&mut self.buffer, id.seq);
    }

    fn put_group(&mut self, group: &Group<'_>, form: u8) -> WriteResult<()> {
        self.put_text(&group.name)?;
        self.put_id(group.last_id);
        if form >= 2 {
            write_len(&mut self.buffer, group.entries_read.unwrap_or(u64::MAX));
        }
        // Entries without an owner exist from form 5 on.
        let nacked: HashSet<StreamId> = match form {
            ..5 => group.nacked.iter().copied().collect(),
            _ => HashSet::new(),
        };
        let owned = group
            .pending
            .iter()
            .filter(|pending| !nacked.contains(&pending.id));
        write_len(&mut self.buffer, owned.clone().count() as u64);
        for pending in owned {
            self.buffer.extend_from_slice(&pending.id.to_bytes());
            self.buffer
                .extend_from_slice(&pending.delivery_ms.to_le_bytes());
            write_len(&mut self.buffer, pending.count);
            self.flush_full()?;
        }
        write_len(&mut self.buffer, group.consumers.len() as u64);
        for consumer in &group.consumers {
            self.put_text(&consumer.name)?;
            self.buffer
                .extend_from_slice(&consumer.seen_ms.to_le_bytes());
            if form >= 3 {
                self.buffer.extend_from_slice(
                    &consumer.active_ms.unwrap_or(consumer.seen_ms).to_le_bytes(),
                );
            }
            write_len(&mut self.buffer, consumer.pending.len() as u64);
            for id in &consumer.pending {
                self.buffer.extend_from_slice(&id.to_bytes());
            }
            self.flush_full()?;
        }
        if form >= 5 {
            write_len(&mut self.buffer, group.nacked.len() as u64);
            for id in &group.nacked {
                self.buffer.extend_from_slice(&id.to_bytes());
            }
        }
        self.flush_full()
    }

    fn put_producers(&mut self, all: &Producers<'_>) -> WriteResult<()> {
        write_len(&mut self.buffer, all.duration_s);
        write_len(&mut self.buffer, all.entries_max);
        write_len(&mut self.buffer, all.producers.len() as u64);
        for producer in &all.producers {
            self.put_text(&producer.name)?;
            write_len(&mut self.buffer, producer.tokens.len() as u64);
            for (token, id) in &producer.tokens {
                self.put_text(token)?;
                self.put_id(*id);
            }
        }
        write_len(&mut self.buffer, all.added);
        write_len(&mut self.buffer, all.duplicates);
        self.flush_full()
    }
}
