//! `docs/configuration.md` lists what the table of directives says.

#[path = "support/listed.rs"]
mod listed;

use cairn_server::config::{Effect, Kind, table};

fn expected() -> String {
    let mut text = String::from("| directive | default | today | meaning |\n|---|---|---|---|\n");
    for directive in table::all() {
        let alias = directive
            .alias
            .map_or(String::new(), |alias| format!(" (`{alias}`)"));
        let default = match directive.default {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        let today = match directive.effect {
            Effect::Works => "works".to_string(),
            Effect::Moot(why) => format!("no effect: {why}"),
        };
        let words = match directive.kind {
            Kind::Choice(words) => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!(" ({})", words.join(", "))
            }
            _ => String::new(),
        };
        let fixed = if directive.is_immutable() {
            " Only at start."
        } else {
            ""
        };
        let row = format!(
            "| `{}`{alias} | {default} | {today} | {}{words}{fixed} |\n",
            directive.name,
            directive.summary()
        );
        text.push_str(&row);
    }
    text
}

/// With CAIRN_WRITE_DOCS=1 the test writes the list into the document instead of comparing it.
#[test]
fn the_document_lists_every_directive_as_the_table_has_it() {
    listed::assert_listed("docs/configuration.md", Some("directives"), &expected());
}
