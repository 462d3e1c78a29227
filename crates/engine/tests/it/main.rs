//! The engine from outside: stories of what happened and what it answered.

mod exits;
mod exposure;
mod harness;
mod seams;
mod stories;
