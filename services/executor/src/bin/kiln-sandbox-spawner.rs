//! The spawner alone, for tests and for looking at sandboxes by hand; `kiln sandbox-spawner` is the same.

fn main() {
    kiln_executor::sandbox::spawner_main()
}
