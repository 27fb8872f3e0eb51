//! The attack corpus through a whole Kiln; everything here is in `programs/` and `tests/`.
