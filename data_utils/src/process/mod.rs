//! From a video to a dataset.
