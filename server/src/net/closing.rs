//! How a connection ends: four states, three causes, and where each cause leads.
//!
//! | state | input ends | last reply | cut |
//! |---|---|---|---|
//! | open | input over | after reply | now |
//! | input over | input over | after reply | now |
//! | after reply | after reply | after reply | now |
//! | now | now | now | now |
//!
//! | state | reads | runs commands and takes replies | sends | is gone |
//! |---|---|---|---|---|
//! | open | yes | yes | yes | never |
//! | input over | no | yes | yes | when all that came has run and all replies are sent |
//! | after reply | no | no | yes | when all replies are sent |
//! | now | no | no | no | at the end of the turn |
//!
//! The states are ordered: a cause never leads back, so that it does not matter in which order things go wrong.

/// Whether and how a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Closing {
    /// It stays.
    #[default]
    Open,
    /// The client has sent all it will: what came is run, what is replied is sent.
    InputOver,
    /// No command runs any more; it ends when its replies are sent.
    AfterReply,
    /// It ends at the end of the turn, replies or not.
    Now,
}

/// What brings a connection nearer to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client closed its side for writing; whether it still reads nobody knows before something is sent.
    InputEnds,
    /// The last reply was made: QUIT, a broken protocol, a client that ends itself.
    LastReply,
    /// The socket failed, a limit is passed, somebody ends it.
    Cut,
}

impl Closing {
    /// The state that follows.
    #[must_use]
    pub fn after(self, cause: Cause) -> Closing {
        let next = self.max(match cause {
            Cause::InputEnds => Closing::InputOver,
            Cause::LastReply => Closing::AfterReply,
            Cause::Cut => Closing::Now,
        });
        debug_assert!(!next.reads(), "whatever the cause, nothing more is read");
        next
    }

    /// Whether the socket is read.
    pub fn reads(self) -> bool {
        self == Closing::Open
    }

    /// Whether commands that came run, and what is for the client is taken.
    pub fn runs(self) -> bool {
        self <= Closing::InputOver
    }

    /// Whether replies that wait still leave.
    pub fn sends(self) -> bool {
        self < Closing::Now
    }

    /// Whether it is gone now: `sent` says that no reply waits, `ran` that no command does.
    pub fn is_over(self, sent: bool, ran: bool) -> bool {
        let over = match self {
            Closing::Open => false,
            Closing::InputOver => sent && ran,
            Closing::AfterReply => sent,
            Closing::Now => true,
        };
        debug_assert!(
            !over || sent || !self.sends(),
            "what may still be sent is dropped"
        );
        over
    }
}

#[cfg(test)]
mod tests {
    use super::Cause::{Cut, InputEnds, LastReply};
    use super::Closing::{AfterReply, InputOver, Now, Open};
    use super::*;

    /// State; where input's end, the last reply and a cut lead; reads, runs, sends; over when: never (`-`), when sent
    /// and run (`&`), when sent (`s`), at once (`!`).
    type Row = (Closing, [Closing; 3], [bool; 3], char);

    const TABLE: [Row; 4] = [
        (Open, [InputOver, AfterReply, Now], [true, true, true], '-'),
        (
            InputOver,
            [InputOver, AfterReply, Now],
            [false, true, true],
            '&',
        ),
        (
            AfterReply,
            [AfterReply, AfterReply, Now],
            [false, false, true],
            's',
        ),
        (Now, [Now, Now, Now], [false, false, false], '!'),
    ];

    #[test]
    fn every_state_and_cause_is_as_in_the_table() {
        for (state, next, does, over) in TABLE {
            assert_eq!(
                [InputEnds, LastReply, Cut].map(|cause| state.after(cause)),
                next,
                "{state:?}"
            );
            assert_eq!(
                [state.reads(), state.runs(), state.sends()],
                does,
                "{state:?}"
            );
            for (sent, ran) in [(false, false), (false, true), (true, false), (true, true)] {
                let expected = match over {
                    '-' => false,
                    '&' => sent && ran,
                    's' => sent,
                    _ => true,
                };
                assert_eq!(state.is_over(sent, ran), expected, "{state:?} {sent} {ran}");
            }
        }
        assert_eq!(Closing::default(), Open);
    }

    #[test]
    fn the_order_of_causes_does_not_matter_and_nothing_leads_back() {
        let causes = [InputEnds, LastReply, Cut];
        for first in causes {
            for second in causes {
                for state in [Open, InputOver, AfterReply, Now] {
                    let one = state.after(first).after(second);
                    assert_eq!(one, state.after(second).after(first));
                    assert!(one >= state.after(first) && state.after(first) >= state);
                }
            }
        }
    }
}
