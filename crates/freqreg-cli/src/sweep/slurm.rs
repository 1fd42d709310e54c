//! A sweep as an array of jobs of a cluster's queue.

use super::Args;
use super::grid::{Run, plain};
use crate::Failure;
use crate::io::print;
use std::path::{Path, PathBuf};

/// Writes the script of an array of jobs.
pub(super) fn slurm(args: &Args, runs: &[Run], out: &Path, script: &Path) -> Result<(), Failure> {
    let missing: Vec<usize> = (0..runs.len())
        .filter(|&i| runs[i].report(out).is_none())
        .collect();
    if missing.is_empty() {
        return print("every run is there: nothing is left for a script\n");
    }
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let numbers: Vec<String> = missing.iter().map(usize::to_string).collect();
    let threads = args
        .threads
        .map_or_else(|| "\"$SLURM_CPUS_PER_TASK\"".into(), |n| n.to_string());
    let text = format!(
        "#!/bin/bash\n\
         # {} runs of {}; sbatch's options go here or on its command line.\n\
         #SBATCH --job-name={}\n\
         #SBATCH --array={}\n\
         #SBATCH --cpus-per-task={}\n\
         #SBATCH --output={}\n\
         export SLURM_CPUS_PER_TASK=\"${{SLURM_CPUS_PER_TASK:-1}}\"\n\
         exec {} sweep {} --out {} --only \"$SLURM_ARRAY_TASK_ID\" --threads {threads}\n",
        missing.len(),
        args.grid.display(),
        plain(&args.grid.file_stem().unwrap_or_default().to_string_lossy()),
        numbers.join(","),
        args.threads.unwrap_or(1),
        quoted(&out_file(&whole(out))),
        quoted(&whole(&std::env::current_exe()?)),
        quoted(&whole(&args.grid)),
        quoted(&whole(out)),
    );
    freqreg_file::write_atomically(script, text.as_bytes())?;
    print(&format!(
        "{}: {} jobs of {} runs. Hand it to sbatch; then `freqreg sweep {} --gather` makes the table\n",
        script.display(),
        missing.len(),
        runs.len(),
        args.grid.display()
    ))
}

fn out_file(out: &Path) -> PathBuf {
    out.join("slurm-%A_%a.txt")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
