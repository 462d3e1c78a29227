//! What the operating system must not write down: the key is in this process's memory.

/// No core dump is written of this process, and other processes of the same user cannot read its memory.
pub fn dump_nothing() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A kernel that refuses leaves things as they were: no reason not to cancel orders.
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
