//! Who may do what, for how long.
