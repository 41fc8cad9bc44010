//! Rayon over tiles; one file per stage, named as the shader that is its twin.
