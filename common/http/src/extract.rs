//! Typed values from a validated request.
//!
//! The contract has checked and coerced them before (see `contract_layer`), so a value that doesn't fit its type here
//! is a fault of ours.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, request::Parts},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use assets::Assets;
use contract::Validated;
use domain::orchestration::{Client, ClientVersion};
use error::{Error, Result};
use services::jobs::queue::QueueLocation;

/// The path parameters, as a struct with a field for each.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

/// The query parameters, as a struct with a field for each.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// The headers that the operation declares, as a struct with a field for each.
#[derive(Clone, Debug)]
pub struct Headers<T>(pub T);

/// The body, with the contract's defaults where the client sent nothing.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

/// The body without defaults: only what the client sent, for updates that leave the rest as it is.
#[derive(Clone, Debug)]
pub struct Sent<T>(pub T);

fn validated(parts: &Parts) -> Result<&Arc<Validated>> {
    let found = parts.extensions.get::<Arc<Validated>>();
    found.ok_or_else(|| Error::Internal("a handler takes input, and its route is not in the contract".into()))
}

fn typed<'v, T: DeserializeOwned>(what: &str, value: impl Deserializer<'v, Error = serde_json::Error>) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::Internal(format!("a valid {what} does not fit its type: {error}")))
}

macro_rules! extractors {
    ($($name:ident: $what:literal, |$validated:ident| $value:expr;)+) => {$(
        impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for $name<T> {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
                let $validated = validated(parts)?;
                typed($what, $value).map(Self)
            }
        }
    )+};
}

extractors! {
    Path: "path", |validated| &validated.path;
    Query: "query", |validated| &validated.query;
    Headers: "header", |validated| &validated.headers;
    Body: "body", |validated| &validated.body;
    Sent: "body", |validated| validated.sent();
}

/// What Prefect ships as data, for a route that declares to read it ([`super::Route::reading_assets`]).
#[derive(Clone, Debug)]
pub struct ShippedData(pub Arc<Assets>);

impl<S: Sync> FromRequestParts<S> for ShippedData {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Error::Internal("a handler reads assets, and its route does not declare it".into()))
    }
}

/// Where the queue is, if it is known, for a route that declares to measure it ([`super::Route::measuring_queue`]).
#[derive(Clone, Debug)]
pub struct MeasuredQueue(pub Option<Arc<QueueLocation>>);

impl<S: Sync> FromRequestParts<S> for MeasuredQueue {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Error::Internal("a handler measures the queue, and its route does not declare it".into()))
    }
}

/// The path of an operation on one record.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Id<T> {
    /// The record's id.
    pub id: T,
}

/// Whether the client would rather have the answer before the work is done (RFC 7240, `Prefer: respond-async`).
#[derive(Clone, Copy, Debug)]
pub struct PrefersAsync(pub bool);

impl<S: Sync> FromRequestParts<S> for PrefersAsync {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let texts = parts.headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
        let mut preferences = texts.flat_map(|text| text.split(','));
        Ok(Self(preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))))
    }
}

/// What a request tells of the client that sends it, for the rules that treat old clients differently.
#[derive(Clone, Debug)]
pub struct FromClient(pub Client);

impl<S: Sync> FromRequestParts<S> for FromClient {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let api_version = header("x-prefect-api-version").and_then(|version| version.parse().ok());
        let version = header("user-agent").and_then(ClientVersion::from_user_agent);
        Ok(Self(Client { api_version, version }))
    }
}
