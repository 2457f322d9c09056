//! The page around the pictures: one file, no script, nothing from elsewhere.

use cairn_toolkit::human;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884}\
body{font:15px/1.45 system-ui,sans-serif;max-width:1240px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
svg{width:100%;height:auto;border:1px solid var(--line)}\
svg rect{stroke:#fff;stroke-width:.7}svg g:hover rect{stroke:#000;stroke-width:2}\
svg text{font:12px ui-monospace,monospace;fill:#111;pointer-events:none}\
table{border-collapse:collapse;width:100%}td,th{padding:.15rem .6rem;border-bottom:1px solid var(--line);text-align:right}\
td:first-child,th:first-child{text-align:left;font-family:ui-monospace,monospace;word-break:break-all}\
.bar{min-width:12rem;width:40%}.bar div{background:hsl(210 55% 60%);height:.8rem}\
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem}.facts b{display:block;font-size:1.3rem}\
.note{opacity:.75}";

/// Text for a page: what would be markup stands as itself.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
    }
    out
}

/// A page under way.
pub struct Page {
    html: String,
}

impl Page {
    /// With its title and heading.
    pub fn new(title: &str) -> Page {
        let title = escaped(title);
        Page {
            html: format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
            ),
        }
    }

    /// Single numbers: an id, what it is, the number for programs, the number for people.
    pub fn facts(&mut self, facts: &[(&str, &str, u64, String)]) {
        self.html.push_str("<div class=\"facts\">\n");
        for (id, what, value, shown) in facts {
            let _ = writeln!(
                self.html,
                "<div id=\"{id}\" data-value=\"{value}\"><b>{}</b>{}</div>",
                escaped(shown),
                escaped(what)
            );
        }
        self.html.push_str("</div>\n");
    }

    /// A heading, and a line below it.
    pub fn section(&mut self, title: &str, note: &str) {
        let _ = writeln!(self.html, "<h2>{}</h2>", escaped(title));
        if !note.is_empty() {
            let _ = writeln!(self.html, "<p class=\"note\">{}</p>", escaped(note));
        }
    }

    /// Markup that is made elsewhere.
    pub fn picture(&mut self, svg: &str) {
        self.html.push_str(svg);
    }

    /// Names with keys and bytes, each with a bar.
    pub fn histogram(&mut self, id: &str, heading: &str, rows: &[(String, u64, u64)]) {
        let most = rows.iter().map(|(_, _, bytes)| *bytes).max().unwrap_or(0);
        let _ = writeln!(
            self.html,
            "<table id=\"{id}\"><tr><th>{}</th><th>keys</th><th>bytes</th><th></th></tr>",
            escaped(heading)
        );
        for (name, keys, bytes) in rows {
            let percent = *bytes as f64 * 100.0 / most.max(1) as f64;
            let _ = writeln!(
                self.html,
                "<tr data-what=\"{0}\" data-keys=\"{keys}\" data-bytes=\"{bytes}\"><td>{0}</td><td>{1}</td><td>{2}</td><td class=\"bar\"><div style=\"width:{percent:.1}%\"></div></td></tr>",
                escaped(name),
                human::count(*keys),
                human::count(*bytes)
            );
        }
        self.html.push_str("</table>\n");
    }

    /// Plain cells under headings. The last one of each row is its number for programs.
    pub fn table(&mut self, id: &str, headings: &[&str], rows: &[(Vec<String>, u64)]) {
        let _ = write!(self.html, "<table id=\"{id}\"><tr>");
        for heading in headings {
            let _ = write!(self.html, "<th>{}</th>", escaped(heading));
        }
        self.html.push_str("</tr>\n");
        for (cells, value) in rows {
            let _ = write!(self.html, "<tr data-value=\"{value}\">");
            for cell in cells {
                let _ = write!(self.html, "<td>{}</td>", escaped(cell));
            }
            self.html.push_str("</tr>\n");
        }
        self.html.push_str("</table>\n");
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        self.html.push_str("</body>\n</html>\n");
        self.html
    }
}
