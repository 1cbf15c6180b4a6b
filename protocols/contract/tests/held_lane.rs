//! A held lane against its model: what leaves is what was queued, in order, and never more than was released.

use contract::{Buffers, Chunk, Lane};

/// Small and repeatable randomness.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

const PARKED_BYTES_MAX: usize = 1 << 20;

struct Model {
    lane: Lane,
    buffers: Buffers,
    dice: Dice,
    next: u8,
    /// Arrived and not settled.
    input: Vec<u8>,
    /// Queued since the lane was held, and how much of it may leave and has left.
    output: Vec<u8>,
    released: usize,
    left: Vec<u8>,
    most: usize,
    checked: usize,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            lane: Lane::new(256 << 10),
            buffers: Buffers::default(),
            dice: Dice(seed),
            next: 0,
            input: Vec::new(),
            output: Vec::new(),
            released: 0,
            left: Vec::new(),
            most: 0,
            checked: 0,
        }
    }

    fn fresh(&mut self, n: usize) -> Vec<u8> {
        let bytes = (0..n).map(|i| self.next.wrapping_add(i as u8)).collect();
        self.next = self.next.wrapping_add(n as u8).wrapping_add(1);
        bytes
    }

    fn receive(&mut self) {
        let room = self.lane.slot(&mut self.buffers).len();
        let n = if self.dice.next(3) == 0 { room } else { self.dice.next(room + 1) };
        let bytes = self.fresh(n);
        self.lane.slot(&mut self.buffers)[..n].copy_from_slice(&bytes);
        self.lane.received(n);
        self.input.extend(bytes);
    }

    fn settle(&mut self) {
        let n = self.dice.next(self.input.len().min(20_000) + 1);
        match self.dice.next(4) {
            0 | 1 => {
                self.lane.pass(n);
                self.output.extend(self.input.drain(..n));
            }
            2 => {
                self.lane.skip(n);
                self.input.drain(..n);
            }
            _ => {
                let here = self.fresh(n / 2);
                self.lane
                    .replace(n, |_, out| {
                        out.extend(&here);
                        Ok::<(), ()>(())
                    })
                    .expect("nothing that fails");
                self.input.drain(..n);
                self.output.extend(here);
            }
        }
    }

    fn write(&mut self) {
        let most = self.dice.next(100_000);
        let mut done = 0;
        while done < most {
            let n = match self.lane.chunk() {
                Chunk::Empty => break,
                Chunk::Bytes(bytes) => {
                    let n = bytes.len().min(most - done);
                    self.left.extend(&bytes[..n]);
                    n
                }
            };
            self.lane.written(n);
            done += n;
        }
        self.check();
    }

    fn check(&mut self) {
        assert!(self.left.len() <= self.released, "{} bytes left, {} were released", self.left.len(), self.released);
        let from = self.checked;
        assert_eq!(self.left[from..], self.output[from..self.left.len()]);
        self.checked = self.left.len();
        assert_eq!(self.lane.queued(), self.output.len() as u64);
        assert_eq!(self.lane.input(), self.input);
        assert_eq!(self.lane.has_output(), self.output.len() > self.left.len());
        self.most = self.most.max(self.lane.memory());
    }
}

#[test]
fn what_is_held_leaves_only_as_far_as_it_is_released_and_in_order() {
    let mut parked = 0;
    for seed in 0..150 {
        let mut model = Model::new(seed);
        model.lane.hold(PARKED_BYTES_MAX);
        for _ in 0..400 {
            match model.dice.next(8) {
                0 | 1 => model.receive(),
                2..=4 => model.settle(),
                5 => {
                    let to = model.released.max(model.dice.next(model.output.len() + 1));
                    model.released = to;
                    model.lane.release(to as u64);
                }
                6 => model.write(),
                _ if model.dice.next(20) == 0 => {
                    model.lane.drop_held();
                    model.output.truncate(model.released);
                }
                _ => {
                    let n = model.dice.next(300);
                    let bytes = model.fresh(n);
                    model.lane.put(&bytes);
                    model.output.extend(bytes);
                }
            }
            model.check();
        }
        model.released = model.output.len();
        model.lane.release(model.released as u64);
        while model.lane.can_write() {
            model.write();
        }
        assert_eq!(model.left, model.output, "seed {seed}: all of it leaves in the end");
        model.lane.skip(model.input.len());
        assert_eq!(model.lane.chunk(), Chunk::Empty);
        model.lane.rest(&mut model.buffers);
        assert_eq!(model.lane.memory(), 0, "seed {seed}: no memory is kept");
        parked += usize::from(model.most > 512 << 10);
    }
    assert!(parked > 10, "{parked} seeds set a pipe aside");
}

#[test]
fn a_stream_is_read_on_while_its_output_is_held_up_to_the_limit() {
    let (mut lane, mut buffers) = (Lane::new(256 << 10), Buffers::default());
    lane.hold(PARKED_BYTES_MAX);
    let mut received = 0;
    loop {
        let n = lane.slot(&mut buffers).len();
        if n == 0 {
            break;
        }
        lane.received(n);
        lane.pass(n);
        received += n;
        assert!(received < 4 << 20, "unbounded");
    }
    assert!(received >= 1 << 20, "only {received} bytes were read ahead");
    assert!(lane.memory() <= PARKED_BYTES_MAX + (256 << 10));
    assert!(matches!(lane.chunk(), Chunk::Empty) && !lane.can_write());
    lane.release(received as u64);
    while let Chunk::Bytes(bytes) = lane.chunk() {
        let n = bytes.len();
        lane.written(n);
        received -= n;
    }
    assert_eq!(received, 0);
    assert!(!lane.slot(&mut buffers).is_empty(), "there is room again");
}
