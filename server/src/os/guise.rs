//! The process of the server as the system shows it.

use std::cell::{Cell, RefCell};

use super::affinity;
use super::daemon::Background;
use super::oom::OomControl;
use super::supervisor::Supervisor;
use super::title::{TitleArea, name_thread};
use super::{alloc, patience, process, watchdog};
use crate::host::{AllocatorStats, ChildGuise, CpuTimes, Milestone, OomScore, Process};

/// The process, and whoever waits for it.
#[derive(Debug)]
pub struct SystemProcess {
    program: String,
    title: Option<TitleArea>,
    oom: OomControl,
    supervisor: Supervisor,
    /// Until the process is in the background.
    background: RefCell<Option<Background>>,
    /// The supervisor did not answer last time: that is said once.
    unheard: Cell<bool>,
    /// It was made patient.
    patient: Cell<bool>,
}

impl Default for SystemProcess {
    /// One that stays as it is, for nobody.
    fn default() -> Self {
        SystemProcess::new(String::new(), Supervisor::Nobody, None)
    }
}

impl SystemProcess {
    /// The process that was started as `program`.
    pub fn new(
        program: String,
        supervisor: Supervisor,
        background: Option<Background>,
    ) -> SystemProcess {
        SystemProcess {
            program,
            title: None,
            oom: OomControl::new(),
            supervisor,
            background: RefCell::new(background),
            unheard: Cell::new(false),
            patient: Cell::new(false),
        }
    }

    /// From now on titles are shown, where the system lets them.
    ///
    /// # Safety
    /// No other thread may run, and nobody may ask for the arguments afterwards or keep pointers into them or into the
    /// environment.
    pub unsafe fn claim_title(&mut self) {
        // SAFETY: the caller vouches for it.
        self.title = unsafe { TitleArea::claim() };
    }

    /// A child takes its looks. What the system does not allow is left: the start has warned of it.
    pub(super) fn wear(&self, guise: &ChildGuise) {
        if let Some(title) = &guise.title {
            self.set_title(title);
            name_thread(title);
        }
        let _ = self.oom.set(guise.oom_score);
        let _ = affinity::pin(&guise.cpus);
    }
}

impl Process for SystemProcess {
    fn program(&self) -> &str {
        &self.program
    }

    fn set_title(&self, title: &str) {
        if let Some(area) = &self.title {
            area.show(title);
        }
    }

    fn set_oom_score(&self, score: OomScore) -> Result<(), String> {
        self.oom.set(score)
    }

    fn reached(&self, milestone: Milestone) -> Result<(), String> {
        if let Some(background) = self.background.take() {
            background
                .detach()
                .map_err(|error| format!("/dev/null: {}", super::error_text(&error)))?;
        }
        let told = self.supervisor.tell(milestone);
        match self.unheard.replace(told.is_err()) {
            true => Ok(()),
            false => told,
        }
    }

    fn set_patient(&self, patient: bool) {
        if self.patient.get() != patient && patience::set(patient) {
            self.patient.set(patient);
        }
    }

    fn thread_cpu_us(&self, thread: u64) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"));
        let text = text.unwrap_or_default();
        // Nanoseconds on a processor come first.
        let first = text
            .split(' ')
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        first.unwrap_or(0) / 1000
    }

    fn cpu_times(&self) -> CpuTimes {
        process::cpu_times()
    }

    fn allocator_stats(&self) -> Option<AllocatorStats> {
        alloc::stats()
    }

    fn watch(&self, period_ms: u64) {
        // Fails only for signals that do not exist.
        let _ = watchdog::wind(period_ms);
    }
}
