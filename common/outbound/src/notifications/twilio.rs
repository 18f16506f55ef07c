//! SMS and `WhatsApp` messages, by Twilio.

use http::{
    HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use serde_json::Value;

use super::Notification;
use crate::{
    Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Text},
    request::{address, basic, form},
};

/// Prepares a message to each of the numbers.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The Twilio block", data);
    let text = Text::of(fields, message)?;
    let (account, token) = (fields.filled_text("account_sid")?, fields.filled_text("auth_token")?);
    if !is_account(account) {
        return Err(fields.wrong("its field `account_sid` is not an account of Twilio."));
    }
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(fields.wrong("its field `auth_token` is not a token of Twilio."));
    }
    let sender = Sender::of(fields.text("from_phone_number")?)
        .ok_or_else(|| fields.wrong("its field `from_phone_number` is not a number that messages can be sent from."))?;
    let mut recipients: Vec<Number> = Vec::new();
    let numbers = fields.texts("to_phone_numbers")?;
    for number in numbers.iter().flat_map(|numbers| numbers.split([',', ';'])) {
        let number = Number::of(number, sender.number.is_on_whatsapp, 10);
        recipients.extend(number.filter(|number| !(sender.is_short && number.is_on_whatsapp)));
    }
    if recipients.is_empty() {
        if sender.is_short {
            return Err(fields.wrong("its field `to_phone_numbers` has no valid number."));
        }
        recipients.push(Number { figures: sender.number.figures.clone(), ..sender.number });
    }
    let url = address("https://api.twilio.com/2010-04-01/Accounts", &[account, "Messages.json"]);
    let requests = recipients.iter().map(|recipient| {
        let (body, from, to) = (text.joined(), sender.spelled(recipient.is_on_whatsapp), recipient.spelled());
        let mut request =
            Request::new(fields, Method::POST, &url)?.with(USER_AGENT, APP).with(ACCEPT, "application/json");
        request.body = form([("Body", body.as_str()), ("From", &from), ("To", &to)]).into_bytes();
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.headers.insert(AUTHORIZATION, basic(fields, account, token)?);
        Ok(request)
    });
    let requests = requests.collect::<Result<Vec<Request>>>()?;
    let is_accepted = |answer: &crate::Answer| matches!(answer.status, 200 | 201);
    Ok(Notification::of_requests("Twilio", requests, is_accepted))
}

/// A telephone number and how it is reached.
struct Number {
    figures: String,
    is_on_whatsapp: bool,
}

impl Number {
    /// Reads a number of so many figures at least; nothing if it is none.
    fn of(text: &str, is_on_whatsapp: bool, least: usize) -> Option<Self> {
        let (mode, number) = text.split_once(':').map_or((None, text), |(mode, number)| (Some(mode.trim()), number));
        let is_on_whatsapp = is_on_whatsapp || mode.is_some_and(|mode| mode.to_ascii_lowercase().starts_with('w'));
        let is_of_number = |character: char| {
            character.is_ascii_digit() || character.is_whitespace() || matches!(character, '+' | '-' | '(' | ')')
        };
        let figures: String = number.chars().filter(char::is_ascii_digit).collect();
        let is_valid = number.chars().all(is_of_number) && (least..=14).contains(&figures.len());
        is_valid.then_some(Self { figures, is_on_whatsapp })
    }

    fn spelled(&self) -> String {
        if self.is_on_whatsapp { format!("whatsapp:+{}", self.figures) } else { format!("+{}", self.figures) }
    }
}

/// Who sends: a number, or a short code, which has five or six figures.
struct Sender {
    number: Number,
    is_short: bool,
}

impl Sender {
    fn of(text: &str) -> Option<Self> {
        let number = Number::of(text, false, 5)?;
        let is_short = match number.figures.len() {
            5 | 6 => true,
            11..=14 => false,
            _ => return None,
        };
        Some(Self { number, is_short })
    }

    fn spelled(&self, is_on_whatsapp: bool) -> String {
        let figures = &self.number.figures;
        match (self.is_short, is_on_whatsapp) {
            (true, _) => figures.clone(),
            (false, false) => format!("+{figures}"),
            (false, true) => format!("whatsapp:+{figures}"),
        }
    }
}

fn is_account(text: &str) -> bool {
    let parts = text.split_at_checked(2);
    parts.is_some_and(|(kind, rest)| {
        let is_hexadecimal = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        kind.eq_ignore_ascii_case("AC") && is_hexadecimal
    })
}
