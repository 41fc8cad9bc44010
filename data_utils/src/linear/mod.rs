//! Linear algebra on small matrices of f64 that several rooms need.

mod cholesky;
mod principal_components;
mod ridge;

pub use cholesky::Cholesky;
pub use principal_components::principal_components;
pub use ridge::Ridge;
