//! The fill of DynamoDB's tallies with what was there before, step by step ([`store::tallies::fill`]).

use std::time::{Duration, Instant};

use error::Result;

use crate::App;

/// How long a step goes on before it leaves the rest to another message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does the step after `step` steps, if it is still to be done.
pub(super) async fn step(app: &App, step: u64) -> Result<()> {
    let Some(found) = app.store.tally_fill().await? else { return Ok(()) };
    let (mut fill, started) = (found.record, Instant::now());
    if fill.step != step || fill.is_complete() {
        return Ok(());
    }
    fill.step += 1;
    loop {
        app.store.go_on_filling_tallies(&mut fill, app.now()).await?;
        if fill.is_complete() || fill.due > app.now() || started.elapsed() > PATIENCE {
            return app.store.advance_tally_fill(&fill, found.version).await;
        }
    }
}
