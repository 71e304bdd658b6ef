//! Tidegate: train.
