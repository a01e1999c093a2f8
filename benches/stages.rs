//! Criterion benches: one group for each stage of a frame.

mod bend;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    bend::bench(&mut criterion);
    criterion.final_summary();
}
