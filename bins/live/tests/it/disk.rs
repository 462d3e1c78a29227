//! A full disk under the real program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, World, until};
use crate::scenarios::{QUOTES, Run, blocked, ready};

/// A file system of its own.
struct Small(PathBuf);

impl Small {
    /// So many MiB; `None`: this user may not mount one.
    fn mount(at: &Path, mib: u32) -> Option<Small> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Small(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a program that has just ended may still hold a file.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// So many KiB of it.
fn fill(ballast: &Path, kib: usize) {
    let mut file = std::fs::File::create(ballast).unwrap();
    let block = vec![1; 1 << 10];
    for _ in 0..kib {
        file.write_all(&block).unwrap();
    }
}

#[test]
fn p3_real_on_a_full_disk_nothing_is_entered_and_trading_goes_on_when_there_is_space() {
    let world = World::new(51);
    let Some(small) = Small::mount(&world.data(), 96) else {
        println!("SKIPPED: this user may not mount a file system; run it as root");
        return;
    };
    let ballast = small.0.join("ballast");
    // The reserve of exits and one segment find room, and no spare one.
    fill(&ballast, (96 << 10) - (17 << 10) - 512);
    let config = format!("{QUOTES}[journal]\nsegment_mib = 1\n");
    let mut run = Run::with(world, "", &config, 0);
    run.until("the full disk", |_, glance| blocked(glance, "disk"));
    let rows = |glance: &serde_json::Value| glance["feed"]["rows"].as_u64();
    run.until("market data", |_, glance| rows(glance).is_some_and(|rows| rows >= 200));
    assert_eq!(run.posts(), 0, "an order left on a full disk");
    std::fs::remove_file(&ballast).unwrap();
    run.until("orders", |world, glance| ready(glance) && world.orders().1 > 0);
    run.fill(5);
    run.agrees();
    let Run { world, process, .. } = run;
    process.kill();
    // Everything is there after a crash.
    let mut process = Process::start(world.live(
        "[run]\nstrategies = []\n[journal]\nsegment_mib = 1\n[rehearsal]\ncrash_loop = false\n",
    ));
    until(&world.data(), &mut process, "the truth", |glance| {
        !world.moving()
            && crate::crash::cash(glance) == world.cash()
            && crate::crash::shares(glance) == world.shares()
    });
    process.kill();
    drop(small);
}

#[test]
fn p3_real_where_no_journal_can_be_written_nothing_starts_and_the_message_says_why() {
    let world = World::new(52);
    let mut command = Command::new("sh");
    // Files of 64 kB at most, and an error instead of a signal.
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" --config \"$1\" --data \"$2\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_live")]);
    command.arg(world.config("")).arg(world.data());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let (code, said) = Process::start(command).ended();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("journal"), "{said}");
    assert_eq!(world.orders(), (0, 0));
}
