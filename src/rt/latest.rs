//! Newest-value slots: a writer overwrites, a reader sees the newest, neither waits.

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

#[cfg(test)]
mod tests {
    use super::slot;

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
