//! Tests that harm a running Kiln and then look into its database and its bus; they are in `tests/faults`.
