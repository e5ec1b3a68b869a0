//! The ports in memory: the shortest adapter there is.
