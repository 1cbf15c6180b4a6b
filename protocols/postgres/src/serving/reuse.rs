//! Values with several owners whose memory is used again, and a map of names in which having no name costs nothing.
//!
//! Invariants: a [`Shared`] always holds its value; memory is kept only after its last owner has given it back, and it is
//! empty then. Deliberately absent: any bound on what is in use, which is the conversation's to limit.

use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

/// Pieces of memory of one kind that are kept.
const SPARE_MAX: usize = 2;

/// A value with several owners.
pub(super) struct Shared<T>(Rc<Option<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &*self.0 {
            Some(value) => value,
            None => unreachable!("only spare memory is empty"),
        }
    }
}

impl<T> Shared<T> {
    /// Both are the same one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// Memory of values that nobody owns any more.
pub(super) struct Spare<T>(Vec<Rc<Option<T>>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Spare<T> {
    /// A value in spare memory, if there is some.
    pub(super) fn share(&mut self, value: T) -> Shared<T> {
        if let Some(mut memory) = self.0.pop()
            && let Some(slot) = Rc::get_mut(&mut memory)
        {
            *slot = Some(value);
            return Shared(memory);
        }
        Shared(Rc::new(Some(value)))
    }

    /// An owner is done with it: the value, if it was the last one, whose memory is kept.
    pub(super) fn take_back(&mut self, shared: Shared<T>) -> Option<T> {
        let mut memory = shared.0;
        let value = Rc::get_mut(&mut memory)?.take();
        if self.0.len() < SPARE_MAX {
            self.0.push(memory);
        }
        value
    }
}

/// Values by name; the empty name is one like the others.
pub(super) struct Named<T> {
    unnamed: Option<T>,
    named: HashMap<Vec<u8>, T>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { unnamed: None, named: HashMap::new() }
    }
}

impl<T> Named<T> {
    pub(super) fn get(&self, name: &[u8]) -> Option<&T> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// Sets it; what had the name before.
    pub(super) fn insert(&mut self, name: Vec<u8>, value: T) -> Option<T> {
        if name.is_empty() { self.unnamed.replace(value) } else { self.named.insert(name, value) }
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<T> {
        if name.is_empty() { self.unnamed.take() } else { self.named.remove(name) }
    }

    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        self.named.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.named.len() + usize::from(self.unnamed.is_some())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.unnamed.iter().chain(self.named.values())
    }

    /// Takes one out that fits; `None` when there is none left.
    pub(super) fn take_if(&mut self, fits: impl Fn(&T) -> bool) -> Option<T> {
        if self.unnamed.as_ref().is_some_and(&fits) {
            return self.unnamed.take();
        }
        if self.named.is_empty() {
            return None;
        }
        self.named.extract_if(|_, value| fits(value)).next().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_used_again_only_after_its_last_owner() {
        let mut spare = Spare::default();
        let first = spare.share(1);
        let other = first.clone();
        assert!(first.is(&other));
        assert_eq!(spare.take_back(first), None);
        assert_eq!((*other, spare.0.len()), (1, 0));
        let place = Rc::as_ptr(&other.0);
        assert_eq!(spare.take_back(other), Some(1));
        let again = spare.share(2);
        assert_eq!((*again, Rc::as_ptr(&again.0)), (2, place));
    }

    proptest! {
        #[test]
        fn names_behave_as_a_map(steps in proptest::collection::vec((0u8..5, "[ab]{0,2}", any::<u8>()), 0..60)) {
            let (mut named, mut map) = (Named::default(), HashMap::<Vec<u8>, u8>::new());
            for (step, name, value) in steps {
                let name = name.into_bytes();
                match step {
                    0 | 1 => prop_assert_eq!(named.insert(name.clone(), value), map.insert(name, value)),
                    2 => prop_assert_eq!(named.remove(&name), map.remove(&name)),
                    3 => {
                        let mut taken = Vec::new();
                        while let Some(one) = named.take_if(|v| *v < value) {
                            taken.push(one);
                        }
                        let mut expected: Vec<u8> = map.extract_if(|_, v| *v < value).map(|(_, v)| v).collect();
                        taken.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(taken, expected);
                    }
                    _ => prop_assert_eq!(named.get(&name), map.get(&name)),
                }
                prop_assert_eq!(named.len(), map.len());
                prop_assert_eq!(named.values().count(), map.len());
            }
        }
    }
}
