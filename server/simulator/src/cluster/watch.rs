//! What is known of one server, turn by turn, and what it may be next.

use std::collections::BTreeMap;

use cairn_replication::ReplId;
use cairn_replication::primary::Primary;
use cairn_server::node::Node;

use super::archive::{Archive, Place, StreamId};
use super::data;
use crate::cable::host_of;
use crate::net::HostId;
use crate::sniff::Synced;

/// The data of a server that moves on is compared at one of so many places: the same ones on all servers, so that there is
/// something to compare with. That of one that stands still is compared anywhere.
const COMPARED: u64 = 16;

/// Where the stream of a server was.
#[derive(Clone, Copy, Debug)]
struct Seen {
    stream: StreamId,
    /// The one before it, and the first offset that is not of that one.
    earlier: Option<(StreamId, u64)>,
    offset: u64,
    follows: bool,
}

/// One server.
#[derive(Default)]
pub struct Watch {
    seen: Option<Seen>,
    /// How far it has been in each stream, in whatever life.
    reached: BTreeMap<StreamId, u64>,
    /// Offset from which on it has to have everything, as long as it keeps a stream.
    kept_from: Option<u64>,
    /// Where the stream ended when, by the time of all.
    ends: Vec<(u64, u64)>,
    /// Where it was last, and where its data was compared last.
    place_before: Option<Place>,
    compared: Option<Place>,
    loads: bool,
    /// The last snapshot that it was given, by name and offset of its stream.
    given: Option<(ReplId, u64)>,
    /// Data sets that it has had.
    pub epoch: u64,
    /// When it was given the last one.
    pub renewed_us: u64,
}

/// Whether servers have their data compared here.
fn is_chosen((stream, offset): Place) -> bool {
    let mixed = (stream as u64 ^ offset).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32).is_multiple_of(COMPARED)
}

impl Watch {
    /// The server is gone, or another one begins.
    pub fn restart(&mut self) {
        let reached = std::mem::take(&mut self.reached);
        *self = Watch {
            reached,
            epoch: self.epoch + 1,
            renewed_us: self.renewed_us,
            ..Watch::default()
        };
    }

    /// Where the server is, if it has a stream.
    pub fn place(&self, archive: &Archive) -> Option<Place> {
        let seen = self.seen?;
        Some(archive.place(seen.stream, seen.offset))
    }

    /// Whether it has ever had everything up to a place.
    pub fn had(&self, archive: &Archive, wanted: Place) -> bool {
        let mut reached = self.reached.iter();
        reached.any(|(stream, offset)| archive.holds(archive.place(*stream, *offset), wanted))
    }

    /// Looks at a server after its turn.
    ///
    /// # Errors
    /// What may not be.
    pub fn look(
        &mut self,
        host: HostId,
        node: &Node,
        archive: &mut Archive,
        now_us: u64,
    ) -> Result<(), String> {
        let front = &node.front;
        let upstream = front.replication.upstream.as_ref();
        let given = upstream
            .filter(|up| up.link.is_up())
            .and_then(|up| up.link.given());
        let is_new = given.is_some() && given != self.given;
        self.given = given;
        if std::mem::replace(&mut self.loads, front.keeper.loading) && !self.loads || is_new {
            self.renew(now_us);
        }
        let primary = &front.replication.primary;
        let Some(backlog) = primary.backlog() else {
            self.seen = None;
            self.kept_from = None;
            return Ok(());
        };
        let follows = front.replication.follows();
        let begin = backlog.first();
        let stream = archive.meet(host, primary.history(), begin, !follows)?;
        let offset = primary.history().offset();
        let place = archive.place(stream, offset);
        let goes_on = |seen: Seen| archive.holds(place, archive.place(seen.stream, seen.offset));
        if self
            .seen
            .is_some_and(|seen| seen.stream != stream && !goes_on(seen))
        {
            // The snapshot came, and its connection was gone, within one turn.
            self.renew(now_us);
        }
        let before = self.seen.filter(|seen| seen.stream == stream);
        let wrote = !follows || before.is_none_or(|seen| !seen.follows);
        let may_write = wrote && archive.author(stream) == host;
        let mut at = begin;
        if let Some(before) = before {
            if before.offset > offset {
                return Err(format!(
                    "its offset fell from {} to {offset}",
                    before.offset
                ));
            }
            at = at.max(before.offset + 1);
        }
        for piece in backlog.from(at) {
            archive.compare(stream, at, piece, may_write)?;
            at += piece.len() as u64;
        }
        let earlier = primary.history().earlier();
        let earlier = earlier.and_then(|e| Some((archive.stream(e.id.as_bytes())?, e.until)));
        if before.is_none() {
            self.ends.clear();
        }
        if self.ends.last().is_none_or(|(_, end)| *end != offset) {
            self.ends.push((now_us, offset));
        }
        self.seen = Some(Seen {
            stream,
            earlier,
            offset,
            follows,
        });
        let has_all = self.has_all(node);
        if has_all {
            let reached = self.reached.entry(place.0).or_default();
            *reached = place.1.max(*reached);
            self.compare(host, node, archive, place)?;
        }
        let size = backlog.size();
        let least = (offset + 1).saturating_sub(size);
        self.kept_from = Some(self.kept_from.unwrap_or(begin).max(least));
        Ok(())
    }

    /// It was given other data.
    fn renew(&mut self, now_us: u64) {
        self.epoch += 1;
        self.renewed_us = now_us;
        self.kept_from = None;
        self.seen = None;
    }

    /// Whether its data is what its stream led to.
    fn has_all(&self, node: &Node) -> bool {
        let upstream = node.front.replication.upstream.as_ref();
        !node.front.keeper.loading && upstream.is_none_or(|upstream| upstream.may_resume)
    }

    fn compare(
        &mut self,
        host: HostId,
        node: &Node,
        archive: &mut Archive,
        place: Place,
    ) -> Result<(), String> {
        let is_still = self.place_before.replace(place) == Some(place);
        if !is_still && !is_chosen(place) || self.compared == Some(place) {
            return Ok(());
        }
        self.compared = Some(place);
        archive.data(place, data::fingerprint(&node.engine.ks), host)
    }

    /// Replicas say that they have no more than they ever had.
    ///
    /// # Errors
    /// One says so.
    pub fn check_acknowledged(
        host: HostId,
        primary: &Primary,
        watches: &[Watch],
        archive: &Archive,
    ) -> Result<(), String> {
        let Some(seen) = watches[host].seen else {
            return Ok(());
        };
        // Before it has said anything it has nothing, as far as is known.
        let said = primary.replicas().filter(|replica| replica.acked > 0);
        for replica in said {
            let Some(other) = host_of(&replica.host) else {
                continue;
            };
            let place = archive.place(seen.stream, replica.acked);
            if !watches[other].had(archive, place) {
                return Err(format!(
                    "server {other} is said to have {place:?}, which it never had"
                ));
            }
        }
        Ok(())
    }

    /// Whether a request is one to go on, and this server has what it asks for.
    pub fn reaches(&self, synced: &Synced, archive: &Archive) -> bool {
        let (Some(seen), Some(kept_from)) = (self.seen, self.kept_from) else {
            return false;
        };
        let Some((name, from)) = &synced.asked else {
            return false;
        };
        let Some(asked) = archive.stream(name) else {
            return false;
        };
        let of_earlier = |(earlier, until)| earlier == asked && *from <= until;
        let is_ours = asked == seen.stream || seen.earlier.is_some_and(of_earlier);
        // What it had when it was asked; it may have had nothing of this stream.
        let at = self.ends.partition_point(|(at, _)| *at <= synced.asked_us);
        let end = at.checked_sub(1).map(|at| self.ends[at].1);
        is_ours && end.is_some_and(|end| (kept_from..=end + 1).contains(from))
    }
}
