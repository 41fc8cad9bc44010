//! Pictures that clients send to stand behind a head.

use super::backdrop_table::read;
use super::reply::{Answer, blocking};
use super::service::App;
use super::upload::Form;
use crate::serve::session::random_name;
use axum::Json;
use axum::extract::{Multipart, Path};
use axum::http::StatusCode;
use serde_json::{Value, json};

/// The largest file, bytes.
pub(super) const LARGEST_FILE: usize = 8 << 20;

/// Takes a picture: a form with `file`, a PNG or a JPEG.
pub(super) async fn create(service: App, form: Multipart) -> Answer<(StatusCode, Json<Value>)> {
    let bytes = Form::read(form, "file").await?.bytes("file")?;
    let picture = blocking(move || read(&bytes)).await?;
    let id = random_name()?;
    let [width, height] = [picture.width(), picture.height()];
    service.backdrops.add(&id, picture);
    Ok((StatusCode::CREATED, Json(json!({"id": id, "width": width, "height": height}))))
}

/// Forgets a picture; sessions that show it go on.
pub(super) async fn remove(service: App, id: Path<String>) -> Answer<StatusCode> {
    service.backdrops.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}
