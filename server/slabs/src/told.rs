//! What slabs tell of themselves, and whether it is consistent.

use crate::class::{CLASSES, PAGE, SHAPES, SLAB};
use crate::head::State;
use crate::set::{FRESH, LEAVING, WORN};
use crate::slabs::{Hot, NONE, Slabs};

/// The slabs of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassFigures {
    /// Bytes of a block.
    pub size: usize,
    /// Slabs.
    pub slabs: usize,
    /// Blocks in use, those that another thread returned and that were not taken in among them.
    pub used: usize,
    /// Blocks that there is room for.
    pub blocks: usize,
}

impl Slabs {
    /// Bytes of pages of the slabs that have blocks, and of the free slabs that were not given back.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn held(&self) -> (u64, u64) {
        // SAFETY: by contract.
        let owner = unsafe { self.owner() };
        let bytes = |pages| (pages * PAGE) as u64;
        (bytes(owner.held_pages), bytes(owner.worn_pages))
    }

    /// Every class that has slabs. It looks at each slab: for people.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub unsafe fn figures(&self) -> Vec<ClassFigures> {
        // SAFETY: by contract; every slab below `opened` was used.
        unsafe {
            let mut classes = vec![ClassFigures::default(); CLASSES + 1];
            for slab in 0..self.owner().opened {
                let head = self.head(slab);
                if head.state.get() == State::Free {
                    continue;
                }
                let class = &mut classes[head.class()];
                class.size = head.size();
                class.slabs += 1;
                class.used += head.used.get() as usize;
                class.blocks += head.blocks() as usize;
            }
            for hot in self.owner().hot.iter().filter(|hot| hot.slab != NONE) {
                // Those of the hot word count as used in their slab.
                let class = self.head(hot.slab as usize).class();
                classes[class].used -= hot.left();
            }
            classes.retain(|class| class.slabs > 0);
            classes
        }
    }

    /// Tests the invariants that stand above the structures.
    ///
    /// # Errors
    /// The first that does not hold.
    ///
    /// # Safety
    /// The calling thread is the owner, and no other gives blocks back meanwhile.
    pub unsafe fn check(&self) -> Result<(), String> {
        // SAFETY: by contract; every slab below `opened` was used, and those of a class have their bits.
        unsafe {
            let (mut live, mut held, mut worn) = (0, 0, 0);
            for slab in 0..self.owner().opened {
                let head = self.head(slab);
                let (state, class) = (head.state.get(), head.class());
                let sets = &self.owner().sets;
                let inside: Vec<usize> = (0..=LEAVING)
                    .filter(|&set| sets.contains(set, slab))
                    .collect();
                let pages = usize::from(head.pages.get());
                if state == State::Free {
                    worn += pages;
                    if inside != [WORN] && !(inside == [FRESH] && pages == 0) {
                        return Err(format!(
                            "free slab {slab} with {pages} pages is in {inside:?}"
                        ));
                    }
                    continue;
                }
                held += pages;
                let expected: &[usize] = match state {
                    State::Partial => &[class],
                    State::Leaving => &[LEAVING],
                    _ => &[],
                };
                if inside != expected {
                    return Err(format!(
                        "{state:?} slab {slab} of class {class} is in {inside:?}"
                    ));
                }
                let (mut free, mut returned) = (0, 0);
                for word in 0..head.words() {
                    let (ours, theirs) = (
                        *head.bits().add(word),
                        *head.bits().add(head.words() + word),
                    );
                    if ours & theirs != 0 {
                        return Err(format!("slab {slab}: a block is free and returned"));
                    }
                    free += ours.count_ones();
                    returned += theirs.count_ones();
                }
                let mut hot = self
                    .owner()
                    .hot
                    .iter()
                    .filter(|hot| hot.slab == slab as u32);
                let (current, more) = (hot.next(), hot.next());
                if (state == State::Current) != current.is_some() || more.is_some() {
                    return Err(format!(
                        "slab {slab} is {state:?} and current {current:?} {more:?}"
                    ));
                }
                let left = current.map_or(0, Hot::left);
                let used = head.used.get();
                if used + free != SHAPES[class].blocks {
                    return Err(format!("slab {slab}: {used} used and {free} free"));
                }
                if (state == State::Full) != (free == 0)
                    && state != State::Current
                    && state != State::Leaving
                {
                    return Err(format!("slab {slab} is {state:?} with {free} free"));
                }
                if used == 0 && state != State::Current {
                    return Err(format!(
                        "slab {slab} of class {class} is empty and {state:?}"
                    ));
                }
                live += (used as usize - left - returned as usize) * head.size();
            }
            if self
                .owner()
                .hot
                .iter()
                .any(|hot| hot.slab == NONE && hot.left() > 0)
            {
                return Err("blocks of no slab are hot".to_string());
            }
            if (live as u64, held, worn)
                != (
                    self.used(),
                    self.owner().held_pages,
                    self.owner().worn_pages,
                )
            {
                return Err(format!(
                    "counted {live} bytes, {held} and {worn} pages; told {}, {} and {}; slabs of {SLAB}",
                    self.used(),
                    self.owner().held_pages,
                    self.owner().worn_pages
                ));
            }
            Ok(())
        }
    }
}
