//! Draws the house in words: `cargo run -p cairn-house`.

use std::process::ExitCode;

use cairn_house::crates::{self, Crate};
use cairn_house::{circles, plan, surface};

fn main() -> ExitCode {
    match crates::read_all(&crates::root()) {
        Ok(all) => {
            for krate in &all {
                draw(krate);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cairn-house: {error}");
            ExitCode::from(2)
        }
    }
}

/// Top folders as rooms, whatever the map says; so two states of the tree can be put side by side.
fn draw(krate: &Crate) {
    let top = plan::arrows(krate, |path| path.first().cloned());
    let files = plan::arrows(krate, |path| {
        let longest = (1..=path.len()).rev();
        longest
            .map(|length| &path[..length])
            .find(|prefix| krate.product.iter().any(|file| file.module == *prefix))
            .map(|module| module.join("::"))
    });
    let asserted = surface::assertions(krate);
    println!(
        "{}: {} files, {} arrows between top rooms, {} functions, {:.3} assertions a function",
        krate.name,
        krate.product.len(),
        top.len(),
        asserted.functions,
        asserted.assertions as f64 / asserted.functions.max(1) as f64,
    );
    for circle in circles::circles(&top) {
        println!("  circle of rooms: {}", circle.join(" "));
    }
    for circle in circles::circles(&files) {
        println!("  circle of files: {}", circle.join(" "));
    }
}
