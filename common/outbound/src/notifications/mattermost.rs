//! Mattermost, by an incoming webhook of a server that somebody runs.

use serde_json::{Value, json};
use url::Url;

use super::Notification;
use crate::{
    Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Kind, LIBRARY, Text, put, sorted_parts},
    request::address,
};

/// Prepares a message to each of the channels, or to the webhook's own.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The Mattermost block", data);
    let scheme = if fields.flag("secure", false)? { "https" } else { "http" };
    let (host, path) = (fields.filled_text("hostname")?, fields.text_or_none("path")?.unwrap_or_default().trim());
    if host.contains(['/', '@', '?', '#', '\\']) {
        return Err(fields.wrong("its field `hostname` must be the name of a host."));
    }
    let port = fields.number("port", 8065.0)?;
    let base = format!("{scheme}://{host}:{port}/{}", path.trim_matches('/'));
    let base = Url::parse(&base).map_err(|_| fields.wrong("its host, port and path do not make a URL."))?;
    let webhook = Webhook {
        base: base.as_str().trim_end_matches('/').to_owned(),
        token: fields.filled_text("token")?.to_owned(),
        app: LIBRARY,
        bot: fields.text_or_none("botname")?.filter(|name| !name.is_empty()).map(str::to_owned),
        channels: channels(&fields.texts("channels")?),
        has_image: fields.flag("include_image", false)?,
    };
    webhook.prepare(fields, Kind::of(fields)?, message)
}

/// A webhook of a server.
pub(super) struct Webhook {
    /// Where the server is.
    base: String,
    token: String,
    app: &'static str,
    bot: Option<String>,
    channels: Vec<String>,
    has_image: bool,
}

impl Webhook {
    /// Reads the address that Mattermost shows, if the host's name says that it is one; nothing otherwise.
    pub(super) fn of_address(url: &Url) -> Option<Self> {
        let is_known = matches!(url.scheme(), "http" | "https") && url.host_str()?.starts_with("mattermost.");
        let segments: Vec<&str> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
        let ["hooks", token] = segments[..] else { return None };
        let mut base = url.clone();
        base.set_path("");
        base.set_query(None);
        base.set_fragment(None);
        let base = base.as_str().trim_end_matches('/').to_owned();
        let token = token.to_owned();
        is_known.then_some(Self { base, token, app: APP, bot: None, channels: Vec::new(), has_image: true })
    }

    /// Prepares the messages.
    pub(super) fn prepare(self, fields: Fields<'_>, kind: Kind, message: &Message<'_>) -> Result<Notification> {
        let text = Text::of(fields, message)?;
        let mut document = json!({"text": text.joined()});
        put(&mut document, "icon_url", self.has_image.then(|| kind.icon(72)));
        put(&mut document, "username", Some(self.bot.as_deref().unwrap_or(self.app)));
        let url = address(&self.base, &["hooks", &self.token]);
        let mut requests = Vec::new();
        for channel in &self.channels {
            let mut document = document.clone();
            put(&mut document, "channel", Some(channel.as_str()));
            requests.push(Request::of_json(fields, &url, self.app, &document)?);
        }
        if requests.is_empty() {
            requests.push(Request::of_json(fields, &url, self.app, &document)?);
        }
        Ok(Notification::of_requests("Mattermost", requests, |answer| answer.status == 200))
    }
}

/// Returns the channels that can be there, without the signs before their names.
fn channels(texts: &[&str]) -> Vec<String> {
    let name = |part: &str| part.strip_prefix(['#', '+']).unwrap_or(part).to_owned();
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let mut channels: Vec<String> = Vec::new();
    for channel in sorted_parts(texts.iter().copied()).into_iter().map(name).filter(is_name) {
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    channels
}
