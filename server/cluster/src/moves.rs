//! Slots that move as one from a node to another: all of them change hands in one step, and until then the source serves them.
//!
//! ```text
//!   source                               target
//!   ESTABLISH name, source, ranges  -->  may they come?                                +ESTABLISHED
//!   their keys, then what changes   -->  done, not judged; hidden from its clients     an error ends the move
//!   PREPARE                         -->  all of that is done: notes the time           +PREPARED
//!   (writes stand still)
//!   the last changes,
//!   COMMIT lease, greatest epoch    -->  within the lease: has the slots, tells all    +COMMITTED epoch
//!   gives them away, writes go on        after it: refuses
//! ```
//! The **lease** keeps two owners apart without a common clock: the target counts it from before it answered PREPARE, the source holds its writes
//! from after it has heard that answer, for as long. So when the source goes on with its slots, for want of an answer, the target cannot take them any
//! more; and if it has taken them, it did so while the source stood still.
//!
//! The target's **epoch** is greater than all that the source knows, and until the source knows how it ended it takes none itself: whenever the news come, they win.
//!
//! Nothing here knows a socket or a key: the server carries the words, and tells how much is left to send.

use cairn_format::cluster::{NodeId, SlotSet};
use cairn_format::text::number::parse_i64;

use crate::seam::Moment;

/// How long the source holds its writes at most, and within which time of PREPARE the target may take the slots, milliseconds.
pub const LEASE_MS: u64 = 5_000;
/// For how long a target is asked again that does not know yet whose the slots are, milliseconds: who has just got them tells all nodes, but on other connections.
const DISAGREE_MS: u64 = 5_000;
/// Bytes that may wait for the target when PREPARE is sent: with more the source would stand still for long.
pub const NEARLY_DONE: usize = 64 * 1024;

/// The first word of a target that does not know the source as the owner: it may hear that in a moment.
pub const DISAGREES: &str = "TRYAGAIN";
/// What the target says.
pub const ESTABLISHED: &str = "ESTABLISHED";
/// All that came before is done.
pub const PREPARED: &str = "PREPARED";
/// It has the slots; its epoch follows.
pub const COMMITTED: &str = "COMMITTED";

/// Which end of the move a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its slots go.
    Export,
    /// They come.
    Import,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The source waits for the target's leave.
    Establishing,
    /// Keys are sent, or come.
    Sending,
    /// All keys are there; the target is asked whether it has done all.
    Preparing,
    /// The source's writes stand still; or the target has said that it has done all.
    Committing,
    /// The slots have changed hands.
    Success,
    /// They have not.
    Failed,
    /// They have not, as somebody wanted.
    Cancelled,
}

impl State {
    /// Nothing follows.
    pub fn is_over(self) -> bool {
        matches!(self, State::Success | State::Failed | State::Cancelled)
    }
}

/// What both ends know of a move.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its name, the same at both ends.
    pub name: NodeId,
    /// Which end this is.
    pub end: End,
    /// What moves.
    pub slots: SlotSet,
    /// From whom.
    pub source: NodeId,
    /// To whom.
    pub target: NodeId,
    /// How far it is.
    pub state: State,
    /// Why it failed, or does not begin yet.
    pub message: String,
    /// When it began, milliseconds since 1970.
    pub created_ms: u64,
    /// When its state changed last.
    pub updated_ms: u64,
    /// When the other end was heard last.
    pub heard_ms: u64,
    /// When its state began here, and so the lease with the last one, by the clock that only goes on.
    since_ms: u64,
    /// When something went on last, by the same clock: the other end was heard, or took what was sent.
    went_on_ms: u64,
}

/// What the source does after a word of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Asks for the target's leave again, later.
    AskAgain,
    /// Sends keys.
    Send,
    /// Holds its writes, sends what is left and COMMIT.
    Commit,
    /// Gives the slots away.
    Give,
}

impl Move {
    /// A move that begins at this end.
    pub fn new(
        end: End,
        name: NodeId,
        slots: SlotSet,
        (source, target): (NodeId, NodeId),
        moment: &Moment<'_>,
    ) -> Move {
        Move {
            name,
            end,
            slots,
            source,
            target,
            state: match end {
                End::Export => State::Establishing,
                End::Import => State::Sending,
            },
            message: String::new(),
            created_ms: moment.wall_ms,
            updated_ms: moment.wall_ms,
            heard_ms: moment.wall_ms,
            since_ms: moment.now_ms,
            went_on_ms: moment.now_ms,
        }
    }

    fn go_to(&mut self, state: State, moment: &Moment<'_>) {
        debug_assert!(!self.state.is_over(), "nothing follows {:?}", self.state);
        self.state = state;
        self.updated_ms = moment.wall_ms;
        self.since_ms = moment.now_ms;
    }

    /// It ends without success; false: it had ended.
    pub fn fail(&mut self, state: State, why: &str, moment: &Moment<'_>) -> bool {
        let goes_on = !self.state.is_over();
        if goes_on {
            why.clone_into(&mut self.message);
            self.go_to(state, moment);
        }
        goes_on
    }

    /// Its slots have changed hands.
    pub fn succeed(&mut self, moment: &Moment<'_>) {
        if !self.state.is_over() {
            self.go_to(State::Success, moment);
        }
    }

    /// The source hears a line of the target, without its end.
    ///
    /// # Errors
    /// Why the move fails.
    pub fn hear(&mut self, line: &[u8], moment: &Moment<'_>) -> Result<Order, String> {
        self.heard(moment);
        let text = String::from_utf8_lossy(line);
        let Some(words) = text.strip_prefix('+') else {
            let answer = text.trim_start_matches('-');
            if self.may_ask_again(answer, moment) {
                self.message = format!("The target answered: {answer}");
                return Ok(Order::AskAgain);
            }
            return Err(format!("The target answered: {answer}"));
        };
        let mut words = words.split(' ');
        match (self.state, words.next(), words.next()) {
            (State::Establishing, Some(ESTABLISHED), None) => {
                self.message.clear();
                self.go_to(State::Sending, moment);
                Ok(Order::Send)
            }
            (State::Preparing, Some(PREPARED), None) => {
                self.go_to(State::Committing, moment);
                Ok(Order::Commit)
            }
            (State::Committing, Some(COMMITTED), Some(epoch))
                if parse_i64(epoch.as_bytes()).is_some_and(|epoch| epoch >= 0) =>
            {
                self.go_to(State::Success, moment);
                Ok(Order::Give)
            }
            (state, ..) => Err(format!("The target answered while {state:?}: {text}")),
        }
    }

    /// Whether a target that refuses may yet hear whose the slots are.
    fn may_ask_again(&self, answer: &str, moment: &Moment<'_>) -> bool {
        let waited_ms = moment.now_ms.saturating_sub(self.since_ms);
        self.state == State::Establishing
            && answer.split(' ').next() == Some(DISAGREES)
            && waited_ms < DISAGREE_MS
    }

    /// All keys are on their way: the target is to be asked.
    pub fn prepare(&mut self, moment: &Moment<'_>) {
        debug_assert_eq!(self.state, State::Sending);
        self.goes_on(moment);
        self.go_to(State::Preparing, moment);
    }

    fn heard(&mut self, moment: &Moment<'_>) {
        self.heard_ms = moment.wall_ms;
        self.goes_on(moment);
    }

    /// The other end takes what it is sent, or is not waited for.
    pub fn goes_on(&mut self, moment: &Moment<'_>) {
        self.went_on_ms = moment.now_ms;
    }

    /// Whether the other end was waited for so long, milliseconds. While writes stand still the lease decides.
    pub fn is_stuck(&self, timeout_ms: u64, moment: &Moment<'_>) -> bool {
        self.state != State::Committing
            && moment.now_ms.saturating_sub(self.went_on_ms) > timeout_ms
    }

    /// The target has done all that came before; the lease begins.
    ///
    /// # Errors
    /// It is not asked for that now.
    pub fn prepared(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        self.heard(moment);
        match self.state {
            State::Sending => {
                self.go_to(State::Committing, moment);
                Ok(())
            }
            state => Err(format!("PREPARE while {state:?}")),
        }
    }

    /// Whether the target may take the slots now.
    ///
    /// # Errors
    /// Why not.
    pub fn may_commit(&self, lease_ms: u64, moment: &Moment<'_>) -> Result<(), String> {
        match self.state {
            State::Committing if moment.now_ms < self.since_ms.saturating_add(lease_ms) => Ok(()),
            State::Committing => Err("The lease is over".to_owned()),
            state => Err(format!("COMMIT while {state:?}")),
        }
    }

    /// Whether the source has held its writes as long as it may. It must not go on earlier, unless it knows who has the slots.
    pub fn lease_is_over(&self, moment: &Moment<'_>) -> bool {
        self.state == State::Committing && moment.now_ms >= self.since_ms + LEASE_MS
    }

    /// Whether writes of the source stand still.
    pub fn holds_writes(&self) -> bool {
        self.end == End::Export && self.state == State::Committing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<T>(now_ms: u64, with: impl FnOnce(&Moment<'_>) -> T) -> T {
        let mut draw = || 7;
        with(&Moment {
            now_ms,
            wall_ms: 1_000_000 + now_ms,
            draw: &mut draw,
        })
    }

    fn a_move(end: End) -> Move {
        let id = |word: u64| NodeId::of_random(&mut || word);
        let slots = (5..9).collect();
        at(0, |moment| {
            Move::new(end, id(1), slots, (id(2), id(3)), moment)
        })
    }

    #[test]
    fn a_source_hears_what_it_waits_for_and_nothing_else() {
        let mut export = a_move(End::Export);
        let hear =
            |export: &mut Move, now, line: &str| at(now, |m| export.hear(line.as_bytes(), m));
        assert!(hear(&mut export, 1, "+PREPARED").is_err());
        assert_eq!(hear(&mut export, 1, "+ESTABLISHED"), Ok(Order::Send));
        assert!(hear(&mut export, 2, "+COMMITTED 3").is_err());
        at(3, |m| export.prepare(m));
        assert_eq!(hear(&mut export, 4, "+PREPARED"), Ok(Order::Commit));
        assert!(export.holds_writes());
        for wrong in [
            "+COMMITTED",
            "+COMMITTED x",
            "+COMMITTED 3 4 5 6".trim_end_matches(" 4 5 6"),
            "-ERR no",
            ":1",
            "",
        ] {
            let mut other = export.clone();
            let heard = hear(&mut other, 5, wrong);
            assert_eq!(heard.is_ok(), wrong == "+COMMITTED 3", "{wrong}");
        }
        assert_eq!(hear(&mut export, 6, "+COMMITTED 3"), Ok(Order::Give));
        assert!(export.state.is_over() && !export.holds_writes());
        assert!(!at(7, |m| export.fail(State::Failed, "late", m)));
    }

    /// Who has just got slots and passes them on is faster than its news.
    #[test]
    fn a_target_that_has_not_heard_of_the_owner_is_asked_again() {
        let hear =
            |export: &mut Move, now, line: &str| at(now, |m| export.hear(line.as_bytes(), m));
        let refusal = "-TRYAGAIN Whose?";
        let mut export = a_move(End::Export);
        assert_eq!(hear(&mut export, 1, refusal), Ok(Order::AskAgain));
        assert_eq!(export.message, "The target answered: TRYAGAIN Whose?");
        let mut late = export.clone();
        assert!(hear(&mut late, DISAGREE_MS, refusal).is_err());
        for other in ["-ERR TRYAGAIN", "-TRYAGAINST", "-"] {
            assert!(hear(&mut export.clone(), 2, other).is_err(), "{other}");
        }
        assert_eq!(hear(&mut export, 2, "+ESTABLISHED"), Ok(Order::Send));
        assert_eq!(export.message, "");
        // Once keys are on their way, all is known.
        assert!(hear(&mut export, 3, refusal).is_err());
    }

    /// Keys that take long are no silence, and once they are there the target is waited for anew.
    #[test]
    fn a_long_way_is_no_silence() {
        let mut export = a_move(End::Export);
        at(1, |m| export.hear(b"+ESTABLISHED", m)).unwrap();
        assert!(at(70_000, |m| export.is_stuck(60_000, m)));
        at(70_000, |m| export.goes_on(m));
        assert!(!at(130_000, |m| export.is_stuck(60_000, m)));
        at(200_000, |m| export.prepare(m));
        assert!(!at(200_001, |m| export.is_stuck(60_000, m)));
        assert!(at(260_001, |m| export.is_stuck(60_000, m)));
        at(260_002, |m| export.hear(b"+PREPARED", m)).unwrap();
        // From here on the lease decides.
        assert!(!at(900_000, |m| export.is_stuck(60_000, m)));
    }

    /// Whatever the two clocks say, a target never takes the slots after the source went on with them.
    #[test]
    fn no_two_owners() {
        for offset in [0, 1, 3_000, 900_000] {
            for delay in [0, 1, 700, LEASE_MS, 3 * LEASE_MS] {
                let (mut export, mut import) = (a_move(End::Export), a_move(End::Import));
                at(0, |m| export.hear(b"+ESTABLISHED", m)).unwrap();
                at(0, |m| export.prepare(m));
                let prepared = 100;
                at(offset + prepared, |m| import.prepared(m)).unwrap();
                at(prepared + delay, |m| export.hear(b"+PREPARED", m)).unwrap();
                for now in (0..6 * LEASE_MS).step_by(50) {
                    let takes = at(offset + now, |m| import.may_commit(LEASE_MS, m)).is_ok();
                    let goes_on = now >= prepared + delay && at(now, |m| export.lease_is_over(m));
                    assert!(
                        !(takes && goes_on),
                        "offset {offset}, delay {delay}, at {now}"
                    );
                }
            }
        }
    }
}
