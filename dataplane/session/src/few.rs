//! A list that is almost always short: the first items lie where it lies.
//!
//! Invariant: the list is either all inside or all outside. Deliberately absent: everything but making and reading one.

use std::ops::Deref;

/// Items without memory of their own.
const INSIDE: usize = 8;

/// A list of a few items.
#[derive(Debug, Default)]
pub(crate) struct Few<T> {
    inside: [T; INSIDE],
    len: usize,
    outside: Vec<T>,
}

impl<T: Copy + Default> Few<T> {
    /// The items, in this place, if there can be any: mostly there are none, and then nothing is made.
    pub(crate) fn list(place: &mut Option<Self>, any: bool, items: impl Iterator<Item = T>) -> &[T] {
        if any { place.insert(items.collect()) } else { &[] }
    }
}

impl<T: Copy + Default> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::default();
        for item in items {
            match few.inside.get_mut(few.len) {
                Some(slot) if few.outside.is_empty() => *slot = item,
                _ => {
                    if few.outside.is_empty() {
                        few.outside.extend_from_slice(&few.inside);
                    }
                    few.outside.push(item);
                }
            }
            few.len += 1;
        }
        few
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        if self.outside.is_empty() { &self.inside[..self.len] } else { &self.outside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_list_it_was_made_of() {
        for len in [0, 1, INSIDE - 1, INSIDE, INSIDE + 1, 100] {
            let few: Few<usize> = (0..len).collect();
            assert_eq!(*few, *(0..len).collect::<Vec<_>>());
            assert_eq!(*Few::list(&mut None, len > 0, 0..len), *few);
        }
    }
}
