//! The engine from outside: stories of what happened and what it answered.

mod exposure;
mod exits;
mod harness;
mod seams;
mod stories;
