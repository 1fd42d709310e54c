//! The benchmarks of the project's crates, in `benches`: `transform` (`freqreg-dct`), `kernels` (`freqreg-kernels`) and
//! `layers` (`freqreg-nn`). `cargo xtask bench` runs them all, `cargo bench --package freqreg-bench --bench kernels` one.
