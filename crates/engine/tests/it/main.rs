//! The engine from outside: stories of what happened and what it answered.

mod adversarial_orders;
mod adversarial_state;
mod deadlines;
mod exits;
mod exposure;
mod guards;
mod harness;
mod seams;
mod stories;
