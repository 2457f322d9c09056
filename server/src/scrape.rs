//! What the metrics port answers: figures, and whether this instance is alive and ready.

use cairn_engine::Engine;

use crate::front::Front;
use crate::info::{View, metrics};
use crate::net::http::{Answer, Status};

/// The pages, as `/` names them.
const PAGES: &str = "/metrics: figures of this server, in the text form of Prometheus
/healthz: 200 while the server answers
/readyz: 200 while it is to be sent requests";

/// Lets in who waits at the metrics port, and answers one request.
pub fn serve(engine: &mut Engine, front: &mut Front) {
    let now_ms = engine.mono_us() / 1000;
    let Front {
        visitors, clients, ..
    } = &mut *front;
    if let Some(question) = visitors.next(&clients.registry, now_ms) {
        let answer = answer(engine, front, &question.path);
        let Front {
            visitors, clients, ..
        } = front;
        visitors.reply(&clients.registry, now_ms, &question, &answer);
    }
}

fn answer(engine: &Engine, front: &mut Front, path: &str) -> Answer {
    match path {
        "/metrics" => Answer {
            status: Status::Ok,
            content_type: metrics::CONTENT_TYPE,
            body: figures(engine, front),
        },
        "/healthz" => Answer::text(Status::Ok, "ok"),
        "/readyz" => match why_not_ready(engine, front) {
            None => Answer::text(Status::Ok, "ready"),
            Some(reason) => Answer::text(Status::Unavailable, &reason),
        },
        "/" => Answer::text(Status::Ok, PAGES),
        _ => Answer::refusal(Status::NotFound),
    }
}

fn figures(engine: &Engine, front: &mut Front) -> String {
    let before = front.now().mono_us;
    let view = View::of(front, &engine.ks, &engine.shared);
    let body = metrics::text(&view);
    let took = front.now().mono_us.saturating_sub(before);
    front.figures.scrapes.note(took);
    body
}

/// Why requests had better go elsewhere. The one place that says what being ready takes.
fn why_not_ready(engine: &Engine, front: &mut Front) -> Option<String> {
    if engine.shared.gate.loading {
        return Some("loading: the data is being read from disk".to_owned());
    }
    if let Some(upstream) = &front.replication.upstream {
        if upstream.link.is_up() {
            return None;
        }
        return Some("not linked to the primary: what is read may be old".to_owned());
    }
    let refusal = front.saving().write_refusal()?;
    Some(format!("not able to write: {}", refusal.0))
}
