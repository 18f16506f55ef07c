//! Discord, by a webhook of a channel.

use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use url::Url;

use super::Notification;
use crate::{
    Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Kind, Text, put},
    request::address,
};

/// Prepares a message to the channel that the webhook belongs to.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The Discord block", data);
    let filled = |name: &str| -> Result<Option<String>> {
        Ok(fields.text_or_none(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
    };
    let webhook = Webhook {
        id: fields.filled_text("webhook_id")?.to_owned(),
        token: fields.filled_text("webhook_token")?.to_owned(),
        bot: filled("botname")?,
        is_spoken: fields.flag("tts", false)?,
        has_avatar: fields.flag("avatar", false)?,
        avatar: filled("avatar_url")?,
    };
    webhook.prepare(fields, Kind::of(fields)?, message)
}

/// A webhook of a channel.
pub(super) struct Webhook {
    id: String,
    token: String,
    bot: Option<String>,
    is_spoken: bool,
    has_avatar: bool,
    avatar: Option<String>,
}

impl Webhook {
    /// Reads the address that Discord shows; nothing if it is none.
    pub(super) fn of_address(url: &Url) -> Option<Self> {
        let is_known = url.scheme() == "https" && matches!(url.host_str(), Some("discord.com" | "discordapp.com"));
        let segments: Vec<&str> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
        let ["api", "webhooks", id, token] = segments[..] else { return None };
        let (id, token) = (id.to_owned(), token.to_owned());
        is_known.then_some(Self { id, token, bot: None, is_spoken: false, has_avatar: true, avatar: None })
    }

    /// Prepares the message.
    pub(super) fn prepare(self, fields: Fields<'_>, kind: Kind, message: &Message<'_>) -> Result<Notification> {
        let text = Text::of(fields, message)?;
        // A spoken message is not waited for.
        let mut document = json!({"tts": self.is_spoken, "wait": !self.is_spoken, "content": text.joined()});
        put(&mut document, "avatar_url", self.has_avatar.then(|| self.avatar.unwrap_or_else(|| kind.icon(256))));
        put(&mut document, "username", self.bot);
        let url = address("https://discord.com/api/webhooks", &[&self.id, &self.token]);
        let request = Request::of_json(fields, &url, APP, &document)?;
        let requests = vec![request.with(CONTENT_TYPE, "application/json; charset=utf-8")];
        Ok(Notification::of_requests("Discord", requests, |answer| matches!(answer.status, 200 | 204)))
    }
}
