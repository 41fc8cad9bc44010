//! What whoever runs the server asks of it.

use super::reply::{Answer, blocking};
use super::service::App;
use crate::serve::heads::named;
use axum::Json;
use serde_json::{Value, json};
use std::sync::Arc;

/// Loads the heads again and serves them from now on; sessions that run keep theirs. Where one cannot be loaded or drawn, all stays as
/// it was.
pub(super) async fn reload(service: App) -> Answer<Json<Value>> {
    let _one = service.reloading.lock().await;
    let loader = Arc::clone(&service);
    let heads = blocking(move || named((loader.load)()?)).await?;
    service.drawing.prepare(heads.clone()).await?;
    service.heads.replace(heads);
    let names = service.heads.names();
    tracing::info!(heads = ?names, "the heads were loaded again");
    Ok(Json(json!({"heads": names})))
}
