//! A client that reads counters, from whatever server.

use cairn_format::resp::value::Value;

use super::scene::Scene;
use super::worker::COUNTERS;
use crate::net::HostId;
use crate::talk::Talk;

/// What it was told last, and where: the server, and which of its data sets.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Source {
    host: HostId,
    epoch: u64,
}

/// A client.
#[derive(Default)]
pub struct Reader {
    talk: Option<Talk>,
    host: HostId,
    /// The counter that it has asked for, and of which data set.
    asked: Option<(usize, u64)>,
    told: [Option<(Source, i64)>; COUNTERS],
    /// When it does something next.
    pub next_us: u64,
}

impl Reader {
    /// Hangs up on a machine.
    pub fn leave_machine(&mut self, host: HostId) {
        if self.host == host {
            self.talk = None;
        }
    }

    /// Does the next thing.
    ///
    /// # Errors
    /// An answer that may not be.
    pub fn act(&mut self, scene: &mut Scene) -> Result<(), String> {
        self.next_us = scene.now_us + scene.random.below(60_000);
        let Some(talk) = &mut self.talk else {
            self.host = scene.any();
            if scene.machines[self.host].node().is_some() && !scene.calm {
                self.talk = Talk::new(&scene.machines[self.host].world.net);
            }
            self.asked = None;
            return Ok(());
        };
        let epoch = scene.watches[self.host].epoch;
        for answer in talk.answers()? {
            scene.figures.replies += 1;
            let asked = self.asked.take();
            let host = self.host;
            self.judge(scene, asked, epoch, &answer)
                .map_err(|error| format!("a reader of server {host}: {error}"))?;
        }
        let Some(talk) = self.talk.as_ref().filter(|talk| !talk.is_over()) else {
            self.talk = None;
            return Ok(());
        };
        if self.asked.is_none() && !scene.calm {
            let counter = scene.random.index(COUNTERS);
            talk.ask(&["GET", &format!("c:{counter}")]);
            self.asked = Some((counter, epoch));
        } else if scene.random.below(30) == 0 {
            self.talk = None;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        scene: &Scene,
        asked: Option<(usize, u64)>,
        epoch: u64,
        answer: &Value,
    ) -> Result<(), String> {
        let (counter, epoch_then) = asked.ok_or("an answer to nothing")?;
        let number = match answer {
            Value::Null => 0,
            Value::Bulk(text) => std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("a counter is {answer:?}"))?,
            Value::Error(text) if text.starts_with(b"LOADING") => return Ok(()),
            Value::Error(text) if text.starts_with(b"MASTERDOWN") => return Ok(()),
            _ => return Err(format!("a counter is {answer:?}")),
        };
        let most = scene.counted.get(&counter).copied().unwrap_or(0);
        if number > most {
            return Err(format!("a counter is {number} after {most} increments"));
        }
        if epoch != epoch_then {
            return Ok(());
        }
        let host = self.host;
        let source = Source { host, epoch };
        match self.told[counter].replace((source, number)) {
            Some((before, least)) if before == source && number < least => {
                Err(format!("counter {counter} was {least}, and then {number}"))
            }
            _ => Ok(()),
        }
    }
}
