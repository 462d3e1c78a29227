//! The engine from outside: stories of what happened and what it answered.

mod harness;
mod seams;
mod stories;
