//! The drill: programs that try to break out, run through the public API of a Kiln, and the judgement of what became of
//! each. `kiln drill` conducts it on an operator's installation; `e2e/attacks` does on its own, and looks from outside too.

mod artifacts;
mod bystander;
mod case;
mod check;
mod conduct;
mod corpus;
mod ended;
mod judge;
mod kiln;
mod program;
mod report;

pub use case::{Case, cases};
pub use check::{Check, Finding};
pub use conduct::{Drill, Pace};
pub use corpus::{built_in, from_directory};
pub use ended::Ended;
pub use judge::Verdict;
pub use kiln::{Answer, Kiln, NoOutside, Outside};
pub use program::{HeaderError, Program};
pub use report::Report;
