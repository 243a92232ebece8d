//! A process's memory.

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) resident: u64,
    /// The most that it ever was.
    pub(super) peak: u64,
}

impl Memory {
    /// Of a process. Nothing on systems other than Linux.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    /// `proc_pid_status(5)`. What it calls kB are 1,024 bytes.
    fn parse(status: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            let number: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(number * 1024)
        };
        Some(Self { resident: bytes("VmRSS")?, peak: bytes("VmHWM")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let status = "Name:\tingest\nVmPeak:\t  163232 kB\nVmHWM:\t   12052 kB\nVmRSS:\t   11324 kB\nThreads:\t1\n";
        assert_eq!(Memory::parse(status), Some(Memory { resident: 11_324 * 1024, peak: 12_052 * 1024 }));
    }

    #[test]
    fn a_process_without_memory_has_none() {
        assert_eq!(Memory::parse("Name:\tkthreadd\nState:\tZ (zombie)\n"), None);
    }
}
