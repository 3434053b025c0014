//! Which processors are of one core, which cores are neighbours, and whether all are alike.

use std::collections::BTreeMap;
use std::path::Path;

/// The cores of some processors, neighbours beside each other; each is its hyperthreads.
pub fn cores(cpus: &[usize]) -> Vec<Vec<usize>> {
    let mut cores: BTreeMap<(u64, usize), Vec<usize>> = BTreeMap::new();
    for &cpu in cpus {
        let place = (number(cpu, "topology/physical_package_id"), first_sibling(cpu));
        cores.entry(place).or_default().push(cpu);
    }
    cores.into_values().collect()
}

/// Whether no processor is slower than another by its kind, as the efficient cores of a hybrid one are.
pub fn are_alike(cpus: &[usize]) -> bool {
    let capacity = |cpu: &usize| number(*cpu, "cpu_capacity");
    let first = cpus.first().map(capacity);
    // Linux has this folder where a processor has Intel's efficient cores.
    !Path::new("/sys/devices/cpu_atom").exists()
        && cpus.iter().all(|cpu| Some(capacity(cpu)) == first)
}

/// The first of a core's processors; the processor itself where the system does not tell.
fn first_sibling(cpu: usize) -> usize {
    let siblings = said_of(cpu, "topology/thread_siblings_list");
    let first = siblings.split([',', '-']).next().and_then(|text| text.trim().parse().ok());
    first.unwrap_or(cpu)
}

/// A number that the system says of a processor; 0 where it does not.
fn number(cpu: usize, what: &str) -> u64 {
    said_of(cpu, what).trim().parse().unwrap_or_default()
}

fn said_of(cpu: usize, what: &str) -> String {
    std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/{what}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_is_of_one_core() {
        // This machine's, and some that it hardly has.
        let cpus: Vec<usize> = (0..4).chain([5000, 5001]).collect();
        let mut found = cores(&cpus).concat();
        found.sort_unstable();
        assert_eq!(found, cpus);
        assert_eq!(cores(&[5001, 5000]), [[5000], [5001]]);
        assert!(are_alike(&[5000, 5001]) || Path::new("/sys/devices/cpu_atom").exists());
    }
}
