//! ffmpeg as a child process.
