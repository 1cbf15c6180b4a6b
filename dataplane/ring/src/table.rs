//! A table whose keys go stale: a place that is used again has another generation, so an answer to what was there before
//! finds nothing.

/// Where something is, and which of those that were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// As one number, never `u64::MAX`.
    pub(crate) fn number(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    /// The reverse.
    pub(crate) fn of_number(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    content: Option<T>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Table<T> {
    /// Puts something in.
    ///
    /// # Panics
    /// At 2³² entries, which memory does not hold.
    pub(crate) fn insert(&mut self, content: T) -> Key {
        if let Some(index) = self.free.pop()
            && let Some(place) = self.places.get_mut(index as usize)
        {
            place.content = Some(content);
            return Key { index, generation: place.generation };
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        assert!(index < u32::MAX, "a table of 2^32 entries");
        self.places.push(Place { generation: 0, content: Some(content) });
        Key { index, generation: 0 }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.places.get(key.index as usize).filter(|place| place.generation == key.generation)?.content.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?.content.as_mut()
    }

    /// Takes something out; its key is stale from now on.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        let content = place.content.take()?;
        // A place is retired before its generations begin again.
        place.generation = place.generation.wrapping_add(1);
        if place.generation != u32::MAX {
            self.free.push(key.index);
        }
        Some(content)
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.places.iter().filter(|place| place.content.is_some()).count()
    }

    /// Keys of all entries.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let places = self.places.iter().enumerate().filter(|(_, place)| place.content.is_some());
        places.map(|(index, place)| Key { index: index as u32, generation: place.generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut table = Table::default();
        let old = table.insert('a');
        assert_eq!(table.remove(old), Some('a'));
        let new = table.insert('b');
        assert_ne!(old, new);
        assert_eq!((table.get(old), table.get(new)), (None, Some(&'b')));
        assert_eq!(table.remove(old), None);
        assert_eq!(table.get(Key::of_number(new.number())), Some(&'b'));
        assert!(table.get(Key::of_number(u64::MAX)).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None,
            ..ProptestConfig::default() })]
        #[test]
        fn it_is_a_map_whose_keys_are_never_given_twice(
            steps in proptest::collection::vec((any::<bool>(), any::<usize>()), 0..200),
        ) {
            let mut table = Table::default();
            let mut live: Vec<(Key, usize)> = Vec::new();
            let mut dead: Vec<Key> = Vec::new();
            for (insert, n) in steps {
                if insert || live.is_empty() {
                    let key = table.insert(n);
                    prop_assert!(!dead.contains(&key) && live.iter().all(|(other, _)| *other != key));
                    live.push((key, n));
                } else {
                    let (key, value) = live.swap_remove(n % live.len());
                    prop_assert_eq!(table.remove(key), Some(value));
                    dead.push(key);
                }
                prop_assert_eq!(table.len(), live.len());
                for (key, value) in &live {
                    prop_assert_eq!(table.get(*key), Some(value));
                }
                prop_assert!(dead.iter().all(|key| table.get(*key).is_none()));
            }
        }
    }
}
