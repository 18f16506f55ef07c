//! `GET /consumers/lag`: tells how far the consumers of the table's stream and of the queue are behind.

use axum::{extract::State, routing::get};
use common::{
    App,
    consumer_lag::{self, ConsumerLag},
    http::{Json, Route, extract::MeasuredQueue},
};

/// Our own `read_consumer_lag`.
pub static ROUTE: Route =
    Route::get("read_consumer_lag", "/consumers/lag", || get(read)).accessing(consumer_lag::MEASURE).measuring_queue();

async fn read(State(app): State<App>, MeasuredQueue(queue): MeasuredQueue) -> Json<ConsumerLag> {
    Json(consumer_lag::measure(&app, queue.as_deref()).await)
}
