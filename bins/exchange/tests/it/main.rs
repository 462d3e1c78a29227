//! The exchange program from outside, in one program.

mod demo;
mod program;
