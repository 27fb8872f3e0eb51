//! A notebook in other forms.

mod ansi;
mod html;
mod ipynb;
mod markdown;
mod python;

pub use html::html;
pub use ipynb::ipynb;
pub use python::python;
