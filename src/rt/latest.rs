//! Newest-value slots: a writer overwrites, a reader sees the newest, neither waits.
//!
//! [`slot`] shows values to a reader; [`handoff`] gives them away, for values that are too large to
//! copy.

use crossbeam_channel::{Receiver, Sender, TrySendError};

/// Writing end. Values that nobody read in time are lost, by design.
#[derive(Debug)]
pub struct Writer<T: Send>(triple_buffer::Input<T>);

/// Reading end.
#[derive(Debug)]
pub struct Reader<T: Send>(triple_buffer::Output<T>);

/// A slot that starts with `initial`. Wait-free on both sides; allocates only here.
pub fn slot<T: Clone + Send>(initial: &T) -> (Writer<T>, Reader<T>) {
    let (input, output) = triple_buffer::TripleBuffer::new(initial).split();
    (Writer(input), Reader(output))
}

impl<T: Send> Writer<T> {
    /// Replaces the value. A value the reader has released is dropped here.
    pub fn write(&mut self, value: T) {
        self.0.write(value);
    }
}

impl<T: Send> Reader<T> {
    /// The newest value.
    pub fn read(&mut self) -> &T {
        self.0.read()
    }

    /// The newest value, if one was written since the last read.
    pub fn read_new(&mut self) -> Option<&T> {
        self.0.update().then(|| self.0.output_buffer())
    }
}

/// Giving end of a [`handoff`].
#[derive(Debug)]
pub struct Giver<T> {
    sender: Sender<T>,
    /// To take back what nobody took.
    back: Receiver<T>,
}

/// Taking end of a [`handoff`].
#[derive(Debug)]
pub struct Taker<T>(Receiver<T>);

/// A place for one value that changes hands. The newest wins; [`Giver::take_back`] lets the giver
/// put an older one's parts into the newer.
pub fn handoff<T>() -> (Giver<T>, Taker<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let back = receiver.clone();
    (Giver { sender, back }, Taker(receiver))
}

impl<T> Giver<T> {
    /// Replaces the value; one that nobody took is dropped here.
    pub fn give(&self, value: T) {
        let mut value = value;
        // There is one giver: at most one round finds the place taken.
        while let Err(TrySendError::Full(again)) = self.sender.try_send(value) {
            value = again;
            drop(self.take_back());
        }
    }

    /// What nobody has taken yet.
    pub fn take_back(&self) -> Option<T> {
        self.back.try_recv().ok()
    }
}

impl<T> Taker<T> {
    /// The newest value, if there is one that was not taken.
    pub fn take(&self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{handoff, slot};

    #[test]
    fn the_newest_value_changes_hands() {
        let (giver, taker) = handoff();
        giver.give("old".to_owned());
        giver.give("new".to_owned());
        assert_eq!(taker.take().as_deref(), Some("new"));
        assert_eq!(taker.take(), None);
        giver.give("unwanted".to_owned());
        assert_eq!(giver.take_back().as_deref(), Some("unwanted"));
        drop(taker);
        giver.give("nobody".to_owned());
    }

    #[test]
    fn the_newest_value_wins() {
        let (mut writer, mut reader) = slot(&0);
        assert_eq!(reader.read_new(), None);
        writer.write(1);
        writer.write(2);
        assert_eq!(reader.read_new(), Some(&2));
        assert_eq!(reader.read_new(), None);
        assert_eq!(*reader.read(), 2);
    }
}
