//! LOLWUT: a drawing, and the version below it.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::Outcome;
use cairn_engine::base::random::Random;
use cairn_engine::call::{Command, Ctx, Flags, Group};
use cairn_engine::commands::connection::REDIS_VERSION;

/// This family.
pub const COMMANDS: &[&Command] = &[&LOLWUT];

const LOLWUT: Command = Command {
    name: "lolwut",
    group: Group::Server,
    since: "5.0.0",
    arity: -1,
    flags: Flags::READ.and(Flags::FAST),
    summary: "Draw a cairn, another one each time",
    run: lolwut,
    ..Command::BASE
};

/// Stones that are drawn unless the first argument says how many, and most of them.
const STONES: (i64, i64) = (6, 40);
/// Width of the lowest stone unless the second argument says it, and the greatest.
const WIDTH: (i64, i64) = (30, 200);

/// `LOLWUT [VERSION number] [stones] [width]`. There is one drawing, whatever the version; numbers that make no sense are drawn into
/// bounds.
fn lolwut(cx: &mut Ctx, args: &Args) -> Outcome {
    let first = match args.len() > 2 && args.is(1, "version") {
        true => {
            args.int(2)?;
            3
        }
        false => 1,
    };
    let number = |at: usize, (default, most): (i64, i64)| -> i64 {
        let given = (at < args.len()).then(|| args.int(at).ok()).flatten();
        given.unwrap_or(default).clamp(1, most)
    };
    let (stones, width) = (number(first, STONES), number(first + 1, WIDTH));
    let mut text = cairn(stones as usize, width as usize, &mut cx.ks.random);
    text.push_str(&format!("\nRedis ver. {REDIS_VERSION}\n"));
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// Stones on each other, the widest below, each a little off the middle of the one beneath.
fn cairn(stones: usize, width: usize, random: &mut Random) -> String {
    let mut lines = Vec::new();
    let (mut wide, mut left) = (width, 0);
    for _ in 0..stones {
        let belly = ["_", "_", "-", "="][random.index(4)].repeat(wide);
        lines.push(format!("{}({belly})", " ".repeat(left)));
        let less = (1 + random.index(width / stones + 1)).min(wide.saturating_sub(1));
        left += random.index(less + 1);
        wide -= less;
    }
    lines.push(format!("{}{}", " ".repeat(left + 1), "_".repeat(wide)));
    lines.reverse();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stone_lies_on_the_one_beneath() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let (stones, width) = (1 + random.index(40), 1 + random.index(200));
            let text = cairn(stones, width, &mut random);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), stones + 1);
            let ends = |line: &&str| (line.len() - line.trim_start().len(), line.trim_end().len());
            for pair in lines.windows(2) {
                let (above, below) = (ends(&pair[0]), ends(&pair[1]));
                assert!(
                    above.0 >= below.0 && above.1 <= below.1,
                    "seed {seed}:\n{text}"
                );
            }
        }
    }
}
