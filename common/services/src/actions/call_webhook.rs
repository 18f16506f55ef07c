//! Calls a webhook.

use domain::model::automation::CallWebhook;
use error::Error;
use serde_json::{Map, Value};

use super::{Acting, Carried, Failed, Report, block, context, outward};

/// How many characters of an answer are told.
const TOLD: usize = 1000;

/// The block type whose blocks can be called.
pub(super) const WEBHOOK: &str = "webhook";

pub(super) async fn act(acting: &Acting<'_>, call: &CallWebhook, report: &mut Report) -> Result<Carried, Failed> {
    let webhook = block::load(acting, call.block_document_id, report).await?;
    if webhook.block_type.slug != WEBHOOK {
        return Err(Failed::For("The referenced block was not a webhook block".into()));
    }
    block::relate(acting, &webhook, report).await?;
    let [payload] = context::rendered(acting, [call.payload.as_str()], report).await?;
    let answer = match &acting.app.outward {
        Some(outward) => outward.call_webhook(&webhook.data, &payload, acting.triggered.invocation()).await,
        None => Err(outward::nobody()),
    };
    match answer {
        Ok(answer) => {
            report.status(answer.status);
            report.detail("response_body", truncated(&answer.body));
            let told = answer.headers.into_iter().filter(|(name, _)| is_told(name));
            let headers: Map<String, Value> = told.map(|(name, value)| (name, value.into())).collect();
            report.detail("response_headers", headers);
            Ok(Carried::Done)
        }
        Err(failed) if block::is_tried_again(acting, &failed) => {
            Err(Failed::Later(Error::Unavailable(format!("a webhook can't be called: {}", failed.reason))))
        }
        Err(failed) => Err(Failed::For(format!("Webhook call failed: {}", failed.reason))),
    }
}

/// Says whether an event tells a header of an answer: not what is secret, and not what those in between add.
fn is_told(name: &str) -> bool {
    let name = name.to_lowercase();
    let beginnings = ["x-forwarded", "x-b3", "x-cloud-trace", "x-envoy", "x-prefect"];
    !["authorization", "traceparent", "via"].contains(&name.as_str())
        && !beginnings.iter().any(|beginning| name.starts_with(beginning))
}

/// Leaves the middle out of a text that is too long.
fn truncated(text: &str) -> String {
    let length = text.chars().count();
    if length <= TOLD {
        return text.to_owned();
    }
    let half = TOLD / 2;
    let beginning: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    let short = format!("{beginning}...{} additional characters...{end}", length - 2 * half);
    if short.chars().count() < length { short } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_long_answer_is_left_out() {
        assert_eq!(truncated(&"x".repeat(1000)), "x".repeat(1000));
        assert_eq!(truncated(&"x".repeat(1010)), "x".repeat(1010));
        let long = truncated(&format!("{}{}{}", "a".repeat(500), "b".repeat(100), "c".repeat(500)));
        assert_eq!(long, format!("{}...100 additional characters...{}", "a".repeat(500), "c".repeat(500)));
    }

    #[test]
    fn headers_that_are_secret_or_noise_are_not_told() {
        let told: Vec<_> = ["Content-Type", "Authorization", "Via", "X-Forwarded-For", "x-prefect-a", "X-Own"]
            .into_iter()
            .filter(|name| is_told(name))
            .collect();
        assert_eq!(told, ["Content-Type", "X-Own"]);
    }
}
