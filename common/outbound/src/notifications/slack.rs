//! Slack, by an incoming webhook or a workflow that a webhook starts.
//!
//! The block takes any address that Prefect's library knows. Known here are those of Slack, as Slack shows them and
//! in the library's own spelling, and those of Discord, Mattermost, Teams and mail, which people put into this block
//! as well.

use http::header::{ACCEPT, CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use super::{Notification, discord, mail, mattermost, teams};
use crate::{
    Answer, Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Kind, LIBRARY, Text, put},
    request::address,
};

/// Prepares a message to the channel that the webhook belongs to.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The Slack block", data);
    let is_public_only = !fields.flag("allow_private_urls", true)?;
    let kind = Kind::of(fields)?;
    if let Some(mails) = mail::prepare(fields, fields.text("url")?, is_public_only, message) {
        return mails;
    }
    let url = Url::parse(fields.text("url")?.trim()).map_err(|_| fields.wrong("its address is not a valid URL."))?;
    let mut notification = match Hook::of(&url) {
        Some(hook) => hook.prepare(fields, kind, message)?,
        None => match prepare_for_another(fields, &url, kind, message)? {
            Some(notification) => notification,
            None => return Err(fields.wrong("its address is not that of a webhook of Slack.")),
        },
    };
    for request in &mut notification.requests {
        request.is_public_only = is_public_only;
    }
    Ok(notification)
}

fn prepare_for_another(
    fields: Fields<'_>,
    url: &Url,
    kind: Kind,
    message: &Message<'_>,
) -> Result<Option<Notification>> {
    if let Some(webhook) = discord::Webhook::of_address(url) {
        return webhook.prepare(fields, kind, message).map(Some);
    }
    if let Some(webhook) = mattermost::Webhook::of_address(url) {
        return webhook.prepare(fields, kind, message).map(Some);
    }
    match teams::Flow::of_address(url) {
        Some(flow) => flow.prepare(fields, kind, message).map(Some),
        None => Ok(None),
    }
}

/// What a webhook of Slack takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A text for a workflow.
    Workflow,
    /// A message as an attachment, which is how Slack has always had it.
    Attachment,
    /// A message made of blocks.
    Blocks,
}

/// A webhook of Slack: where it is, and how its messages look.
struct Hook {
    address: String,
    form: Form,
    /// The name that the message is sent under.
    app: &'static str,
    /// The name of a bot, where the address has one.
    bot: Option<String>,
    /// The channels that the address names; that of the webhook if there are none.
    channels: Vec<String>,
    has_image: bool,
    has_footer: bool,
    has_timestamp: bool,
}

impl Hook {
    /// Reads the address; nothing if it is not one of Slack's.
    fn of(url: &Url) -> Option<Self> {
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
        match (url.scheme(), url.host_str()?) {
            ("http" | "https", host @ ("hooks.slack.com" | "hooks.slack-gov.com")) => match *segments {
                ["services", a, b, c] if [a, b, c].into_iter().all(is_token) => {
                    let mut hook = Self::at(url, address(&format!("https://{host}/services"), &[a, b, c]));
                    // Prefect's block loses its name on the way to the other host.
                    hook.app = if host == "hooks.slack.com" { APP } else { LIBRARY };
                    Some(hook)
                }
                [kind @ ("workflows" | "triggers"), ref rest @ ..] if host == "hooks.slack.com" => {
                    let is_whole = rest.len() == if kind == "workflows" { 4 } else { 3 };
                    let is_valid = is_whole && rest.iter().all(|part| part.chars().all(is_of_name));
                    let mut hook = Self::at(url, address(&format!("https://{host}/{kind}"), rest));
                    hook.form = Form::Workflow;
                    is_valid.then_some(hook)
                }
                _ => None,
            },
            ("slack", first) => match *segments {
                [b, c, ref channels @ ..] if [first, b, c].into_iter().all(is_token) => {
                    let mut hook = Self::at(url, address("https://hooks.slack.com/services", &[first, b, c]));
                    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
                    hook.bot = Some(decoded(url.username())).filter(|name| !name.is_empty());
                    hook.channels = channels.iter().map(|channel| decoded(channel)).collect();
                    Some(hook)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Describes a webhook at this address, with the options of the URL that people wrote.
    fn at(url: &Url, address: String) -> Self {
        let option = |name: &str, default: bool| {
            let values = url.query_pairs().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            values.last().map_or(default, |(_, value)| !is_no(&value))
        };
        Self {
            address,
            form: if option("blocks", false) { Form::Blocks } else { Form::Attachment },
            app: APP,
            bot: None,
            channels: Vec::new(),
            has_image: option("image", true),
            has_footer: option("footer", true),
            has_timestamp: option("timestamp", true),
        }
    }

    fn prepare(self, fields: Fields<'_>, kind: Kind, message: &Message<'_>) -> Result<Notification> {
        let text = Text::of(fields, message)?;
        let document = self.document(kind, &text, message.sent_at);
        let request = |document: &Value| -> Result<Request> {
            let request = Request::of_json(fields, &self.address, self.app, document)?;
            Ok(request.with(ACCEPT, "application/json").with(CONTENT_TYPE, "application/json; charset=utf-8"))
        };
        let mut requests = Vec::new();
        for channel in &self.channels {
            let channel = channel_name(channel);
            let channel = channel.ok_or_else(|| fields.wrong("its address has a channel that none can be."))?;
            let mut document = document.clone();
            put(&mut document, "channel", Some(channel));
            requests.push(request(&document)?);
        }
        if requests.is_empty() {
            requests.push(request(&document)?);
        }
        let is_accepted: fn(&Answer) -> bool = match self.form {
            Form::Workflow => |answer| answer.status == 200,
            Form::Attachment | Form::Blocks => |answer| answer.status == 200 && answer.body == "ok",
        };
        Ok(Notification::of_requests("Slack", requests, is_accepted))
    }

    fn document(&self, kind: Kind, text: &Text<'_>, sent_at: f64) -> Value {
        let mut document = match self.form {
            Form::Workflow if text.subject.is_empty() => return json!({"text": text.body}),
            Form::Workflow => return json!({"text": format!("{}: {}", text.subject, text.body)}),
            Form::Attachment => self.attachment(kind, text, sent_at),
            Form::Blocks => self.blocks(kind, text),
        };
        let shows_icon = self.has_image && (self.has_footer || self.form == Form::Attachment);
        put(&mut document, "icon_url", shows_icon.then(|| kind.icon(72)));
        put(&mut document, "username", self.bot.clone());
        document
    }

    fn attachment(&self, kind: Kind, text: &Text<'_>, sent_at: f64) -> Value {
        let mut attachment =
            json!({"title": escaped(text.subject), "text": formatted(text.body), "color": kind.color()});
        put(&mut attachment, "footer_icon", (self.has_footer && self.has_image).then(|| kind.icon(72)));
        put(&mut attachment, "footer", self.has_footer.then_some(self.app));
        put(&mut attachment, "ts", (self.has_footer && self.has_timestamp).then_some(sent_at));
        json!({"mrkdwn": true, "attachments": [attachment]})
    }

    fn blocks(&self, kind: Kind, text: &Text<'_>) -> Value {
        let mut blocks = Vec::new();
        if !text.subject.is_empty() {
            let title = json!({"type": "plain_text", "text": escaped(text.subject), "emoji": true});
            blocks.push(json!({"type": "header", "text": title}));
        }
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text.body}}));
        if self.has_footer {
            let icon = json!({"type": "image", "image_url": kind.icon(72), "alt_text": kind.name()});
            let name = json!({"type": "mrkdwn", "text": self.app});
            let elements: Vec<Value> = self.has_image.then_some(icon).into_iter().chain([name]).collect();
            blocks.push(json!({"type": "context", "elements": elements}));
        }
        json!({"attachments": [{"blocks": blocks, "color": kind.color()}]})
    }
}

/// Says whether an option of an address is turned off.
fn is_no(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    value.is_empty() || ["n", "f", "0", "off", "deny", "dis", "nev"].iter().any(|no| value.starts_with(no))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_alphanumeric())
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// Returns the channel as Slack calls it; nothing if there can be none of that name.
fn channel_name(channel: &str) -> Option<String> {
    let name = channel.trim_start_matches(['+', '#', '@']);
    let is_valid = (1..=32).contains(&name.len()) && name.chars().all(is_of_name);
    let spelled = match channel.chars().next() {
        Some('+') => name.to_owned(),
        Some('@' | '#') => channel.to_owned(),
        _ => format!("#{name}"),
    };
    is_valid.then_some(spelled)
}

/// Escapes what Slack reads as its own signs.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escapes a body but for Slack's own markup: `<!channel>`, `<@user>`, `<https://…>`, each also with `|` and a label.
fn formatted(body: &str) -> String {
    let mut formatted = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(begin) = rest.find('<') {
        formatted.push_str(&escaped(&rest[..begin]));
        rest = &rest[begin..];
        let inside = &rest[1..];
        // No further than the next bracket, so that a body of brackets takes no longer than another one.
        let end = inside.find(['<', '>', '\n']).filter(|end| inside[*end..].starts_with('>'));
        if let Some((end, markup)) = end.and_then(|end| Some((end, markup(&inside[..end])?))) {
            formatted.push_str(&markup);
            rest = &inside[end + 1..];
        } else {
            formatted.push_str("&lt;");
            rest = inside;
        }
    }
    formatted + &escaped(rest)
}

/// Returns what stands between two angle brackets as Slack's markup; nothing if it is none.
fn markup(inside: &str) -> Option<String> {
    let (target, label) = inside.split_once('|').map_or((inside, ""), |(target, label)| (target, label.trim()));
    let target = target.trim_matches([' ', '\t']);
    let lower = target.to_ascii_lowercase();
    let is_address = ["http://", "https://", "mailto://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme));
    let is_mention = target.len() > 1 && target.starts_with(['!', '@']);
    let is_markup = (is_address || is_mention) && !target.contains(' ');
    let spelled = if label.is_empty() { format!("<{target}>") } else { format!("<{target}|{}>", escaped(label)) };
    is_markup.then_some(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slacks_own_markup_is_kept_and_all_else_is_escaped() {
        let cases = [
            ("a < b > c & d", "a &lt; b &gt; c &amp; d"),
            ("<!channel> <@U1|Bob > <https://a.b?c=1&d=2|x&y>", "<!channel> <@U1|Bob> <https://a.b?c=1&d=2|x&amp;y>"),
            ("mail <at>a@example.com</at>", "mail &lt;at&gt;a@example.com&lt;/at&gt;"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("<<!here> <@> <!", "&lt;<!here> &lt;@&gt; &lt;!"),
            ("<@a\n>", "&lt;@a\n&gt;"),
        ];
        for (body, expected) in cases {
            assert_eq!(formatted(body), expected, "{body}");
        }
    }

    #[test]
    fn another_hosts_address_is_not_one_of_slack() {
        let tokens = "services/T1/A1/c1";
        for host in ["hooks.slack.com.evil.example", "evil.example/hooks.slack.com", "hooks-slack.com", "slack.com"] {
            let url = Url::parse(&format!("https://{host}/{tokens}")).unwrap();
            assert!(Hook::of(&url).is_none(), "{host}");
        }
        assert!(Hook::of(&Url::parse(&format!("https://hooks.slack.com/{tokens}")).unwrap()).is_some());
    }
}
